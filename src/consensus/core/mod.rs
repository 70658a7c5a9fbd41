//! One member's part in the cluster: the raft node, the writing side of the store, and the pending requests.
//!
//! No IO, no clock, no thread: inputs go in with the time of their arrival, [`Work`] comes out. The driver
//! runs the core on real disks and sockets, the simulation on simulated ones.

mod members;
mod propose;
mod ready;

mod time;
mod work;

use std::sync::{Arc, RwLock, RwLockReadGuard};
use std::time::Duration;

use raft::eraftpb;
use raft::{RawNode, SnapshotStatus, StateRole};
use tracing::{debug, info, warn};

use super::applied_state::{AppliedState, RaftStatus, Role};
use super::apply::Applier;
use super::clock::Clock;
use super::convert;
use super::error::StartError;
use super::hashes::Hashes;
use super::input::{Inputs, Request};
use super::member_changes::{Changes, not_leader};
use super::message::{Body, Message, RaftKind};
use super::pending_reads::PendingReads;
use super::pending_ready::PendingReadies;
use super::pending_writes::PendingWrites;
use super::raft_log::RaftLog;
use super::settings::Settings;
use super::snapshot_schedule::SnapshotSchedule;
use super::subscriptions::Subscriptions;
use crate::cluster::MemberId;
use crate::store::{ClusterTime, CommandId, Store, codec};
use crate::wal::{HardState, SnapshotMeta};

pub use work::{Recovered, WalWrite, Work};

/// One member's part in the cluster.
pub struct Core {
    settings: Settings,
    raft: RawNode<RaftLog>,
    clock: Clock,
    applier: Applier,
    writes: PendingWrites,
    reads: PendingReads,
    changes: Changes,
    pending_readies: PendingReadies,
    snapshots: SnapshotSchedule,
    hashes: Hashes,
    hard_state: HardState,
    /// Entries to propose together, at the leader.
    proposals: Vec<(Option<CommandId>, eraftpb::Entry)>,
    /// Messages that do not come from the raft crate, for the next work.
    outgoing: Vec<Message>,
    /// A snapshot from the leader, until the raft crate accepts it.
    received: Option<(SnapshotMeta, Store)>,
    /// The number of the `Ready` with the snapshot being installed, and the snapshot's index: applied once
    /// that `Ready` is on disk.
    installing: Option<(u64, u64)>,
    /// The stamp of the last proposed expiry or clock reading, until it is applied.
    clock_proposed: Option<ClusterTime>,
    peer_activity: members::PeerActivity,
    /// Whether a member's peer URL changed; for the next work.
    has_new_address: bool,
    /// The number of the `Ready` that makes the last membership change durable on this disk.
    membership_ready: Option<u64>,
    /// The ids of all removed members, for the next work.
    removed_ids: Option<Vec<MemberId>>,
    /// Whether this member is one of them.
    removed: bool,
    raft_status: RaftStatus,
}

impl Core {
    /// Start a member at the time `now`. The store of `applied` is as of the recovered snapshot; the entries
    /// after it are applied once they are known to be committed.
    ///
    /// # Errors
    ///
    /// [`StartError::Raft`]: the raft crate refused the settings or the recovered state.
    pub fn start(
        settings: Settings,
        recovered: Recovered,
        applied: Arc<RwLock<AppliedState>>,
        inputs: Inputs,
        now: Duration,
    ) -> Result<Self, StartError> {
        let Recovered {
            hard_state,
            snapshot,
            entries,
        } = recovered;
        let clock = time::recover_clock(read(&applied).store.clock(), &snapshot, &entries, now);
        let applied_index = snapshot.index;
        let configuration = snapshot.configuration.clone();
        let log = RaftLog::new(hard_state, snapshot, entries, settings.trailing_entries);
        let logger = super::raft_logger::logger();
        let raft = RawNode::new(&settings.to_raft_config(applied_index), log, &logger)
            .map_err(StartError::Raft)?;
        let removed_ids = read(&applied).store.removed_ids().collect();
        let subscriptions = Subscriptions::new(inputs, read(&applied).watchers.clone());
        let raft_status = read(&applied).raft_status;
        let hash_every = settings.hash_every;
        Ok(Self {
            clock,
            writes: PendingWrites::new(settings.member, settings.boot),
            reads: PendingReads::new(settings.member, settings.boot),
            changes: Changes::new(settings.cluster),
            pending_readies: PendingReadies::default(),
            snapshots: SnapshotSchedule::new(&settings, applied_index),
            hashes: Hashes::default(),
            hard_state,
            proposals: Vec::new(),
            outgoing: Vec::new(),
            received: None,
            installing: None,
            clock_proposed: None,
            peer_activity: members::PeerActivity::new(now),
            has_new_address: false,
            membership_ready: None,
            removed_ids: Some(removed_ids),
            removed: false,
            raft_status,
            applier: Applier::new(
                applied,
                subscriptions,
                applied_index,
                configuration,
                hash_every,
            ),
            raft,
            settings,
        })
    }

