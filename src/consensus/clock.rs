//! The cluster's clock as this member reads it.
//!
//! Monotonic time enters as a [`Duration`] since some moment of this process's own; only differences count.

use std::time::Duration;

use crate::store::ClusterTime;

/// How many times slower than it runs a clock that runs ahead of the leader's goes back to it: well above
/// what oscillators differ by.
const BACK_PART: u32 = 1_000;

/// A reading of the cluster's clock that goes on with this member's own monotonic time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    reading: ClusterTime,
    taken: Duration,
    /// The term whose leader's readings it goes by.
    term: u64,
}

impl Clock {
    /// A clock that reads `reading` at the moment `now`.
    pub fn new(reading: ClusterTime, now: Duration) -> Self {
        Self {
            reading,
            taken: now,
            term: 0,
        }
    }

    /// What it reads at the moment `now`.
    pub fn read(&self, now: Duration) -> ClusterTime {
        self.reading.plus(now.saturating_sub(self.taken))
    }

    /// An applied entry carried `stamp`: the cluster's time is at least that.
    pub fn at_least(&mut self, stamp: ClusterTime, now: Duration) {
        if stamp > self.read(now) {
            (self.reading, self.taken) = (stamp, now);
        }
    }

    /// The leader of `term` read `reading` a moment ago, says its heartbeat or what it stamped.
    ///
    /// A later leader's reading is taken as it is, even if it is behind, as that of one that just started
    /// may be: the deadlines it gives are by its clock, and a leader after it with a clock ahead would find
    /// them due early. In the same term a reading that is behind was mostly late on its way; the clock goes
    /// back slowly, no more than an oscillator that runs ahead makes necessary.
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

    /// This member leads in `term`: others follow it.
    pub fn lead(&mut self, term: u64) {
        self.term = term;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn goes_on_with_monotonic_time() {
        let clock = Clock::new(ClusterTime::from_nanos(5), 10 * SECOND);
        assert_eq!(
            clock.read(12 * SECOND),
            ClusterTime::from_nanos(2_000_000_005)
        );
        assert_eq!(
            clock.read(9 * SECOND),
            ClusterTime::from_nanos(5),
            "a moment before it was taken"
        );
    }

    #[test]
    fn an_entry_moves_it_forward_only() {
        let mut clock = Clock::new(ClusterTime::from_nanos(100), SECOND);
        clock.at_least(ClusterTime::from_nanos(50), SECOND);
        assert_eq!(clock.read(SECOND), ClusterTime::from_nanos(100));
        clock.at_least(ClusterTime::from_nanos(150), SECOND);
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
            "an earlier one's"
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
