//! The cluster's clock.

use std::time::Duration;

/// A reading of the cluster's clock: nanoseconds since the cluster was founded.
///
/// It never runs backwards and is independent of wall clocks; members agree on it because it is in the log. It
/// overflows after 584 years, and additions saturate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClusterTime(u64);

impl ClusterTime {
    /// The time at which the cluster was founded.
    pub const ZERO: Self = Self(0);

    /// The reading this many nanoseconds after the founding.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the founding.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The reading after this duration, saturating.
    pub fn plus(self, later: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(later.as_nanos()).unwrap_or(u64::MAX)),
        )
    }

    /// The duration since `earlier`; zero if this is before it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}
