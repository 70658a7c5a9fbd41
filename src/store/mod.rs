//! The tree of keys: pure, deterministic, and the same on every member.
//!
//! A [`Stamped`] command goes into [`Store::apply`], an [`Event`] or an [`Error`] comes out. In reading
//! order:
//!
//! - `path`, `command`, `event`, `error`, `time`: inputs and outputs.
//! - `node`, `tree`: the keys. `members`: the members. `applied`: the ids of applied commands.
//! - `apply`: a file for each verb. `reserved`: the keys that clients cannot write.
//! - `listing`: the result of a read. `history`, `interest`, `watcher_index`: past events, and the watchers
//!   of an event.
//! - `image`: the encoding of the whole store, and its hash. `codec`: the encoding of a command.

mod applied;
mod apply;
mod binary;
pub mod codec;
pub mod command;
mod counters;
pub mod error;
pub mod event;
mod event_filter;
pub mod history;
pub mod image;
mod interest;
mod listing;
mod lossy;
mod members;
mod node;
pub mod path;
pub mod reserved;
#[cfg(test)]
mod tests;
pub mod time;
mod tree;
mod watcher_index;

use std::sync::Arc;

pub use apply::EXPIRE_MAX;
pub use binary::Malformed;
pub use command::{Command, CommandId, Condition, Content, Stamped};
pub use counters::Counts;
pub use error::{Code, Error};
pub use event::{Action, Event, NodeView};
pub use history::{HistoryLimits, PastEvents};
pub use interest::Interest;
pub use listing::{FoundNode, Listing};
pub use lossy::lossy;
pub use path::{Path, PathError};
pub use time::ClusterTime;
pub use watcher_index::WatcherIndex;

use bytes::Bytes;

use crate::cluster::{Member, MemberId};
use applied::Applied;
use counters::{Counter, Counters};
use history::History;
use members::Members;
use tree::Tree;

/// The replicated state of the cluster, and this member's counters.
///
/// A clone is cheap, independent of the size, and does not see later changes; only the counters are shared by
/// all clones.
#[derive(Clone)]
pub struct Store {
    index: u64,
    clock: ClusterTime,
    tree: Tree,
    members: Members,
    applied: Applied,
    history: History,
    counters: Arc<Counters>,
}

impl Store {
    /// An empty store, before the first command.
    pub fn new(limits: HistoryLimits) -> Self {
        Self {
            index: 0,
            clock: ClusterTime::ZERO,
            tree: Tree::new(),
            members: Members::default(),
            applied: Applied::default(),
            history: History::new(limits, 0),
            counters: Arc::default(),
        }
    }

    /// The index of the last change.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The cluster's clock as of the last applied entry.
    pub fn clock(&self) -> ClusterTime {
        self.clock
    }

    /// The next deadline of a key or directory; a [`Command::Expire`] with that stamp or a later one removes it.
    pub fn next_deadline(&self) -> Option<ClusterTime> {
        self.tree.next_deadline().map(|&(deadline, _)| deadline)
    }

    /// The next deadline after `time`.
    pub fn next_deadline_after(&self, time: ClusterTime) -> Option<ClusterTime> {
        self.tree.next_deadline_after(time)
    }

    /// The members, by id.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.entries().map(|entry| &entry.member)
    }

    /// Whether this id is that of a removed member, which is never used again. About the last thousand are
    /// remembered.
    pub fn is_removed(&self, id: MemberId) -> bool {
        self.applied.is_closed(id)
    }

    /// The ids of the removed members.
    pub fn removed_ids(&self) -> impl Iterator<Item = MemberId> {
        self.applied.closed()
    }

    /// The cluster's settings; none if they were never written.
    pub fn settings(&self) -> Option<Bytes> {
        let path = Path::parse(reserved::CONFIG).ok()?;
        self.tree.get(&path)?.value.clone()
    }

    /// The counters of this member since it started.
    pub fn counters(&self) -> Counts {
        self.counters.counts()
    }

    /// Continue the counters of `before`, which this store replaces after a snapshot.
    pub fn keep_counting(&mut self, before: &Self) {
        self.counters = Arc::clone(&before.counters);
    }

    /// The number of keys and directories that were not written by the cluster itself.
    pub fn client_keys(&self) -> usize {
        let keys = self.tree.nodes().keys();
        keys.filter(|path| !reserved::is_internal(path)).count()
    }

    /// The node at `path`; cheap, so that it can be called under a lock and listed after the lock is released.
    ///
    /// # Errors
    ///
    /// - [`Code::KeyNotFound`]: the key or one of its parents is missing; names the first missing one.
    /// - [`Code::NotDirectory`]: one of its parents is a file; names that file.
    pub fn get(&self, path: &Path) -> Result<FoundNode, Error> {
        let found = self.tree.find(path, self.index);
        self.counters
            .count_result(&found, Counter::GetsSuccess, Counter::GetsFail);
        found.map(|node| FoundNode::new(path, node, self.tree.nodes()))
    }

    /// The past events that match `interest`, from index `since`. If there are more than `limit`, or more than
    /// [`history::SCAN_MAX`] events would have to be examined, the answer contains the index to continue from.
    /// It is empty for an index in the future.
    ///
    /// # Errors
    ///
    /// [`Code::EventIndexCleared`]: events from index `since` are no longer in the history.
    pub fn history_since(
        &self,
        interest: &Interest,
        since: u64,
        limit: usize,
    ) -> Result<PastEvents, Error> {
        self.history.since(interest, since, limit, self.index)
    }
}
