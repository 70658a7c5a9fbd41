//! A store into a number.

use super::super::Store;
use super::encode::agreed;

/// A hash of everything members must agree on: tree, index, clock, command ids and members. Equal stores
/// have equal hashes, and two that differ almost surely don't; it withstands accident, not intent.
///
/// It takes the time of writing an image; made from a clone it holds nobody up.
pub fn hash(store: &Store) -> u64 {
    let mut record_bytes = Vec::new();
    let mut hash = 0;
    for record in agreed(store) {
        record_bytes.clear();
        record.put(&mut record_bytes);
        hash = mix(hash, record_bytes.len() as u64);
        let (words, tail) = record_bytes.as_chunks();
        for word in words {
            hash = mix(hash, u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        for (to, from) in last.iter_mut().zip(tail) {
            *to = *from;
        }
        hash = mix(hash, u64::from_le_bytes(last));
    }
    mix(hash, 0)
}

/// One word more. For one word each step is a bijection of the hash, and for one hash of the word, so a
/// difference in a single word always shows.
fn mix(hash: u64, word: u64) -> u64 {
    let mixed = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 32)).wrapping_add(0x2545_f491_4f6c_dd1d)
}
