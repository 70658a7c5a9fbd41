//! The hash of a store.

use super::super::Store;
use super::encode::replicated;

/// A hash of the replicated state: tree, index, clock, command ids and members. Equal stores have equal hashes,
/// and different stores have different ones almost surely; the hash is not cryptographic.
///
/// It takes as long as encoding an image. Use a clone of the store, outside its lock.
pub fn hash(store: &Store) -> u64 {
    let mut record_bytes = Vec::new();
    let mut hash = 0;
    for record in replicated(store) {
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

/// Add a word. The step is a bijection of the hash for a given word, and of the word for a given hash, so a
/// difference in a single word always changes the result.
fn mix(hash: u64, word: u64) -> u64 {
    let mixed = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 32)).wrapping_add(0x2545_f491_4f6c_dd1d)
}
