//! Saying a thing once. What a peer does wrong it does again and again, and a log is for people.

use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Remembers what was said last, so that it is said again only when it changes.
#[derive(Default)]
pub(super) struct Said(Option<String>);

impl Said {
    /// Whether `text` is new; it is what was said last from now on.
    pub(super) fn is_new(&mut self, text: &str) -> bool {
        let new = self.0.as_deref() != Some(text);
        if new {
            self.0 = Some(text.to_owned());
        }
        new
    }

    /// Forget what was said, and tell whether there was anything.
    pub(super) fn clear(&mut self) -> bool {
        self.0.take().is_some()
    }
}

/// How often lines about strangers may appear.
const STRANGER_EVERY: Duration = Duration::from_secs(5);

/// Lets one line through every few seconds and counts the others.
#[derive(Default)]
pub struct Pace(Mutex<(Option<Instant>, u64)>);

impl Pace {
    /// As if no line had appeared yet.
    pub const fn new() -> Self {
        Self(Mutex::new((None, 0)))
    }

    /// Whether a line may appear at `now`: then how many did not since the last one.
    pub fn line(&self, now: Instant) -> Option<u64> {
        let mut state = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let (last, held_back) = *state;
        match last {
            Some(last) if now.saturating_duration_since(last) < STRANGER_EVERY => {
                state.1 = held_back + 1;
                None
            }
            Some(_) | None => {
                *state = (Some(now), 0);
                Some(held_back)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_until_it_changes() {
        let mut said = Said::default();
        assert!(!said.clear());
        assert!(said.is_new("refused"));
        assert!(!said.is_new("refused"));
        assert!(said.is_new("timed out"));
        assert!(said.clear());
        assert!(said.is_new("timed out"));
    }

    #[test]
    fn one_line_in_a_while() {
        let pace = Pace::default();
        let start = Instant::now();
        assert_eq!(pace.line(start), Some(0));
        assert_eq!(pace.line(start + Duration::from_secs(1)), None);
        assert_eq!(pace.line(start + Duration::from_secs(2)), None);
        assert_eq!(pace.line(start + Duration::from_secs(6)), Some(2));
        assert_eq!(pace.line(start + Duration::from_secs(12)), Some(0));
    }
}
