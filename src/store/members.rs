//! The members of the cluster, according to the membership entries of the log.

use imbl::OrdMap;

use crate::cluster::{Member, MemberId};

/// The members and their keys in the tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Members {
    by_id: OrdMap<MemberId, Entry>,
}

/// A member, and the index at which its key was written; the key belongs to this member as long as it has that
/// index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) member: Member,
    pub(super) written: u64,
}

impl Members {
    /// The member with this id.
    pub(super) fn get(&self, id: MemberId) -> Option<&Entry> {
        self.by_id.get(&id)
    }

    /// All members, by id.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.by_id.values()
    }

    /// Add or replace a member.
    pub(super) fn put(&mut self, member: Member, written: u64) {
        self.by_id.insert(member.id, Entry { member, written });
    }

    /// Remove a member.
    pub(super) fn remove(&mut self, id: MemberId) -> Option<Entry> {
        self.by_id.remove(&id)
    }
}
