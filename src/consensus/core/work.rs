//! What goes into a core at the start, and the work that comes out of it.

use crate::cluster::{Member, MemberId};
use crate::consensus::hashes::HashJob;
use crate::consensus::message::Message;
use crate::consensus::snapshot_schedule::SnapshotJob;
use crate::wal::{Batch, Entry, HardState, SnapshotMeta};

/// The state that a member recovered from its disk.
pub struct Recovered {
    /// Raft's hard state.
    pub hard_state: HardState,
    /// The snapshot the store was decoded from.
    pub snapshot: SnapshotMeta,
    /// The entries after it.
    pub entries: Vec<Entry>,
}

/// What the driver has to do, in the order of the fields, except that `messages` may leave at once.
#[derive(Default)]
pub struct Work {
    /// Messages to other members.
    pub messages: Vec<Message>,
    /// A write for the disk; its number goes to [`Core::persisted`](super::Core::persisted) once it is
    /// synced.
    pub write: Option<WalWrite>,
    /// A snapshot to encode and write outside the driver's thread.
    pub snapshot: Option<SnapshotJob>,
    /// A hash to compute outside the driver's thread.
    pub hash: Option<HashJob>,
    /// The members with their current peer URLs, if something about them changed.
    pub members: Option<Vec<Member>>,
    /// The ids of all removed members, if there are more of them on this disk than before. A peer that
    /// connects with one of them is told of its removal. It must not be told earlier: this member might
    /// crash and forget the removal.
    pub removed_ids: Option<Vec<MemberId>>,
}

/// A write for the write-ahead log.
#[derive(Debug)]
pub struct WalWrite {
    /// Its number; each is larger than the one before.
    pub number: u64,
    /// The content.
    pub batch: Batch,
}
