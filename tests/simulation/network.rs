//! The simulated network: who can reach whom, and how late, how often, and whether at all.

use std::time::Duration;

use crate::random::Random;

/// How the links between members behave just now. Members are numbered from 0.
#[derive(Default)]
pub struct Network {
    /// Links that carry nothing, as often as something cut them.
    cut: Vec<(usize, usize)>,
    /// Messages dropped, in a thousand.
    pub loss: u64,
    /// Messages that arrive twice, the second time late, in a thousand.
    pub repeat: u64,
    /// What the longest delay of a message is more than usual, in microseconds.
    pub delay_more: u64,
}

/// The shortest and the longest usual delay of a message, in microseconds.
const DELAY: (u64, u64) = (40, 400);

impl Network {
    /// Nothing gets from `from` to `to` any more; the other way round is another matter.
    pub fn cut(&mut self, from: usize, to: usize) {
        self.cut.push((from, to));
    }

    /// One that cut this link cuts it no longer.
    pub fn mend(&mut self, from: usize, to: usize) {
        if let Some(place) = self.cut.iter().position(|link| *link == (from, to)) {
            self.cut.swap_remove(place);
        }
    }

    /// Whether each can say something to the other.
    pub fn is_open(&self, one: usize, other: usize) -> bool {
        !self.cut.contains(&(one, other)) && !self.cut.contains(&(other, one))
    }

    /// All is well again.
    pub fn heal(&mut self) {
        *self = Self::default();
    }

    /// After how long a message arrives: not at all, once, or twice.
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
