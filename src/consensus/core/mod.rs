//! One member's part in the cluster: the raft node, the store's writing side, and everyone who waits.
//!
//! No IO, no clock, no thread: inputs go in with the moment they came at, [`Work`] comes out. The driver
//! runs it on real disks and sockets, the simulation on simulated ones.

mod members;
mod propose;
mod round;
mod time;

use std::sync::{Arc, RwLock, RwLockReadGuard};
use std::time::Duration;

use raft::eraftpb;
use raft::{RawNode, SnapshotStatus, StateRole};
use tracing::{debug, info, warn};

use super::apply::Applier;
use super::clock::Clock;
use super::convert;
use super::driver::Inputs;
use super::handle::Request;
use super::log::Log;
use super::member_changes::{Changes, not_leader};
use super::message::{Body, Message, RaftKind};
use super::pending_reads::Reads;
use super::pending_ready::PendingReadies;
use super::pending_writes::Writes;
use super::settings::Settings;
use super::snapshots::{HashJob, Hashes, SnapshotJob, Snapshots};
use super::subscriptions::Watches;
use super::view::{AppliedState, RaftStatus, Role};
use crate::cluster::{Member, MemberId};
use crate::store::{ClusterTime, CommandId, Store, codec};
use crate::wal::{Batch, Entry, HardState, SnapshotMeta};

/// One member's part in the cluster.
pub struct Core {
    settings: Settings,
    raft: RawNode<Log>,
    clock: Clock,
    applier: Applier,
    writes: Writes,
    reads: Reads,
    changes: Changes,
    unsynced: PendingReadies,
    snapshots: Snapshots,
    hashes: Hashes,
    hard_state: HardState,
    /// Entries to be proposed together; the leader's.
    proposals: Vec<(Option<CommandId>, eraftpb::Entry)>,
    /// Messages of our own, for the next work.
    outgoing: Vec<Message>,
    /// A snapshot the leader sent, until the raft crate takes it or not.
    received: Option<(SnapshotMeta, Store)>,
    /// The round a snapshot is being installed in, and its index: applied once that is on disk.
    installing: Option<(u64, u64)>,
    /// The stamp of the last expiry, or reading of the clock, that was proposed, until it is applied.
    clock_proposed: Option<ClusterTime>,
    peer_activity: members::PeerActivity,
    /// A member is elsewhere than it was: for the next work.
    readdressed: bool,
    /// The round after which what was removed from the membership is so on this disk for good.
    confirms: Option<u64>,
    /// For the next work: who is known for certain to have been removed.
    gone: Option<Vec<MemberId>>,
    /// This member is one of them.
    removed: bool,
    standing: RaftStatus,
}

/// What a member recovered from its disk.
pub struct Recovered {
    /// Raft's own state.
    pub hard_state: HardState,
    /// The snapshot the store was made of.
    pub snapshot: SnapshotMeta,
    /// The entries after it.
    pub entries: Vec<Entry>,
}

/// What is to be done outside, in the order of the fields but for `messages`, which may leave at once.
#[derive(Default)]
pub struct Work {
    /// For other members.
    pub messages: Vec<Message>,
    /// For the disk; its number goes to [`Core::persisted`] once it is synced.
    pub write: Option<Write>,
    /// A snapshot to encode and write off the driver's thread.
    pub snapshot: Option<SnapshotJob>,
    /// A hash to compute off the driver's thread.
    pub hash: Option<HashJob>,
    /// The members, when they changed.
    pub members: Option<Vec<Member>>,
    /// All ids that were members and were removed, when this disk knows of more of them: whoever calls
    /// with one is told so. Before, this member might start again and not know it.
    pub gone: Option<Vec<MemberId>>,
}

/// What must be on disk.
#[derive(Debug)]
pub struct Write {
    /// Grows by at least one with each write.
    pub number: u64,
    /// What to write.
    pub batch: Batch,
}

