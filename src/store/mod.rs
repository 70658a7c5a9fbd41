//! The tree of keys: pure, deterministic, and the same on every member.
//!
//! A [`Stamped`] command goes into [`Store::apply`], an [`Event`] or an [`Error`] comes out. In the order
//! to read it:
//!
//! - `path`, `command`, `event`, `error`, `time`: what goes in and out.
//! - `node`, `tree`: what is kept. `members`, `applied`: who the members are, which commands were applied.
//! - `apply`: a file for each verb. `reserved`: the keys no client writes.
//! - `listing`: what a read finds. `history`, `interest`, `hub`: who hears of what, now and later.
//! - `image`: the whole store as bytes and as a hash. `codec`: a command as bytes.

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
pub use history::{HistoryLimits, Past};
pub use interest::Interest;
pub use listing::{Found, Listing};
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

/// Everything the cluster agrees on, and this member's counters.
///
/// A clone costs next to nothing however much it holds, and sees none of the later changes; the counters
/// alone are shared by all clones.
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

    /// When the next key or directory is due; an [`Command::Expire`] stamped then or later drops it.
    pub fn next_deadline(&self) -> Option<ClusterTime> {
        self.tree.next_deadline().map(|&(deadline, _)| deadline)
    }

    /// The soonest deadline after `time`.
    pub fn next_deadline_after(&self, time: ClusterTime) -> Option<ClusterTime> {
        self.tree.next_deadline_after(time)
    }

    /// The members, by id.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.entries().map(|entry| &entry.member)
    }

    /// Whether this id was a member's that was removed; it is never one again. The last thousand or so
    /// are remembered.
    pub fn is_removed(&self, id: MemberId) -> bool {
        self.applied.is_closed(id)
    }

    /// The ids of [`Store::is_removed`].
    pub fn removed(&self) -> impl Iterator<Item = MemberId> {
        self.applied.closed()
    }

    /// The cluster's settings as they were last written; none before.
    pub fn settings(&self) -> Option<Bytes> {
        let path = Path::parse(reserved::CONFIG).ok()?;
        self.tree.get(&path)?.value.clone()
    }

    /// How often what was done at this member since it started.
    pub fn counters(&self) -> Counts {
        self.counters.counts()
    }

    /// Go on counting where `before` stands: a store from a snapshot takes its place.
    pub fn keep_counting(&mut self, before: &Self) {
        self.counters = Arc::clone(&before.counters);
    }

    /// How many keys it holds that the cluster itself did not write, directories among them.
    pub fn client_keys(&self) -> usize {
        let keys = self.tree.nodes().keys();
        keys.filter(|path| !reserved::is_the_clusters(path)).count()
    }

    /// What is at `path`; cheap, so that it can be called under a lock and listed outside it.
    ///
    /// # Errors
    ///
    /// [`Code::KeyNotFound`] with the first key on the way that is missing, or [`Code::NotDirectory`]
    /// with the file that is in the way.
    pub fn get(&self, path: &Path) -> Result<Found, Error> {
        let found = self.tree.find(path, self.index);
        self.counters
            .count_result(&found, Counter::GetsSuccess, Counter::GetsFail);
        found.map(|node| Found::new(path, node, self.tree.nodes()))
    }

    /// What `interest` hears of from index `since` on, at most `limit` events: some of it, and where to
    /// ask again, when that is reached or [`history::SCAN_MAX`] events were looked at. An index that is
    /// yet to come has no past.
    ///
    /// # Errors
    ///
    /// [`Code::EventIndexCleared`] when events from `since` on are no longer there.
    pub fn history_since(
        &self,
        interest: &Interest,
        since: u64,
        limit: usize,
    ) -> Result<Past, Error> {
        self.history.since(interest, since, limit, self.index)
    }
}
