//! What everyone may read: the applied state and where this member stands.

use std::time::Instant;

use super::handle::Position;
use crate::cluster::MemberId;
use crate::store::{ClusterTime, Store};

/// This member's applied state. The driver writes it once per batch; all others read.
pub struct View {
    /// The tree.
    pub store: Store,
    /// The index of the last applied entry.
    pub raft_index: u64,
    /// This member's term.
    pub raft_term: u64,
    /// What this member is for Raft.
    pub role: Role,
    /// Who leads, if this member knows.
    pub leader: Option<MemberId>,
    /// A reading of the cluster's clock, and when it was taken.
    pub clock: (ClusterTime, Instant),
}

/// What a member is for Raft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It leads.
    Leader,
    /// It follows, or learns.
    Follower,
    /// It asks for votes.
    Candidate,
}

impl View {
    /// The cluster's clock now.
    pub fn now(&self) -> ClusterTime {
        let (reading, taken) = self.clock;
        reading.plus(taken.elapsed())
    }

    /// Where the store and the log stand.
    pub fn position(&self) -> Position {
        Position {
            index: self.store.index(),
            raft_index: self.raft_index,
            raft_term: self.raft_term,
        }
    }
}
