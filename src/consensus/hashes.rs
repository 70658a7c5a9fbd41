//! The hashes of the members' stores: at the same index they must be equal.

use std::collections::VecDeque;

use tracing::error;

use crate::cluster::MemberId;
use crate::store::Store;

/// How many hashes are kept for comparison: of this member, and of all others together.
const HASHES_MAX: usize = 32;

/// A hash to compute outside the driver's thread.
pub struct HashJob {
    /// The applied index.
    pub index: u64,
    /// The store as of that index; a clone that shares its structure.
    pub store: Store,
}

/// The latest hashes of this member and of the others.
#[derive(Default)]
pub(super) struct Hashes {
    /// Index and hash.
    own: VecDeque<(u64, u64)>,
    /// Member, index and hash.
    others: VecDeque<(MemberId, u64, u64)>,
}

impl Hashes {
    /// Add a hash of this member. Returns true if another member's hash at the same index differs.
    pub(super) fn add_own(&mut self, index: u64, hash: u64) -> bool {
        keep(&mut self.own, (index, hash));
        let same_index = self.others.iter().filter(|(_, at, _)| *at == index);
        same_index
            .map(|&(member, _, other)| is_different(member, index, hash, other))
            .fold(false, |a, b| a | b)
    }

    /// Add a hash of another member. Returns true if this member's hash at the same index differs.
    pub(super) fn add_other(&mut self, member: MemberId, index: u64, hash: u64) -> bool {
        keep(&mut self.others, (member, index, hash));
        let own = self.own.iter().find(|(at, _)| *at == index);
        own.is_some_and(|&(_, own)| is_different(member, index, own, hash))
    }
}

fn keep<T>(hashes: &mut VecDeque<T>, hash: T) {
    if hashes.len() == HASHES_MAX {
        hashes.pop_front();
    }
    hashes.push_back(hash);
}

/// Compare two hashes at the same index, and log a difference.
fn is_different(member: MemberId, index: u64, own: u64, other: u64) -> bool {
    if own != other {
        error!(
            %member,
            index,
            own = format_args!("{own:016x}"),
            other = format_args!("{other:016x}"),
            "ALARM: store differs from another member's at the same index, one of them is damaged \
             (compare /hash of all members, then restart the member that differs from the rest \
             with an empty data directory)"
        );
    }
    own != other
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_noticed_in_either_order() {
        let other = MemberId::new(2).expect("not zero");
        let mut hashes = Hashes::default();
        assert!(!hashes.add_own(10, 1));
        assert!(!hashes.add_other(other, 10, 1));
        assert!(hashes.add_other(other, 10, 2));
        assert!(!hashes.add_other(other, 20, 5));
        assert!(hashes.add_own(20, 6));
    }
}