impl Core {
    /// A member that starts, or starts again, at the moment `now`. The store of `view` is as of the
    /// recovered snapshot; the entries after it are applied as they turn out to be committed.
    ///
    /// # Errors
    ///
    /// What the raft crate finds wrong with settings or recovered state; `wal` has checked the latter.
    pub fn start(
        settings: Settings,
        recovered: Recovered,
        view: Arc<RwLock<AppliedState>>,
        inputs: Inputs,
        now: Duration,
    ) -> Result<Self, String> {
        let Recovered {
            hard_state,
            snapshot,
            entries,
        } = recovered;
        let clock = time::recovered(read(&view).store.clock(), &snapshot, &entries, now);
        let applied = snapshot.index;
        let configuration = snapshot.configuration.clone();
        let log = Log::new(hard_state, snapshot, entries, settings.trailing_entries);
        let logger = super::raft_log::logger();
        let raft = RawNode::new(&settings.raft(applied), log, &logger)
            .map_err(|error| error.to_string())?;
        let gone = read(&view).store.removed().collect();
        let watches = Watches::new(inputs, read(&view).watchers.clone());
        let standing = read(&view).standing;
        let hash_every = settings.hash_every;
        Ok(Self {
            clock,
            writes: Writes::new(settings.member, settings.boot),
            reads: Reads::new(settings.member, settings.boot),
            changes: Changes::new(settings.cluster),
            unsynced: PendingReadies::default(),
            snapshots: Snapshots::new(&settings, applied),
            hashes: Hashes::default(),
            hard_state,
            proposals: Vec::new(),
            outgoing: Vec::new(),
            received: None,
            installing: None,
            clock_proposed: None,
            peer_activity: members::PeerActivity::new(now),
            readdressed: false,
            confirms: None,
            gone: Some(gone),
            removed: false,
            standing,
            applier: Applier::new(view, watches, applied, configuration, hash_every),
            raft,
            settings,
        })
    }

    /// A single voter need not wait for an election timeout: nobody else can lead.
    pub fn campaign_if_alone(&mut self) {
        if self.applier.configuration().voters == [self.settings.member.get()] {
            // Fails only if there is something to apply first; then the timeout does it.
            let _ = self.raft.campaign();
        }
    }

    /// Someone at this member asks for something.
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
                // Whoever asked may have gone; dropping the answer ends the watch.
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

    /// A message from another member arrived. A snapshot comes by [`Core::snapshot_received`] instead.
    pub fn step(&mut self, message: Message, now: Duration) {
        let (from, to) = (message.from.get(), message.to.get());
        if message.to != self.settings.member {
            warn!(%message.from, %message.to, "dropped a message that is not for this member");
            return;
        }
        if self.applier.configuration().contains(from) {
            self.peer_activity.record_message(message.from, now);
        }
        match message.body {
            Body::Raft(raft) => {
                self.follow_clock(&raft, now);
                if raft.kind == RaftKind::TimeoutNow && !self.may_campaign() {
                    debug!(%message.from, "asked to campaign while the disk is behind");
                    return;
                }
                if let Err(error) = self.raft.step(convert::message_in(from, to, raft)) {
                    debug!(%message.from, %error, "a message was not taken");
                }
            }
            Body::Forward(forwarded) => self.propose_commands(forwarded, now),
            Body::StoreHash { index, hash } => {
                self.standing.diverged |= self.hashes.theirs(message.from, index, hash);
            }
        }
    }

    /// A snapshot from the leader is durable here, and `store` was made of it.
    pub fn snapshot_received(&mut self, message: Message, store: Store, now: Duration) {
        if let Body::Raft(raft) = &message.body
            && raft.kind == RaftKind::Snapshot
            && let Some(mark) = &raft.snapshot
        {
            let mark = mark.clone();
            self.step(message, now);
            // A late copy of an older one must not take the place of one that waits to be installed.
            let pending = self.raft.raft.raft_log.unstable_snapshot().as_ref();
            if pending.is_some_and(|snapshot| snapshot.get_metadata().index == mark.index) {
                self.received = Some((mark, store));
            }
        }
    }

    /// All writes up to `number` are on disk.
    pub fn persisted(&mut self, number: u64) {
        if let Some((reached, messages)) = self.unsynced.synced(number) {
            self.raft.on_persist_ready(reached);
            self.outgoing.extend(messages);
            if let Some((_, index)) = self.installing.take_if(|(round, _)| *round <= reached) {
                self.raft.advance_apply_to(index);
            }
            if self.confirms.take_if(|round| *round <= reached).is_some() {
                self.gone = Some(self.applier.with_store(|store| store.removed().collect()));
            }
        }
    }

