//! Latencies, counted in buckets that grow with them.

use std::time::Duration;

/// Buckets of a power of two; the error of a value is at most one part in this many.
const PRECISION: u64 = 128;

/// Log2 of `PRECISION`.
const PRECISION_BITS: u32 = 7;

/// Enough for every number of nanoseconds that 64 bits hold: `PRECISION` for each of the 57 highest
/// bits, and twice that for what is below.
const BUCKETS: usize = 128 * 58;

/// How often which latency was seen, to one part in 128.
#[derive(Clone, Debug)]
pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    sum: u128,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: vec![0; BUCKETS],
            count: 0,
            sum: 0,
            max: 0,
        }
    }
}

impl Histogram {
    /// Count one.
    pub fn record(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        if let Some(bucket) = self.buckets.get_mut(place(nanos)) {
            *bucket += 1;
        }
        self.count += 1;
        self.sum += u128::from(nanos);
        self.max = self.max.max(nanos);
    }

    /// Count everything another one counted.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.count += other.count;
        self.sum += other.sum;
        self.max = self.max.max(other.max);
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The longest, exactly.
    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.max)
    }

    /// The mean, exactly; zero if nothing was counted.
    pub fn mean(&self) -> Duration {
        let mean = self.sum.checked_div(u128::from(self.count));
        Duration::from_nanos(mean.map_or(0, |mean| u64::try_from(mean).unwrap_or(u64::MAX)))
    }

    /// The latency that `percent` of a hundred did not exceed; zero if nothing was counted.
    pub fn percentile(&self, percent: f64) -> Duration {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a rank between 0 and the count, rounded up"
        )]
        let rank =
            ((self.count as f64 * percent / 100.0).ceil() as u64).clamp(1, self.count.max(1));
        let mut seen = 0;
        for (place, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Duration::from_nanos(last_in(place).min(self.max));
            }
        }
        self.max()
    }

    /// How many lie at or below each of `bounds`, which ascend, and above the one before; what lies
    /// above the last is left out.
    pub fn counts(&self, bounds: &[Duration]) -> Vec<u64> {
        let mut counts = vec![0; bounds.len()];
        for (place, count) in self
            .buckets
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0)
        {
            let latency = Duration::from_nanos(last_in(place).min(self.max));
            let row = bounds.partition_point(|bound| *bound < latency);
            if let Some(row) = counts.get_mut(row) {
                *row += count;
            }
        }
        counts
    }
}

/// The bucket of a value: its highest eight bits, and how far they are from the end.
fn place(nanos: u64) -> usize {
    let bits = u64::BITS - nanos.leading_zeros();
    let shift = bits.saturating_sub(PRECISION_BITS + 1);
    let place = PRECISION * u64::from(shift) + (nanos >> shift);
    usize::try_from(place).unwrap_or(usize::MAX)
}

/// The largest value of a bucket.
fn last_in(place: usize) -> u64 {
    let place = place as u64;
    if place < 2 * PRECISION {
        return place;
    }
    let shift = place / PRECISION - 1;
    let top = place - PRECISION * shift;
    (top << shift) | ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_counted_is_zero() {
        let empty = Histogram::default();
        assert_eq!(empty.mean(), Duration::ZERO);
        assert_eq!(empty.percentile(99.9), Duration::ZERO);
    }

    #[test]
    fn the_longest_value_has_a_bucket() {
        let mut histogram = Histogram::default();
        histogram.record(Duration::from_nanos(u64::MAX));
        assert_eq!(place(u64::MAX), BUCKETS - 1);
        assert_eq!(histogram.percentile(50.0), histogram.max());
    }

    proptest! {
        #[test]
        fn a_bucket_is_as_near_as_promised(nanos: u64) {
            let last = last_in(place(nanos));
            prop_assert!(last >= nanos);
            prop_assert!(last - nanos <= nanos / PRECISION);
        }

        #[test]
        fn percentiles_are_those_of_the_sorted_values(
            mut values in proptest::collection::vec(0_u64..10_000_000_000, 1..200),
            percent in 0.1_f64..100.0,
        ) {
            let (mut left, mut whole) = (Histogram::default(), Histogram::default());
            for (number, value) in values.iter().enumerate() {
                let half = if number % 2 == 0 { &mut left } else { &mut whole };
                half.record(Duration::from_nanos(*value));
            }
            whole.merge(&left);
            values.sort_unstable();
            let rank = values.len() as f64 * percent / 100.0;
            let below = (0..values.len()).take_while(|place| ((*place + 1) as f64) < rank).count();
            let exact = values[below];
            let found = u64::try_from(whole.percentile(percent).as_nanos()).expect("fits");
            prop_assert!(found >= exact && found - exact <= exact / PRECISION);
            prop_assert_eq!(whole.counts(&[Duration::from_secs(20)]), vec![values.len() as u64]);
        }
    }
}
