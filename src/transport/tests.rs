//! Members in one process, connected over loopback.

use bytes::Bytes;

use super::ConnectionPaths;
use crate::consensus::message::{Body, RaftKind, RaftMessage};
use crate::wal::{Entry, EntryKind};

/// The paths of the pages that become connections.
pub(super) const PATHS: ConnectionPaths = ConnectionPaths {
    messages: "/messages",
    snapshot: "/snapshot",
};

/// An empty message of the Raft protocol.
pub(super) fn raft(kind: RaftKind, index: u64) -> RaftMessage {
    RaftMessage {
        kind,
        term: 1,
        log_term: 0,
        index,
        entries: Vec::new(),
        commit: 0,
        commit_term: 0,
        reject: false,
        reject_hint: 0,
        request_snapshot: 0,
        context: Bytes::new(),
        snapshot: None,
        clock: None,
    }
}

/// A heartbeat.
pub(super) fn heartbeat(commit: u64) -> Body {
    Body::Raft(RaftMessage {
        commit,
        ..raft(RaftKind::Heartbeat, 0)
    })
}

/// An append of one entry of `bytes`.
pub(super) fn append(index: u64, bytes: usize) -> Body {
    Body::Raft(RaftMessage {
        entries: vec![Entry {
            index,
            term: 1,
            kind: EntryKind::Command,
            data: vec![7; bytes].into(),
        }],
        ..raft(RaftKind::Append, index - 1)
    })
}

mod endpoint;
mod exchange;
mod hostile;
mod snapshots;