    /// A tick of [`Settings::tick`] has passed.
    pub fn tick(&mut self, now: Duration) {
        if self.may_campaign() {
            self.raft.tick();
        }
        self.writes.expire(now);
        self.reads.expire(now);
        self.hand_on_again(now);
        self.maintain_members(now);
        if self.leads() {
            self.propose_clock(now);
        }
    }

    /// Whether the raft crate may begin an election, or need not.
    ///
    /// Not until a snapshot is on disk: it would look through entries that are gone. And one that votes
    /// alone leads as soon as it campaigns, with no vote to ask for and so nothing to wait for its disk: it
    /// must have its log there before.
    fn may_campaign(&self) -> bool {
        let log = &self.raft.raft.raft_log;
        let alone = self.applier.configuration().voters == [self.settings.member.get()];
        let behind = log.persisted < log.last_index();
        self.installing.is_none() && (self.leads() || !(alone && behind))
    }

    /// A message to this member could not be delivered.
    pub fn unreachable(&mut self, member: MemberId) {
        self.raft.report_unreachable(member.get());
    }

    /// The snapshot sent to this member is durable there, or it failed.
    pub fn snapshot_sent(&mut self, member: MemberId, ok: bool) {
        let status = if ok {
            SnapshotStatus::Finish
        } else {
            SnapshotStatus::Failure
        };
        self.raft.report_snapshot(member.get(), status);
    }

    /// The snapshot of this [`SnapshotJob`] is durable here, `bytes` long; or it failed.
    pub fn snapshot_written(&mut self, mark: SnapshotMeta, bytes: Option<u64>) {
        let Some(bytes) = bytes else {
            self.snapshots.failed();
            return;
        };
        // A snapshot from the leader may have overtaken it.
        if mark.index > self.raft.store().snapshot_mark().index {
            self.raft.mut_store().compact(mark.clone());
            self.snapshots.written(mark, bytes);
        } else {
            self.snapshots.failed();
        }
    }

    /// The hash of this [`HashJob`].
    pub fn hashed(&mut self, index: u64, hash: u64) {
        self.standing.diverged |= self.hashes.own(index, hash);
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

    /// Give leadership to whoever is furthest along, if this member has it and another can take it.
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

    /// Who leads, if this member knows.
    pub fn leader(&self) -> Option<MemberId> {
        MemberId::new(self.raft.raft.leader_id)
    }

    /// This member's term.
    pub fn term(&self) -> u64 {
        self.raft.raft.term
    }

    /// The index of the last applied entry.
    pub fn applied(&self) -> u64 {
        self.applier.applied()
    }

    /// What is to be done next; none when there is nothing until the next input.
    pub fn work(&mut self, now: Duration) -> Option<Work> {
        self.notice_leader(now);
        self.hand_on_fresh(now);
        self.propose_change(now);
        self.propose();
        if self.leader().is_some()
            && let Some(context) = self.reads.ask(self.term(), now)
        {
            self.raft.read_index(context.to_vec());
        }
        let mut work = Work::default();
        if self.raft.has_ready() {
            self.round(&mut work, now);
        } else if self.outgoing.is_empty() && self.gone.is_none() && !self.readdressed {
            return None;
        }
        if std::mem::take(&mut self.readdressed) {
            work.members = Some(self.members_at_current_addresses());
        }
        work.gone = self.gone.take();
        self.address(&mut work, now);
        Some(work)
    }

    /// The term or the leader changed: whatever was handed to the last one is handed on again.
    fn notice_leader(&mut self, now: Duration) {
        let (term, leader, role) = (self.term(), self.leader(), role(self.raft.raft.state));
        let before = self.standing;
        if (before.term, before.leader, before.role) == (term, leader, role) {
            return;
        }
        if before.leader != leader {
            self.standing.led_since = now;
            match leader {
                Some(leader) if leader == self.settings.member => info!(term, "this member leads"),
                Some(leader) => info!(term, %leader, "follows a leader"),
                None => warn!(term, "no leader"),
            }
        }
        self.standing = RaftStatus {
            term,
            leader,
            role,
            ..self.standing
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
        self.hand_on_again(now);
    }
}

fn role(state: StateRole) -> Role {
    match state {
        StateRole::Leader => Role::Leader,
        StateRole::Follower => Role::Follower,
        StateRole::Candidate | StateRole::PreCandidate => Role::Candidate,
    }
}

fn read(view: &RwLock<AppliedState>) -> RwLockReadGuard<'_, AppliedState> {
    view.read()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
