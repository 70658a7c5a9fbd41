//! The random numbers of a simulated disk.

/// A generator (SplitMix64): the same seed gives the same numbers.
pub struct Random(pub u64);

impl Random {
    /// The next random number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: usize) -> usize {
        let limit = limit as u64;
        usize::try_from(self.number() % limit).unwrap_or(0)
    }

    /// True or false.
    pub fn coin(&mut self) -> bool {
        self.number() & 1 == 1
    }
}
