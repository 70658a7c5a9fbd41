//! How the driver answers a request: with a written event, or with the reason why there is none.

use std::sync::Arc;

use crate::store::{self, Event};

/// A write that was committed and applied at this member.
#[derive(Clone, Debug)]
pub struct Written {
    /// The event of the store, or the store's error.
    pub result: Result<Arc<Event>, store::Error>,
    /// The indices right after the write was applied.
    pub position: Position,
}

/// The indices of store and log that the headers `X-Etcd-Index`, `X-Raft-Index` and `X-Raft-Term` carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The store's index.
    pub index: u64,
    /// The index of the last applied entry.
    pub raft_index: u64,
    /// This member's term.
    pub raft_term: u64,
}

/// Why a request failed before the store could answer it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There was no leader for as long as a request waits. A write was not applied and will not be.
    NoLeader,
    /// The command was sent to a leader and not applied here in time. A write may still be applied.
    Unanswered,
    /// The bound on pending writes is reached. Nothing was done.
    Busy,
    /// This member is stopping. A write that was already sent to a leader may still be applied.
    Stopping,
}
