//! The cluster's clock as this member reads it.
//!
//! Monotonic time enters as a [`Duration`] since some moment of this process's own; only differences count.

use std::time::Duration;

use crate::store::ClusterTime;

/// A reading of the cluster's clock that goes on with this member's own monotonic time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    reading: ClusterTime,
    taken: Duration,
}

impl Clock {
    /// A clock that reads `reading` at the moment `now`.
    pub fn new(reading: ClusterTime, now: Duration) -> Self {
        Self {
            reading,
            taken: now,
        }
    }

    /// What it reads at the moment `now`.
    pub fn read(&self, now: Duration) -> ClusterTime {
        self.reading.plus(now.saturating_sub(self.taken))
    }

    /// An applied entry carried `stamp`: the cluster's time is at least that.
    pub fn at_least(&mut self, stamp: ClusterTime, now: Duration) {
        if stamp > self.read(now) {
            *self = Self::new(stamp, now);
        }
    }

    /// The leader reads `reading` now. It is right even if this member's oscillator ran ahead of it: a
    /// later leader with a clock that ran ahead would drop keys early.
    pub fn follow(&mut self, reading: ClusterTime, now: Duration) {
        *self = Self::new(reading, now);
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
    fn the_leader_corrects_a_clock_that_ran_ahead() {
        let mut clock = Clock::new(ClusterTime::from_nanos(100), SECOND);
        clock.follow(ClusterTime::from_nanos(90), SECOND);
        assert_eq!(clock.read(SECOND), ClusterTime::from_nanos(90));
    }
}
