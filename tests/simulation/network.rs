//! The simulated network: links that are cut, and lost, repeated and delayed messages.

use std::time::Duration;

use crate::random::Random;

/// The state of the links between members, which are numbered from 0.
#[derive(Default)]
pub struct Network {
    /// Links that are cut, once for each fault that cut them.
    cut: Vec<(usize, usize)>,
    /// Dropped messages per thousand.
    pub loss: u64,
    /// Messages per thousand that arrive twice, the second time late.
    pub repeat: u64,
    /// Addition to the maximum delay of a message, in microseconds.
    pub delay_more: u64,
}

/// Default minimum and maximum delay of a message, in microseconds.
const DELAY: (u64, u64) = (40, 400);

impl Network {
    /// Cut the link from `from` to `to`, in this direction only.
    pub fn cut(&mut self, from: usize, to: usize) {
        self.cut.push((from, to));
    }

    /// Restore a link, for one of the faults that cut it.
    pub fn restore(&mut self, from: usize, to: usize) {
        if let Some(position) = self.cut.iter().position(|link| *link == (from, to)) {
            self.cut.swap_remove(position);
        }
    }

    /// Whether the links in both directions are open.
    pub fn is_open(&self, one: usize, other: usize) -> bool {
        !self.cut.contains(&(one, other)) && !self.cut.contains(&(other, one))
    }

    /// Restore all links and settings.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// The delays of a message that is delivered never, once or twice.
    pub fn deliveries(&self, from: usize, to: usize, random: &mut Random) -> [Option<Duration>; 2] {
        if self.cut.contains(&(from, to)) || random.permille(self.loss) {
            return [None, None];
        }
        let (least, most) = (DELAY.0, DELAY.1 + self.delay_more);
        let again = random
            .permille(self.repeat)
            .then(|| random.micros(least, most * 10));
        [Some(random.micros(least, most)), again]
    }
}
