//! Which readings this member's clock follows.

use std::time::Duration;

use super::Core;
use crate::consensus::clock::Clock;
use crate::consensus::message::{RaftKind, RaftMessage};
use crate::store::{ClusterTime, codec};
use crate::wal::{Entry, EntryKind, SnapshotMeta};

/// The clock of a member that starts from its disk; `reading` is that of the snapshot.
pub(super) fn recover_clock(
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
    /// Follow the leader's reading of the clock in a message: that of a heartbeat, or the last entry's stamp.
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

/// The stamp of an entry: its leader's reading of the clock. The empty entry of a new leader has none.
fn stamp_of(entry: &Entry) -> Option<ClusterTime> {
    match entry.kind {
        EntryKind::Command => codec::stamp_of(&entry.data),
        EntryKind::Membership => None,
    }
}
