//! What a member's part in the cluster is set to.

use std::time::Duration;

use crate::cluster::{ClusterId, MemberId};

/// How much of the log one message to a peer carries at the most, unless a single entry is larger.
const APPEND_BYTES_MAX: u64 = 1 << 20;

/// How many such messages may be under way to a peer.
const APPENDS_IN_FLIGHT_MAX: usize = 256;

/// How much may be proposed and not committed; beyond it proposals wait.
const UNCOMMITTED_BYTES_MAX: u64 = 64 << 20;

/// How much is applied under one hold of the view's lock, unless a single entry is larger.
const APPLY_BYTES_MAX: u64 = 1 << 20;

/// What a member's part in the cluster is set to.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its cluster.
    pub cluster: ClusterId,
    /// Who this is.
    pub member: MemberId,
    /// How often its directory was opened; keeps the ids of two lives apart.
    pub boot: u32,
    /// How often [`Core::tick`](super::core::Core::tick) is called.
    pub tick: Duration,
    /// Ticks between two heartbeats of the leader.
    pub heartbeat_ticks: usize,
    /// Ticks without a heartbeat after which a follower campaigns; drawn between this and its double.
    pub election_ticks: usize,
    /// Exactly so many ticks instead: makes a run repeat.
    pub election_ticks_fixed: Option<usize>,
    /// A snapshot is taken after so many entries, and once the log since the last is as large as that
    /// was; none: never.
    pub snapshot_every: Option<u64>,
    /// How many applied entries stay in the log behind a snapshot, so that a follower that was away for
    /// a moment catches up without one; fewer when they are large.
    pub trailing_entries: u64,
    /// While a deadline is pending the leader writes its reading of the clock this often, so that a
    /// restart of all members makes time to live longer by no more than this.
    pub clock_written_every: Duration,
    /// Members compare their stores at each multiple of this index.
    pub hash_every: u64,
    /// How far a learner may be behind what is committed and still be given a vote.
    pub learner_lag_max: u64,
}

impl Settings {
    /// The usual settings for this member, with 0.4.6's timing: heartbeats every 50 ms, elections after
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

    /// With these timings, each at least one tick; a tick is a heartbeat, so that an idle member seldom wakes.
    pub fn timing(mut self, heartbeat: Duration, election: Duration) -> Self {
        self.tick = heartbeat.max(Duration::from_millis(1));
        let ticks = election.as_nanos().div_ceil(self.tick.as_nanos());
        self.election_ticks = usize::try_from(ticks)
            .unwrap_or(usize::MAX / 4)
            .max(self.heartbeat_ticks + 1);
        self
    }

    /// The raft crate's form of it. What that leaves off or unbounded is set here.
    pub(super) fn raft(&self, applied: u64) -> raft::Config {
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
            // Batching may put entries behind a message that says it comes after them: a follower then
            // acknowledges entries nobody sent it. Proposals travel together as they are.
            batch_append: false,
            // Never LeaseBased: a paused process would answer from a lease that has run out.
            read_only_option: raft::ReadOnlyOption::Safe,
            ..Default::default()
        }
    }
}