    /// Campaign at once if this member is the only voter: waiting for an election timeout is not necessary.
    pub fn campaign_if_alone(&mut self) {
        if self.applier.configuration().voters == [self.settings.member.get()] {
            // Fails only if there are entries to apply first; then it campaigns after the timeout.
            let _ = self.raft.campaign();
        }
    }

    /// Accept a request of a client of this member.
    pub fn request(&mut self, request: Request, now: Duration) {
        match request {
            Request::Write {
                command,
                answer,
                permit,
            } => {
                self.writes
                    .add(codec::encode_command(&command), answer, permit, now);
            }
            Request::Barrier(answer) => self.reads.add(answer, now),
            Request::Watch {
                interest,
                stream,
                since,
                answer,
            } => {
                // The client may have disconnected; dropping the answer ends the watch.
                let _ = answer.send(self.applier.watch(interest, stream, since));
            }
            Request::Unwatch(id) => self.applier.unwatch(id),
            Request::Change { change, answer } => {
                if self.leads() {
                    self.changes.add(change, Some(answer));
                } else {
                    let leader = self.leader().and_then(|id| self.applier.member(id));
                    let _ = answer.send(Err(not_leader(leader.as_ref())));
                }
            }
        }
    }

    /// Handle a message from another member. A snapshot message goes to [`Core::snapshot_received`] instead.
    pub fn step(&mut self, message: Message, now: Duration) {
        let (from, to) = (message.from.get(), message.to.get());
        if message.to != self.settings.member {
            warn!(from = %message.from, to = %message.to, "message for another member dropped");
            return;
        }
        if self.applier.configuration().contains(from) {
            self.peer_activity.record_message(message.from, now);
        }
        match message.body {
            Body::Raft(raft) => {
                self.follow_clock(&raft, now);
                if raft.kind == RaftKind::TimeoutNow && !self.may_campaign() {
                    debug!(from = %message.from, "request to campaign ignored, the disk is behind");
                    return;
                }
                if let Err(error) = self.raft.step(convert::to_raft_message(from, to, raft)) {
                    debug!(from = %message.from, %error, "message refused by raft");
                }
            }
            Body::Forward(forwarded) => self.propose_commands(forwarded, now),
            Body::StoreHash { index, hash } => {
                self.raft_status.diverged |= self.hashes.add_other(message.from, index, hash);
            }
        }
    }

    /// Handle a snapshot from the leader that is durable here; `store` was decoded from it.
    pub fn snapshot_received(&mut self, message: Message, store: Store, now: Duration) {
        if let Body::Raft(raft) = &message.body
            && raft.kind == RaftKind::Snapshot
            && let Some(meta) = &raft.snapshot
        {
            let meta = meta.clone();
            self.step(message, now);
            // A late copy of an older snapshot must not replace the one that is about to be installed.
            let pending = self.raft.raft.raft_log.unstable_snapshot().as_ref();
            if pending.is_some_and(|snapshot| snapshot.get_metadata().index == meta.index) {
                self.received = Some((meta, store));
            }
        }
    }

    /// Note that all WAL writes up to `number` are on disk.
    pub fn persisted(&mut self, number: u64) {
        if let Some((reached, messages)) = self.pending_readies.take_persisted(number) {
            self.raft.on_persist_ready(reached);
            self.outgoing.extend(messages);
            if let Some((_, index)) = self.installing.take_if(|(ready, _)| *ready <= reached) {
                self.raft.advance_apply_to(index);
            }
            if self
                .membership_ready
                .take_if(|ready| *ready <= reached)
                .is_some()
            {
                self.removed_ids = Some(
                    self.applier
                        .with_store(|store| store.removed_ids().collect()),
                );
            }
        }
    }

    /// Advance Raft's time by one tick of [`Settings::tick`].
    pub fn tick(&mut self, now: Duration) {
        if self.may_campaign() {
            self.raft.tick();
        }
        self.writes.expire(now);
        self.reads.expire(now);
        self.forward_retries(now);
        self.maintain_members(now);
        if self.leads() {
            self.propose_clock(now);
        }
    }

    /// Whether the raft crate may be ticked: it may campaign, or it leads.
    ///
    /// A member must not campaign before the snapshot being installed is on disk, because the raft crate
    /// would read entries that the snapshot replaced. The only voter leads as soon as it campaigns, without
    /// a vote request that waits for its disk, so its whole log must be on disk before.
    fn may_campaign(&self) -> bool {
        let log = &self.raft.raft.raft_log;
        let alone = self.applier.configuration().voters == [self.settings.member.get()];
        let behind = log.persisted < log.last_index();
        self.installing.is_none() && (self.leads() || !(alone && behind))
    }

    /// Note that a message to this member could not be delivered.
    pub fn unreachable(&mut self, member: MemberId) {
        self.raft.report_unreachable(member.get());
    }

