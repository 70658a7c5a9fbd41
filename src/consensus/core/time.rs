//! Whose clock this member goes by.

use std::time::Duration;

use super::Core;
use crate::consensus::clock::Clock;
use crate::consensus::message::{RaftKind, RaftMessage};
use crate::store::{ClusterTime, codec};
use crate::wal::{Entry, EntryKind, SnapshotMeta};

/// The clock of a member that starts with what it recovered; `reading` is the snapshot's.
pub(super) fn recovered(
    reading: ClusterTime,
    snapshot: &SnapshotMeta,
    entries: &[Entry],
    now: Duration,
) -> Clock {
    let mut clock = Clock::new(reading, now);
    clock.follow(snapshot.term, reading, now);
    for entry in entries {
        if let Some(stamp) = stamp_of(entry) {
            clock.follow(entry.term, stamp, now);
        }
    }
    clock
}

impl Core {
    /// A message tells a leader's reading of the clock: a heartbeat does, and the stamp of the last entry.
    pub(super) fn follow_clock(&mut self, message: &RaftMessage, now: Duration) {
        if message.term < self.term() {
            return;
        }
        if message.kind == RaftKind::Heartbeat
            && let Some(reading) = message.clock
        {
            self.clock.follow(message.term, reading, now);
        }
        if let Some(entry) = message.entries.last()
            && message.kind == RaftKind::Append
            && let Some(stamp) = stamp_of(entry)
        {
            self.clock.follow(entry.term, stamp, now);
        }
    }
}

/// When the leader that appended it read what; the empty entry of a new leader tells nothing.
fn stamp_of(entry: &Entry) -> Option<ClusterTime> {
    match entry.kind {
        EntryKind::Command => codec::stamp_of(&entry.data),
        EntryKind::Membership => None,
    }
}
