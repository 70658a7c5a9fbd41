//! The simulated network: who can reach whom, and how late, how often, and whether at all.

use std::collections::HashSet;
use std::time::Duration;

use crate::random::Random;

/// How the links between members behave just now. Members are numbered from 0.
pub struct Network {
    cut: HashSet<(usize, usize)>,
    /// Messages dropped, in a thousand.
    pub loss: u64,
    /// Messages that arrive twice, in a thousand.
    pub repeat: u64,
    /// The longest delay of a message, in microseconds; the shortest is 50.
    pub delay_max: u64,
}

impl Network {
    pub fn new() -> Self {
        Self {
            cut: HashSet::new(),
            loss: 0,
            repeat: 0,
            delay_max: 500,
        }
    }

    /// Nothing gets from `from` to `to` any more; the other way round is another matter.
    pub fn cut(&mut self, from: usize, to: usize) {
        self.cut.insert((from, to));
    }

    /// All is well again.
    pub fn heal(&mut self) {
        *self = Self::new();
    }

    /// After how long a message arrives: not at all, once, or twice.
    pub fn deliveries(&self, from: usize, to: usize, random: &mut Random) -> Vec<Duration> {
        if self.cut.contains(&(from, to)) || random.permille(self.loss) {
            return Vec::new();
        }
        let mut deliveries = vec![random.micros(50, self.delay_max)];
        if random.permille(self.repeat) {
            deliveries.push(random.micros(50, self.delay_max * 10));
        }
        deliveries
    }
}