    /// Note that the snapshot sent to this member is durable there (`ok`), or that the transfer failed.
    pub fn snapshot_sent(&mut self, member: MemberId, ok: bool) {
        let status = if ok {
            SnapshotStatus::Finish
        } else {
            SnapshotStatus::Failure
        };
        self.raft.report_snapshot(member.get(), status);
    }

    /// Note that a [`SnapshotJob`](super::snapshot_schedule::SnapshotJob) is done: the snapshot is durable and
    /// has this size in bytes, or it failed.
    pub fn snapshot_written(&mut self, meta: SnapshotMeta, bytes: Option<u64>) {
        let Some(bytes) = bytes else {
            self.snapshots.record_failed();
            return;
        };
        // A newer snapshot from the leader may have been installed meanwhile.
        if meta.index > self.raft.store().snapshot_meta().index {
            self.raft.mut_store().compact(meta.clone());
            self.snapshots.record_written(meta, bytes);
        } else {
            self.snapshots.record_failed();
        }
    }

    /// Handle the result of a [`HashJob`](super::hashes::HashJob), and send it to all members.
    pub fn hashed(&mut self, index: u64, hash: u64) {
        self.raft_status.diverged |= self.hashes.add_own(index, hash);
        let from = self.settings.member;
        for member in self
            .applier
            .members()
            .iter()
            .filter(|member| member.id != from)
        {
            self.outgoing.push(Message {
                from,
                to: member.id,
                body: Body::StoreHash { index, hash },
            });
        }
    }

    /// Transfer leadership to the voter whose log is most complete, if this member leads and another voter
    /// is active.
    pub fn transfer_leadership(&mut self) {
        if !self.leads() || self.raft.raft.lead_transferee.is_some() {
            return;
        }
        let me = self.settings.member.get();
        let voters = &self.applier.configuration().voters;
        let raft = &self.raft.raft;
        let able = raft
            .prs()
            .iter()
            .filter(|(id, progress)| **id != me && progress.recent_active && voters.contains(id));
        if let Some((&best, _)) = able.max_by_key(|(_, progress)| progress.matched) {
            self.raft.transfer_leader(best);
        }
    }

    /// Whether this member leads.
    pub fn leads(&self) -> bool {
        self.raft.raft.state == StateRole::Leader
    }

    /// The leader, if this member knows it.
    pub fn leader(&self) -> Option<MemberId> {
        MemberId::new(self.raft.raft.leader_id)
    }

    /// This member's term.
    pub fn term(&self) -> u64 {
        self.raft.raft.term
    }

    /// The index of the last applied entry.
    pub fn applied_index(&self) -> u64 {
        self.applier.applied_index()
    }

    /// The next work to do; none until there is another input.
    pub fn work(&mut self, now: Duration) -> Option<Work> {
        self.follow_leader(now);
        self.forward_new(now);
        self.propose_change(now);
        self.propose();
        if self.leader().is_some()
            && let Some(context) = self.reads.start_query(self.term(), now)
        {
            self.raft.read_index(context.to_vec());
        }
        let mut work = Work::default();
        if self.raft.has_ready() {
            self.handle_ready(&mut work, now);
        } else if self.outgoing.is_empty() && self.removed_ids.is_none() && !self.has_new_address {
            return None;
        }
        if std::mem::take(&mut self.has_new_address) {
            work.members = Some(self.members_with_current_urls());
        }
        work.removed_ids = self.removed_ids.take();
        self.add_outgoing(&mut work, now);
        Some(work)
    }

    /// If the term, the leader or the role changed: publish it, and send all pending writes again.
    fn follow_leader(&mut self, now: Duration) {
        let (term, leader, role) = (self.term(), self.leader(), role(self.raft.raft.state));
        let before = self.raft_status;
        if (before.term, before.leader, before.role) == (term, leader, role) {
            return;
        }
        if before.leader != leader {
            self.raft_status.led_since = now;
            match leader {
                Some(leader) if leader == self.settings.member => {
                    info!(term, "became leader");
                }
                Some(leader) => info!(term, %leader, "leader changed"),
                None => warn!(term, "no leader"),
            }
        }
        self.raft_status = RaftStatus {
            term,
            leader,
            role,
            ..self.raft_status
        };
        if before.role == Role::Leader {
            let leader = leader.and_then(|id| self.applier.member(id));
            self.changes.refuse_all(leader.as_ref());
            self.proposals.clear();
        }
        if role == Role::Leader {
            self.clock.lead(term);
            self.peer_activity.become_leader(now);
        }
        self.clock_proposed = None;
        self.forward_retries(now);
    }
}

fn role(state: StateRole) -> Role {
    match state {
        StateRole::Leader => Role::Leader,
        StateRole::Follower => Role::Follower,
        StateRole::Candidate | StateRole::PreCandidate => Role::Candidate,
    }
}

fn read(applied: &RwLock<AppliedState>) -> RwLockReadGuard<'_, AppliedState> {
    applied
        .read()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
