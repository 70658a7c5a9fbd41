//! The result of a run: latencies and failures.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::failure::Failure;

/// The number of different failures that are counted separately; the others are counted together.
const FAILURES_MAX: usize = 20;

/// Significant digits of a latency. Two digits keep the histogram of one client at a few kilobytes, and there may
/// be 20,000 clients.
const DIGITS: u8 = 2;

/// The result of a client, or of all of them.
pub(super) struct Outcome {
    /// The latencies of successful responses, in nanoseconds.
    latency: Histogram<u64>,
    /// How many requests failed, by failure.
    pub(super) failures: BTreeMap<String, u64>,
    /// The duration of the run.
    pub(super) elapsed: Duration,
}

impl Default for Outcome {
    fn default() -> Self {
        // Digits from 0 to 5 are valid.
        let latency = Histogram::new(DIGITS).expect("a valid number of digits");
        Self {
            latency,
            failures: BTreeMap::new(),
            elapsed: Duration::ZERO,
        }
    }
}

impl Outcome {
    /// Count a successful response.
    pub(super) fn succeed(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        // The histogram grows with its values; only memory could run out.
        let _ = self.latency.record(nanos);
    }

    /// Count a failure.
    pub(super) fn fail(&mut self, failure: &Failure) {
        let failure = failure.to_string();
        let failure = if self.failures.len() < FAILURES_MAX || self.failures.contains_key(&failure)
        {
            failure
        } else {
            String::from("other failures")
        };
        *self.failures.entry(failure).or_default() += 1;
    }

    /// Add the counts of another client.
    pub(super) fn merge(&mut self, other: Self) {
        // As for recording: the histogram grows to the range of the other one.
        let _ = self.latency.add(other.latency);
        for (failure, count) in other.failures {
            *self.failures.entry(failure).or_default() += count;
        }
    }

    /// The number of successful responses.
    pub(super) fn count(&self) -> u64 {
        self.latency.len()
    }

    /// The longest latency, rounded up to two significant digits.
    pub(super) fn max(&self) -> Duration {
        Duration::from_nanos(self.latency.max())
    }

    /// The mean latency; zero without responses.
    pub(super) fn mean(&self) -> Duration {
        Duration::from_secs_f64(self.latency.mean() / 1e9)
    }

    /// The latency that this percentage of responses did not exceed; zero without responses.
    pub(super) fn percentile(&self, percent: f64) -> Duration {
        let nanos = self.latency.value_at_percentile(percent);
        Duration::from_nanos(nanos.min(self.latency.max()))
    }

    /// The number of responses at or below each of the ascending `bounds` and above the one before.
    pub(super) fn counts(&self, bounds: &[Duration]) -> Vec<u64> {
        let mut counts = vec![0; bounds.len()];
        for step in self.latency.iter_recorded() {
            let nanos = step.value_iterated_to().min(self.latency.max());
            let latency = Duration::from_nanos(nanos);
            let row = bounds.partition_point(|bound| *bound < latency);
            if let Some(row) = counts.get_mut(row) {
                *row += step.count_at_value();
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_responses_everything_is_zero() {
        let empty = Outcome::default();
        assert_eq!(empty.mean(), Duration::ZERO);
        assert_eq!(empty.percentile(99.9), Duration::ZERO);
        assert_eq!((empty.count(), empty.max()), (0, Duration::ZERO));
    }

    #[test]
    fn clients_are_added_up() {
        let mut all = Outcome::default();
        for millis in 1..=100 {
            let mut client = Outcome::default();
            client.succeed(Duration::from_millis(millis));
            all.merge(client);
        }
        all.succeed(Duration::from_secs(7200));
        assert_eq!(all.count(), 101);
        let near = |found: Duration, exact: u64| {
            let (found, exact) = (found.as_secs_f64(), exact as f64 / 1e3);
            assert!((found - exact).abs() <= exact / 100.0, "{found} {exact}");
        };
        near(all.percentile(50.0), 51);
        near(all.percentile(99.0), 100);
        near(all.max(), 7_200_000);
        let bounds = [10, 50, 7_300_000].map(Duration::from_millis);
        assert_eq!(all.counts(&bounds).iter().sum::<u64>(), 101);
    }

    #[test]
    fn rare_failures_are_counted_together() {
        let mut outcome = Outcome::default();
        for number in 0..FAILURES_MAX + 5 {
            let number = u16::try_from(number).expect("few");
            outcome.fail(&Failure::Status(number, None));
        }
        assert_eq!(outcome.failures.len(), FAILURES_MAX + 1);
        assert_eq!(outcome.failures.get("other failures"), Some(&5));
    }
}
