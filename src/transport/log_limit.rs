//! Limits on repeated log lines: a fault of a peer repeats with each attempt.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Remembers the last line, so that it is logged again only after another one.
#[derive(Default)]
pub(super) struct RepeatFilter(Option<String>);

impl RepeatFilter {
    /// Whether `line` differs from the last one; it is the last one from now on.
    pub(super) fn is_new(&mut self, line: &str) -> bool {
        let is_new = self.0.as_deref() != Some(line);
        if is_new {
            self.0 = Some(line.to_owned());
        }
        is_new
    }

    /// Forget the last line. Returns whether there was one.
    pub(super) fn clear(&mut self) -> bool {
        self.0.take().is_some()
    }
}

/// The shortest time between two lines of one [`RateLimit`].
const LINE_PERIOD: Duration = Duration::from_secs(5);

/// Allows one line per [`LINE_PERIOD`], and counts the suppressed ones.
#[derive(Default)]
pub struct RateLimit(Mutex<(Option<Instant>, u64)>);

impl RateLimit {
    /// A limit that allows the first line.
    pub const fn new() -> Self {
        Self(Mutex::new((None, 0)))
    }

    /// Ask for a line at the time `now`. If it is allowed, returns the number of lines that were suppressed
    /// since the last one.
    pub fn allow(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, suppressed) = *state;
        match last {
            Some(last) if now.saturating_duration_since(last) < LINE_PERIOD => {
                state.1 = suppressed + 1;
                None
            }
            Some(_) | None => {
                *state = (Some(now), 0);
                Some(suppressed)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_new_until_it_repeats() {
        let mut filter = RepeatFilter::default();
        assert!(!filter.clear());
        assert!(filter.is_new("refused"));
        assert!(!filter.is_new("refused"));
        assert!(filter.is_new("timed out"));
        assert!(filter.clear());
        assert!(filter.is_new("timed out"));
    }

    #[test]
    fn one_line_per_period() {
        let limit = RateLimit::default();
        let start = Instant::now();
        assert_eq!(limit.allow(start), Some(0));
        assert_eq!(limit.allow(start + Duration::from_secs(1)), None);
        assert_eq!(limit.allow(start + Duration::from_secs(2)), None);
        assert_eq!(limit.allow(start + Duration::from_secs(6)), Some(2));
        assert_eq!(limit.allow(start + Duration::from_secs(12)), Some(0));
    }
}
