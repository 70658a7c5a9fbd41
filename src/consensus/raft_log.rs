//! The part of the replicated log that is in memory: the raft crate's storage.
//!
//! Invariant: `entries[i]` has index `before.index + 1 + i`. The raft crate keeps account of what is on
//! disk; an entry is here from the moment its write is queued.

use std::cell::Cell;
use std::collections::VecDeque;

use raft::eraftpb::{Entry, Snapshot};
use raft::{Error, GetEntriesContext, RaftState, Storage, StorageError};

use super::convert;
use crate::wal::{HardState, SnapshotMeta};

/// How many bytes of entries are kept behind a snapshot at most; older entries are dropped first.
const TRAILING_BYTES_MAX: u64 = 16 << 20;

/// The log in memory.
pub(super) struct RaftLog {
    /// The index and term right before the first entry.
    before: (u64, u64),
    entries: VecDeque<Entry>,
    /// The latest snapshot that is durable here; sent to a follower that is too far behind.
    snapshot: SnapshotMeta,
    /// The state the raft crate starts from.
    initial: RaftState,
    bytes: u64,
    /// How many applied entries are kept behind a snapshot, so that a follower that was away for a moment
    /// catches up without one.
    trailing_entries: u64,
    /// Whether a follower needs a newer snapshot than `snapshot`.
    newer_wanted: Cell<bool>,
}

impl RaftLog {
    /// The recovered log: a snapshot, and the entries after it. Behind later snapshots it keeps up to
    /// `trailing_entries`.
    pub(super) fn new(
        hard_state: HardState,
        snapshot: SnapshotMeta,
        entries: Vec<crate::wal::Entry>,
        trailing_entries: u64,
    ) -> Self {
        let initial = RaftState {
            hard_state: convert::to_raft_hard_state(hard_state),
            conf_state: convert::to_raft_configuration(&snapshot.configuration),
        };
        let entries: VecDeque<Entry> = entries.into_iter().map(convert::to_raft_entry).collect();
        let bytes = entries.iter().map(size).sum();
        let before = (snapshot.index, snapshot.term);
        Self {
            before,
            entries,
            snapshot,
            initial,
            bytes,
            trailing_entries,
            newer_wanted: Cell::new(false),
        }
    }

    /// Append `new` entries; they replace all entries from the first new index on.
    pub(super) fn append(&mut self, new: &[Entry]) {
        let Some(first) = new.first() else { return };
        assert!(
            first.index > self.before.0 && first.index <= self.last() + 1,
            "entry {} does not fit a log of {}..={}",
            first.index,
            self.before.0 + 1,
            self.last()
        );
        while self.last() >= first.index {
            self.bytes -= self.entries.pop_back().as_ref().map_or(0, size);
        }
        for entry in new {
            self.bytes += size(entry);
            self.entries.push_back(entry.clone());
        }
    }

    /// Replace the whole log by a snapshot from the leader.
    pub(super) fn reset(&mut self, snapshot: SnapshotMeta) {
        self.before = (snapshot.index, snapshot.term);
        self.entries.clear();
        self.bytes = 0;
        self.snapshot = snapshot;
    }

    /// A snapshot of this member is durable: drop the entries it covers, except for the trailing ones.
    pub(super) fn compact(&mut self, snapshot: SnapshotMeta) {
        let covered = snapshot.index;
        self.snapshot = snapshot;
        while let Some(front) = self.entries.front() {
            let behind = covered.saturating_sub(front.index);
            let excess = behind >= self.trailing_entries || self.bytes > TRAILING_BYTES_MAX;
            if front.index > covered || !excess {
                break;
            }
            self.before = (front.index, front.term);
            self.bytes -= size(front);
            self.entries.pop_front();
        }
    }

    /// The latest snapshot that is durable here.
    pub(super) fn snapshot_meta(&self) -> &SnapshotMeta {
        &self.snapshot
    }

    /// Whether a follower needs a newer snapshot than [`RaftLog::snapshot_meta`]; resets the flag.
    pub(super) fn take_newer_wanted(&self) -> bool {
        self.newer_wanted.take()
    }

    fn last(&self) -> u64 {
        self.before.0 + self.entries.len() as u64
    }

    /// The offset of the entry `index` in `entries`. Precondition: `index` is above `before`.
    fn offset(&self, index: u64) -> usize {
        usize::try_from(index - self.before.0 - 1).unwrap_or(usize::MAX)
    }
}

impl Storage for RaftLog {
    fn initial_state(&self) -> raft::Result<RaftState> {
        Ok(self.initial.clone())
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        if low <= self.before.0 {
            return Err(Error::Store(StorageError::Compacted));
        }
        if high > self.last() + 1 {
            return Err(Error::Store(StorageError::Unavailable));
        }
        let mut left = max_size.into().unwrap_or(u64::MAX);
        let mut out = Vec::new();
        for entry in self.entries.range(self.offset(low)..self.offset(high)) {
            let size = size(entry);
            // At least one entry, whatever its size; otherwise an entry above the limit is never sent.
            if !out.is_empty() && size > left {
                break;
            }
            left = left.saturating_sub(size);
            out.push(entry.clone());
        }
        Ok(out)
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        let (before, term) = self.before;
        if index == before {
            return Ok(term);
        }
        // The snapshot's own term is known even if its entry was dropped.
        if index == self.snapshot.index {
            return Ok(self.snapshot.term);
        }
        if index < before {
            return Err(Error::Store(StorageError::Compacted));
        }
        self.entries
            .get(self.offset(index))
            .map(|entry| entry.term)
            .ok_or(Error::Store(StorageError::Unavailable))
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.before.0 + 1)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.last())
    }

    fn snapshot(&self, request_index: u64, to: u64) -> raft::Result<Snapshot> {
        // A member refuses a snapshot whose configuration does not contain it.
        if self.snapshot.index < request_index || !self.snapshot.configuration.contains(to) {
            self.newer_wanted.set(true);
            return Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable));
        }
        Ok(convert::to_raft_snapshot(&self.snapshot))
    }
}

/// The size of an entry as counted towards limits: its payload and a constant overhead.
fn size(entry: &Entry) -> u64 {
    (entry.data.len() + entry.context.len() + 32) as u64
}
