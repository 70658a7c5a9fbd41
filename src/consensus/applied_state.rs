//! The state that every task of this member may read: the applied store, and this member's part in Raft.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use super::answer::Position;
use super::clock::Clock;
use crate::cluster::MemberId;
use crate::store::{ClusterTime, Store};
use crate::wal::{Configuration, SnapshotMeta};

/// This member's applied state. The driver writes it once per batch of entries; all others read it.
pub struct AppliedState {
    /// The tree.
    pub store: Store,
    /// The index of the last applied entry.
    pub raft_index: u64,
    /// The voters and the learners, as of that entry.
    pub configuration: Configuration,
    /// This member's part in Raft.
    pub raft_status: RaftStatus,
    /// The number of live watches at this member.
    pub watchers: Arc<AtomicUsize>,
    /// The origin of this process's monotonic time, which all [`Duration`]s here count from.
    pub origin: Instant,
}

/// A member's part in Raft.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RaftStatus {
    /// Its term.
    pub term: u64,
    /// Its role.
    pub role: Role,
    /// The leader of that term, if known.
    pub leader: Option<MemberId>,
    /// When `leader` changed last.
    pub led_since: Duration,
    /// The cluster's clock as this member reads it.
    pub clock: Clock,
    /// Whether its store was found to differ from another member's at the same index.
    pub diverged: bool,
}

/// A member's role in Raft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It leads.
    Leader,
    /// It follows a leader, as voter or learner.
    Follower,
    /// It asks for votes.
    Candidate,
}

impl AppliedState {
    /// The applied state of a member that starts in `term` with `store`, as of `snapshot`; its monotonic
    /// time, counted from `origin`, is `now`.
    pub fn new(
        store: Store,
        snapshot: &SnapshotMeta,
        term: u64,
        origin: Instant,
        now: Duration,
    ) -> Self {
        let raft_status = RaftStatus {
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
            raft_status,
            watchers: Arc::default(),
            origin,
        }
    }

    /// The cluster's time now.
    pub fn now(&self) -> ClusterTime {
        self.raft_status.clock.read(self.origin.elapsed())
    }

    /// Whether a member is a voter.
    pub fn is_voter(&self, member: MemberId) -> bool {
        self.configuration.voters.contains(&member.get())
    }

    /// The settings of the cluster.
    pub fn settings(&self) -> crate::cluster::Settings {
        super::change::read_settings(&self.store)
    }

    /// The current indices of store and log.
    pub fn position(&self) -> Position {
        Position {
            index: self.store.index(),
            raft_index: self.raft_index,
            raft_term: self.raft_status.term,
        }
    }
}
