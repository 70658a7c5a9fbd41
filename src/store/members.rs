//! The machines of the cluster, as the membership entries of the log describe them.

use imbl::OrdMap;

use crate::cluster::{Member, MemberId};

/// Who is a member, and which key of the tree says so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Members {
    by_id: OrdMap<MemberId, Entry>,
}

/// A member and the index at which its key was written; while the key still has that index it is this
/// member's.
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

    /// All, by id.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.by_id.values()
    }

    /// Add a member, or replace what was known of it.
    pub(super) fn put(&mut self, member: Member, written: u64) {
        self.by_id.insert(member.id, Entry { member, written });
    }

    /// Take a member out.
    pub(super) fn remove(&mut self, id: MemberId) -> Option<Entry> {
        self.by_id.remove(&id)
    }
}
