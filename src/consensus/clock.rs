//! The cluster's clock as this member reads it.
//!
//! Monotonic time is passed in as a [`Duration`] since a fixed moment of this process; only differences
//! matter.

use std::time::Duration;

use crate::store::ClusterTime;

/// A clock that is ahead of the leader's is set back by at most one part in this number of the elapsed time.
/// The rate is well above the difference between two oscillators.
const BACK_PART: u32 = 1_000;

/// A reading of the cluster's clock that advances with this member's monotonic time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    reading: ClusterTime,
    taken: Duration,
    /// The term of the leader whose readings it follows.
    term: u64,
}

impl Clock {
    /// A clock that reads `reading` at the time `now`.
    pub fn new(reading: ClusterTime, now: Duration) -> Self {
        Self {
            reading,
            taken: now,
            term: 0,
        }
    }

    /// The reading at the time `now`.
    pub fn read(&self, now: Duration) -> ClusterTime {
        self.reading.plus(now.saturating_sub(self.taken))
    }

    /// Advance the clock to `stamp`, the time of an applied entry, if it reads less.
    pub fn advance_to(&mut self, stamp: ClusterTime, now: Duration) {
        if stamp > self.read(now) {
            (self.reading, self.taken) = (stamp, now);
        }
    }

    /// Follow the reading of the leader of `term`, from a heartbeat or an entry's stamp.
    ///
    /// The reading of a new leader is adopted even if it is behind, as that of a leader that has just started
    /// may be: its deadlines are based on it, and a later leader whose clock is ahead would let them pass
    /// early. In the same term, a reading that is behind is usually a delayed message; the clock is set back
    /// only slowly, just enough to correct an oscillator that runs fast.
    pub fn follow(&mut self, term: u64, reading: ClusterTime, now: Duration) {
        if term < self.term {
            return;
        }
        let mut reading = reading;
        if term == self.term {
            let back = now.saturating_sub(self.taken) / BACK_PART;
            let back = u64::try_from(back.as_nanos()).unwrap_or(u64::MAX);
            let least = self.read(now).as_nanos().saturating_sub(back);
            reading = reading.max(ClusterTime::from_nanos(least));
        }
        *self = Self {
            reading,
            taken: now,
            term,
        };
    }

    /// Stop following: this member leads in `term`.
    pub fn lead(&mut self, term: u64) {
        self.term = term;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn advances_with_monotonic_time() {
        let clock = Clock::new(ClusterTime::from_nanos(5), 10 * SECOND);
        assert_eq!(
            clock.read(12 * SECOND),
            ClusterTime::from_nanos(2_000_000_005)
        );
        assert_eq!(
            clock.read(9 * SECOND),
            ClusterTime::from_nanos(5),
            "a time before it was taken"
        );
    }

    #[test]
    fn an_entry_only_advances_it() {
        let mut clock = Clock::new(ClusterTime::from_nanos(100), SECOND);
        clock.advance_to(ClusterTime::from_nanos(50), SECOND);
        assert_eq!(clock.read(SECOND), ClusterTime::from_nanos(100));
        clock.advance_to(ClusterTime::from_nanos(150), SECOND);
        assert_eq!(clock.read(SECOND), ClusterTime::from_nanos(150));
    }

    #[test]
    fn a_new_leader_sets_it() {
        let mut clock = Clock::new(ClusterTime::from_nanos(100), SECOND);
        clock.follow(2, ClusterTime::from_nanos(90), SECOND);
        assert_eq!(clock.read(SECOND), ClusterTime::from_nanos(90));
        clock.follow(2, ClusterTime::from_nanos(95), SECOND);
        assert_eq!(clock.read(SECOND), ClusterTime::from_nanos(95));
        clock.follow(1, ClusterTime::from_nanos(300), SECOND);
        assert_eq!(
            clock.read(SECOND),
            ClusterTime::from_nanos(95),
            "the reading of an earlier leader"
        );
    }

    #[test]
    fn a_late_reading_hardly_sets_it_back() {
        let late = ClusterTime::from_nanos(5_000_000_000);
        let mut clock = Clock::new(ClusterTime::ZERO, SECOND);
        clock.follow(2, late, SECOND);
        clock.follow(2, late, 2 * SECOND);
        assert_eq!(
            clock.read(2 * SECOND),
            ClusterTime::from_nanos(5_999_000_000)
        );
    }
}
