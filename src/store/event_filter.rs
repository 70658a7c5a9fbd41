//! A few bits that tell whether an event can be of interest.

use super::{Event, Interest};

/// Which keys an event is about, as two small Bloom filters: bits may be set by other keys too, but no
/// bit of a key is ever missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct EventFilter {
    /// Of the key it happened at and of those that went with it.
    at: u32,
    /// Of the directories above the key it happened at.
    above: u32,
}

impl EventFilter {
    /// The mark of an event.
    pub(super) fn of(event: &Event) -> Self {
        let mut mark = Self::default();
        let text = event.node.path.text();
        let mut hash = SEED;
        for byte in text.bytes() {
            if byte == b'/' {
                // What was read up to here is a directory above; the first time it is the root.
                mark.above |= bits(hash);
            }
            hash = step(hash, byte);
        }
        mark.at = bits(if event.node.path.is_root() {
            SEED
        } else {
            hash
        });
        for removed in &event.removed {
            mark.at |= bits(hash_of(removed.prefix()));
        }
        mark
    }

    /// The bits an interest looks for.
    pub(super) fn wanted(interest: &Interest) -> u32 {
        bits(hash_of(interest.path.prefix()))
    }

    /// Whether an event with this mark can match an interest that wants these bits.
    pub(super) fn may_match(self, wanted: u32, recursive: bool) -> bool {
        self.at & wanted == wanted || (recursive && self.above & wanted == wanted)
    }
}

/// FNV-1a: it can be read off at every slash on the way.
const SEED: u64 = 0xcbf2_9ce4_8422_2325;

fn step(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
}

fn hash_of(text: &str) -> u64 {
    text.bytes().fold(SEED, step)
}

/// Two of 32 bits.
fn bits(hash: u64) -> u32 {
    let mixed = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    1 << (mixed >> 59) | 1 << ((mixed >> 54) & 31)
}
