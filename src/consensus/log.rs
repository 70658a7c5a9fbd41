//! The part of the replicated log that is in memory, as the raft crate reads it.
//!
//! Invariant: `entries[i]` has index `before.index + 1 + i`. What is on disk and what is not yet is the
//! raft crate's own account; an entry is here from the moment it is handed to the disk.

use std::cell::Cell;
use std::collections::VecDeque;

use raft::eraftpb::{Entry, Snapshot};
use raft::{Error, GetEntriesContext, RaftState, Storage, StorageError};

use super::convert;
use crate::wal::{HardState, SnapshotMeta};

/// How many bytes of entries may stay behind a snapshot; the older go first.
const TRAILING_BYTES: u64 = 16 << 20;

/// The log in memory.
pub(super) struct Log {
    /// The index and term right before the first entry.
    before: (u64, u64),
    entries: VecDeque<Entry>,
    /// The latest snapshot that is durable here: what a follower that is too far behind is sent.
    snapshot: SnapshotMeta,
    /// What the raft crate starts from.
    initial: RaftState,
    bytes: u64,
    /// How many applied entries stay behind a snapshot, so that a follower that was away for a moment
    /// catches up without one.
    trailing_entries: u64,
    /// Whether a follower needs a snapshot newer than the one there is.
    newer_wanted: Cell<bool>,
}

impl Log {
    /// The log as it was recovered: a snapshot, and the entries after it. Behind a later snapshot it
    /// will keep up to `trailing_entries`.
    pub(super) fn new(
        hard_state: HardState,
        snapshot: SnapshotMeta,
        entries: Vec<crate::wal::Entry>,
        trailing_entries: u64,
    ) -> Self {
        let initial = RaftState {
            hard_state: convert::hard_state_in(hard_state),
            conf_state: convert::configuration_in(&snapshot.configuration),
        };
        let entries: VecDeque<Entry> = entries.into_iter().map(convert::entry_in).collect();
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

    /// Take `new` entries; they replace what was there from the first one's index on.
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

    /// A snapshot from the leader replaces everything.
    pub(super) fn reset(&mut self, snapshot: SnapshotMeta) {
        self.before = (snapshot.index, snapshot.term);
        self.entries.clear();
        self.bytes = 0;
        self.snapshot = snapshot;
    }

    /// A snapshot of our own is durable: what it covers may go, but for a tail.
    pub(super) fn compact(&mut self, snapshot: SnapshotMeta) {
        let covered = snapshot.index;
        self.snapshot = snapshot;
        while let Some(front) = self.entries.front() {
            let behind = covered.saturating_sub(front.index);
            let excess = behind >= self.trailing_entries || self.bytes > TRAILING_BYTES;
            if front.index > covered || !excess {
                break;
            }
            self.before = (front.index, front.term);
            self.bytes -= size(front);
            self.entries.pop_front();
        }
    }

    /// The latest snapshot that is durable here.
    pub(super) fn snapshot_mark(&self) -> &SnapshotMeta {
        &self.snapshot
    }

    /// Whether a follower needs a newer snapshot than [`Log::snapshot_mark`]; says so once.
    pub(super) fn take_newer_wanted(&self) -> bool {
        self.newer_wanted.take()
    }

    fn last(&self) -> u64 {
        self.before.0 + self.entries.len() as u64
    }

    /// The position of the entry `index`; the caller made sure that it is above `before`.
    fn position(&self, index: u64) -> usize {
        usize::try_from(index - self.before.0 - 1).unwrap_or(usize::MAX)
    }
}

impl Storage for Log {
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
        for entry in self.entries.range(self.position(low)..self.position(high)) {
            let size = size(entry);
            // At least one, whatever its size, or an entry above the limit would never travel.
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
        // The snapshot's own term is known even where its entry is gone.
        if index == self.snapshot.index {
            return Ok(self.snapshot.term);
        }
        if index < before {
            return Err(Error::Store(StorageError::Compacted));
        }
        self.entries
            .get(self.position(index))
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
        // A member refuses a snapshot from before it was one: it would not be in its own configuration.
        if self.snapshot.index < request_index || !self.snapshot.configuration.contains(to) {
            self.newer_wanted.set(true);
            return Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable));
        }
        Ok(convert::snapshot_in(&self.snapshot))
    }
}

/// What an entry counts for towards limits: its payload and a little for the rest.
fn size(entry: &Entry) -> u64 {
    (entry.data.len() + entry.context.len() + 32) as u64
}
