//! What everyone may read: the applied state and where this member stands.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use super::clock::Clock;
use super::handle::Position;
use crate::cluster::MemberId;
use crate::store::{ClusterTime, Store};
use crate::wal::{Configuration, SnapshotMeta};

/// This member's applied state. The driver writes it once per batch; all others read.
pub struct AppliedState {
    /// The tree.
    pub store: Store,
    /// The index of the last applied entry.
    pub raft_index: u64,
    /// Who votes and who learns.
    pub configuration: Configuration,
    /// Where this member stands.
    pub standing: RaftStatus,
    /// How many watch at this member.
    pub watchers: Arc<AtomicUsize>,
    /// The moment this process's monotonic time is counted from.
    pub origin: Instant,
}

/// Where a member stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RaftStatus {
    /// Its term.
    pub term: u64,
    /// What it is for Raft.
    pub role: Role,
    /// Who leads, if it knows.
    pub leader: Option<MemberId>,
    /// Since when, after the view's origin.
    pub led_since: Duration,
    /// Its reading of the cluster's clock.
    pub clock: Clock,
    /// Whether its store was found to differ from another member's at the same index.
    pub diverged: bool,
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

impl AppliedState {
    /// The view of a member that starts with `store`, as of this snapshot and in this term; its monotonic
    /// time, counted from `origin`, is at `now`.
    pub fn new(
        store: Store,
        snapshot: &SnapshotMeta,
        term: u64,
        origin: Instant,
        now: Duration,
    ) -> Self {
        let standing = RaftStatus {
            term,
            role: Role::Follower,
            leader: None,
            led_since: now,
            clock: Clock::new(store.clock(), now),
            diverged: false,
        };
        Self {
            store,
            raft_index: snapshot.index,
            configuration: snapshot.configuration.clone(),
            standing,
            watchers: Arc::default(),
            origin,
        }
    }

    /// The cluster's clock now.
    pub fn now(&self) -> ClusterTime {
        self.standing.clock.read(self.origin.elapsed())
    }

    /// Whether a member votes.
    pub fn votes(&self, member: MemberId) -> bool {
        self.configuration.voters.contains(&member.get())
    }

    /// What the cluster is set to.
    pub fn settings(&self) -> crate::cluster::Settings {
        super::change::read_settings(&self.store)
    }

    /// Where the store and the log stand.
    pub fn position(&self) -> Position {
        Position {
            index: self.store.index(),
            raft_index: self.raft_index,
            raft_term: self.standing.term,
        }
    }
}
