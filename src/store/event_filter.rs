//! A few bits that show whether an event can match an interest.

use super::{Event, Interest};

/// The keys of an event, as two small Bloom filters: a bit may be set by other keys too, but no bit of a key is
/// missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct EventFilter {
    /// The bits of its key, and of the keys that were removed with it.
    at: u32,
    /// The bits of the directories above its key.
    above: u32,
}

impl EventFilter {
    /// Build the filter of an event.
    pub(super) fn from_event(event: &Event) -> Self {
        let mut filter = Self::default();
        let text = event.node.path.text();
        let mut hash = SEED;
        for byte in text.bytes() {
            if byte == b'/' {
                // The text up to here is a directory above; the first time it is the root.
                filter.above |= bits(hash);
            }
            hash = step(hash, byte);
        }
        filter.at = bits(if event.node.path.is_root() {
            SEED
        } else {
            hash
        });
        for removed in &event.removed {
            filter.at |= bits(hash_of(removed.prefix()));
        }
        filter
    }

    /// The bits that an interest requires.
    pub(super) fn wanted(interest: &Interest) -> u32 {
        bits(hash_of(interest.path.prefix()))
    }

    /// Whether an event with this filter can match an interest that requires these bits.
    pub(super) fn may_match(self, wanted: u32, recursive: bool) -> bool {
        self.at & wanted == wanted || (recursive && self.above & wanted == wanted)
    }
}

/// The seed of FNV-1a, whose value for each directory above is available at its slash.
const SEED: u64 = 0xcbf2_9ce4_8422_2325;

fn step(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
}

fn hash_of(text: &str) -> u64 {
    text.bytes().fold(SEED, step)
}

/// Two of the 32 bits.
fn bits(hash: u64) -> u32 {
    let mixed = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    1 << (mixed >> 59) | 1 << ((mixed >> 54) & 31)
}
