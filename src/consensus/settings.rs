//! The settings of a member's part in the cluster: timing, snapshots, and limits for the raft crate.

use std::time::Duration;

use crate::cluster::{ClusterId, MemberId};

/// How many bytes of entries one message to a peer carries at most, unless a single entry is larger.
const APPEND_BYTES_MAX: u64 = 1 << 20;

/// How many such messages may be unacknowledged by a peer.
const APPENDS_IN_FLIGHT_MAX: usize = 256;

/// How many bytes may be proposed and uncommitted; beyond that, proposals wait.
const UNCOMMITTED_BYTES_MAX: u64 = 64 << 20;

/// How many bytes of entries are applied while the lock is held once, unless a single entry is larger.
const APPLY_BYTES_MAX: u64 = 1 << 20;

/// The settings of a member's part in the cluster.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its cluster.
    pub cluster: ClusterId,
    /// The id of this member.
    pub member: MemberId,
    /// How often its data directory was opened; makes ids unique across restarts.
    pub boot: u32,
    /// The time between two calls of [`Core::tick`](super::core::Core::tick).
    pub tick: Duration,
    /// The number of ticks between two heartbeats of the leader.
    pub heartbeat_ticks: usize,
    /// The number of ticks without a heartbeat after which a follower campaigns; drawn at random between
    /// this and its double.
    pub election_ticks: usize,
    /// A fixed number of ticks instead, which makes a simulation reproducible.
    pub election_ticks_fixed: Option<usize>,
    /// The number of entries after which a snapshot is taken, once the log since the last snapshot is as
    /// large as that snapshot; none to take no snapshots.
    pub snapshot_every: Option<u64>,
    /// How many applied entries are kept behind a snapshot, so that a follower that was away for a moment
    /// catches up without one; fewer if they are large.
    pub trailing_entries: u64,
    /// How often the leader writes its reading of the clock while a deadline is pending. A restart of all
    /// members extends a time to live by this at most.
    pub clock_written_every: Duration,
    /// Members compare their stores at each multiple of this index.
    pub hash_every: u64,
    /// How many entries a learner may be behind the commit index when it becomes a voter.
    pub learner_lag_max: u64,
}

impl Settings {
    /// The default settings, with the timing of etcd 0.4.6: a heartbeat every 50 ms, an election after
    /// 200 ms.
    pub fn new(cluster: ClusterId, member: MemberId, boot: u32) -> Self {
        Self {
            cluster,
            member,
            boot,
            tick: Duration::from_millis(50),
            heartbeat_ticks: 1,
            election_ticks: 4,
            election_ticks_fixed: None,
            snapshot_every: Some(10_000),
            trailing_entries: 5_000,
            clock_written_every: Duration::from_secs(10),
            hash_every: 16_384,
            learner_lag_max: 1_000,
        }
    }

    /// Set the heartbeat interval and the election timeout, each to at least one tick. A tick is as long as
    /// the heartbeat interval, so that an idle member rarely wakes up.
    pub fn with_timing(mut self, heartbeat: Duration, election: Duration) -> Self {
        self.tick = heartbeat.max(Duration::from_millis(1));
        let ticks = election.as_nanos().div_ceil(self.tick.as_nanos());
        self.election_ticks = usize::try_from(ticks)
            .unwrap_or(usize::MAX / 4)
            .max(self.heartbeat_ticks + 1);
        self
    }

    /// The raft crate's configuration, with the checks and limits that are off by default.
    pub(super) fn to_raft_config(&self, applied: u64) -> raft::Config {
        let (min, max) = self
            .election_ticks_fixed
            .map_or((0, 0), |ticks| (ticks, ticks + 1));
        raft::Config {
            id: self.member.get(),
            applied,
            election_tick: self.election_ticks,
            heartbeat_tick: self.heartbeat_ticks,
            min_election_tick: min,
            max_election_tick: max,
            max_size_per_msg: APPEND_BYTES_MAX,
            max_inflight_msgs: APPENDS_IN_FLIGHT_MAX,
            max_uncommitted_size: UNCOMMITTED_BYTES_MAX,
            max_committed_size_per_ready: APPLY_BYTES_MAX,
            check_quorum: true,
            pre_vote: true,
            // Batching may append entries to a queued message that does not directly precede them: a
            // follower then acknowledges entries that it did not receive. Proposals are sent together
            // without it.
            batch_append: false,
            // Not LeaseBased: after a pause a process would answer from an expired lease.
            read_only_option: raft::ReadOnlyOption::Safe,
            ..Default::default()
        }
    }
}
