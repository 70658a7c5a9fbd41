//! One member's part in the cluster: the raft node, the store's writing side, and everyone who waits.
//!
//! No IO, no clock, no thread: inputs go in with the moment they came at, [`Work`] comes out. The driver
//! runs it on real disks and sockets, the simulation on simulated ones.

use std::sync::{Arc, RwLock, RwLockReadGuard};
use std::time::Duration;

use raft::eraftpb::{self, MessageType};
use raft::{ProgressState, RawNode, SnapshotStatus, StateRole};
use tracing::{debug, info, warn};

use super::apply::Applier;
use super::clock::Clock;
use super::convert;
use super::driver::Inputs;
use super::handle::Request;
use super::log::Log;
use super::membership::{self, ChangeRefused, Changes};
use super::message::{Body, Forwarded, Message, RaftKind};
use super::reads::Reads;
use super::settings::Settings;
use super::snapshots::{HashJob, Hashes, SnapshotJob, Snapshots};
use super::unsynced::{Round, Unsynced};
use super::view::{Role, Standing, View};
use super::watches::Watches;
use super::writes::Writes;
use crate::cluster::{Member, MemberId};
use crate::store::{ClusterTime, Command, CommandId, Store, codec};
use crate::wal::{Batch, Entry, HardState, SnapshotMark};

/// While a deadline is pending the leader writes its reading of the clock this often, so that a restart
/// of all members makes time to live longer by no more than this.
const CLOCK_WRITTEN_EVERY: Duration = Duration::from_secs(10);

/// One member's part in the cluster.
pub struct Core {
    settings: Settings,
    raft: RawNode<Log>,
    clock: Clock,
    applier: Applier,
    writes: Writes,
    reads: Reads,
    changes: Changes,
    unsynced: Unsynced,
    snapshots: Snapshots,
    hashes: Hashes,
    hard_state: HardState,
    /// Entries to be proposed together; the leader's.
    proposals: Vec<(Option<CommandId>, eraftpb::Entry)>,
    /// Messages of our own, for the next work.
    outgoing: Vec<Message>,
    /// A snapshot the leader sent, until the raft crate takes it or not.
    received: Option<(SnapshotMark, Store)>,
    /// The round a snapshot is being installed in, and its index: applied once that is on disk.
    installing: Option<(u64, u64)>,
    /// An expiry, or a reading of the clock, was proposed and is not applied yet.
    clock_proposed: bool,
    standing: Standing,
}

/// What a member recovered from its disk.
pub struct Recovered {
    /// Raft's own state.
    pub hard_state: HardState,
    /// The snapshot the store was made of.
    pub snapshot: SnapshotMark,
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
        view: Arc<RwLock<View>>,
        inputs: Inputs,
        now: Duration,
    ) -> Result<Self, String> {
        let Recovered {
            hard_state,
            snapshot,
            entries,
        } = recovered;
        let clock = Clock::new(read(&view).store.clock(), now);
        let applied = snapshot.index;
        let configuration = snapshot.configuration.clone();
        let log = Log::new(hard_state, snapshot, entries);
        let logger = super::raft_log::logger();
        let raft = RawNode::new(&settings.raft(applied), log, &logger)
            .map_err(|error| error.to_string())?;
        let watches = Watches::new(inputs, read(&view).watchers.clone());
        let standing = read(&view).standing;
        let hash_every = settings.hash_every;
        Ok(Self {
            clock,
            writes: Writes::new(settings.member, settings.boot),
            reads: Reads::new(settings.member, settings.boot),
            changes: Changes::default(),
            unsynced: Unsynced::default(),
            snapshots: Snapshots::new(&settings, applied),
            hashes: Hashes::default(),
            hard_state,
            proposals: Vec::new(),
            outgoing: Vec::new(),
            received: None,
            installing: None,
            clock_proposed: false,
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
                    let _ = answer.send(Err(ChangeRefused::NotLeader(leader)));
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
        match message.body {
            Body::Raft(raft) => {
                if let Some(reading) = raft.clock
                    && raft.term >= self.raft.raft.term
                {
                    self.clock.follow(reading, now);
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
            self.received = Some((mark.clone(), store));
            self.step(message, now);
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
        }
    }

    /// A tick of [`Settings::tick`] has passed.
    pub fn tick(&mut self, now: Duration) {
        self.raft.tick();
        self.writes.expire(now);
        self.reads.expire(now);
        self.hand_on_again(now);
        if self.leads() {
            self.propose_clock(now);
            self.promote_learners();
        }
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
    pub fn snapshot_written(&mut self, mark: SnapshotMark, bytes: Option<u64>) {
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
    pub fn hand_over(&mut self) {
        if !self.leads() {
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
        } else if self.outgoing.is_empty() {
            return None;
        }
        self.address(&mut work, now);
        Some(work)
    }

    /// One round of the raft crate: what it wants sent, written and applied.
    fn round(&mut self, work: &mut Work, now: Duration) {
        let mut ready = self.raft.ready();
        let number = ready.number();
        work.messages = self.raft_messages(ready.take_messages());

        let mut batch = Batch::default();
        let mut votes = false;
        if let Some(state) = ready.hs() {
            let state = convert::hard_state_out(state);
            votes = (state.term, state.vote) != (self.hard_state.term, self.hard_state.vote);
            self.hard_state = state;
        }
        if ready.snapshot().get_metadata().index != 0 {
            let mark = convert::mark_out(ready.snapshot().get_metadata());
            self.installing = Some((number, mark.index));
            self.install(&mark, now);
            batch.reset = Some(mark);
            work.members = Some(self.applier.members());
        }
        let committed = ready.take_committed_entries();
        let reads = ready.take_read_states();
        self.raft.mut_store().append(ready.entries());
        batch.entries = ready.entries().iter().map(convert::entry_out).collect();
        batch.compact = self.snapshots.take_note();

        let writes = votes || batch != Batch::default();
        batch.hard_state = Some(self.hard_state);
        let (at_once, later) = self.part(ready.take_persisted_messages(), votes);
        work.messages.extend(at_once);
        self.unsynced.hold(Round {
            number,
            writes,
            votes,
            messages: later,
        });
        if writes {
            work.write = Some(Write { number, batch });
        }
        self.raft.advance_append_async(ready);
        if !writes {
            self.persisted(0);
        }
        self.apply(committed, work, now);
        for state in reads {
            self.reads
                .confirm(&state.request_ctx, state.index, self.raft.raft.term);
        }
        self.reads.applied(self.applier.applied());
        if self.raft.store().take_newer_wanted() {
            self.snapshots.want();
        }
        let term = self
            .raft
            .raft
            .raft_log
            .term(self.applier.applied())
            .unwrap_or(0);
        work.snapshot = self.snapshots.due(&self.applier, term);
    }

    /// Apply what is committed, and answer those who waited for it.
    fn apply(&mut self, committed: Vec<eraftpb::Entry>, work: &mut Work, now: Duration) {
        self.standing.clock = self.clock;
        if committed.is_empty() {
            self.applier.publish(self.standing);
            return;
        }
        let outcome = self.applier.apply(
            committed,
            &mut self.raft,
            &mut self.writes,
            &mut self.changes,
            self.standing,
        );
        self.raft.advance_apply_to(self.applier.applied());
        self.clock
            .at_least(self.applier.with_store(Store::clock), now);
        if outcome.clock_written {
            self.clock_proposed = false;
        }
        if outcome.members_changed {
            work.members = Some(self.applier.members());
        }
        work.hash = outcome.hash;
        self.snapshots.count(outcome.bytes);
    }

    /// The raft crate took the snapshot the leader sent.
    fn install(&mut self, mark: &SnapshotMark, now: Duration) {
        let taken = self
            .received
            .take_if(|(received, _)| received.index == mark.index);
        let Some((_, store)) = taken else {
            // It takes only what was stepped in by `snapshot_received`.
            panic!(
                "the snapshot {} was taken before it was received",
                mark.index
            );
        };
        info!(index = mark.index, "installed a snapshot from the leader");
        self.clock.at_least(store.clock(), now);
        self.raft.mut_store().reset(mark.clone());
        self.snapshots.installed(mark);
        self.applier.install(mark, store);
    }

    /// Which messages of a member that doesn't lead may leave before its disk is done: answers that
    /// promise nothing about the log, unless a term or vote is not yet on disk.
    fn part(
        &mut self,
        messages: Vec<eraftpb::Message>,
        votes: bool,
    ) -> (Vec<Message>, Vec<Message>) {
        if votes || self.unsynced.has_vote() {
            return (Vec::new(), self.raft_messages(messages));
        }
        let (at_once, later) = messages.into_iter().partition(|message| {
            matches!(
                message.get_msg_type(),
                MessageType::MsgHeartbeatResponse | MessageType::MsgReadIndex
            )
        });
        (self.raft_messages(at_once), self.raft_messages(later))
    }

    fn raft_messages(&self, messages: Vec<eraftpb::Message>) -> Vec<Message> {
        let from = self.settings.member;
        let typed = messages.into_iter().filter_map(|message| {
            let to = MemberId::new(message.to)?;
            Some(Message {
                from,
                to,
                body: Body::Raft(convert::message_out(message)?),
            })
        });
        typed.collect()
    }

    /// Add our own messages to the work, and the leader's reading of the clock to its heartbeats.
    fn address(&mut self, work: &mut Work, now: Duration) {
        work.messages.append(&mut self.outgoing);
        let reading = self.clock.read(now);
        for message in &mut work.messages {
            if let Body::Raft(raft) = &mut message.body
                && raft.kind == RaftKind::Heartbeat
            {
                raft.clock = Some(reading);
            }
        }
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
        self.standing = Standing {
            term,
            leader,
            role,
            ..self.standing
        };
        if before.role == Role::Leader {
            self.changes.lost();
            self.proposals.clear();
        }
        self.clock_proposed = false;
        self.hand_on_again(now);
    }

    fn hand_on_fresh(&mut self, now: Duration) {
        if self.leader().is_some() {
            let fresh = self.writes.take_fresh(self.term(), now);
            self.hand_on(fresh, now);
        }
    }

    fn hand_on_again(&mut self, now: Duration) {
        if self.leader().is_some() && !self.writes.is_empty() {
            let again = self.writes.take_again(self.term(), self.leads(), now);
            self.hand_on(again, now);
        }
    }

    fn hand_on(&mut self, commands: Vec<Forwarded>, now: Duration) {
        if commands.is_empty() {
            return;
        }
        if self.leads() {
            self.propose_commands(commands, now);
        } else if let Some(to) = self.leader() {
            let from = self.settings.member;
            self.outgoing.push(Message {
                from,
                to,
                body: Body::Forward(commands),
            });
        }
    }

    /// Stamp commands and put them up for proposal. A member that doesn't lead drops them: whoever sent
    /// them sends them again to whoever does.
    fn propose_commands(&mut self, commands: Vec<Forwarded>, now: Duration) {
        if !self.leads() {
            return;
        }
        let stamp = self.stamp(now);
        for Forwarded { id, command } in commands {
            let data = codec::entry(stamp, Some(id), &command);
            self.proposals.push((
                Some(id),
                eraftpb::Entry {
                    data,
                    ..Default::default()
                },
            ));
        }
    }

    /// Propose what has gathered, as one message of the raft crate.
    fn propose(&mut self) {
        if self.proposals.is_empty() {
            return;
        }
        let (ids, entries): (Vec<_>, Vec<_>) = self.proposals.drain(..).unzip();
        let mut message = eraftpb::Message {
            from: self.settings.member.get(),
            ..Default::default()
        };
        message.set_msg_type(MessageType::MsgPropose);
        message.set_entries(entries.into());
        if let Err(error) = self.raft.raft.step(message) {
            debug!(%error, "proposals were dropped");
            self.writes.not_sent(ids.into_iter().flatten());
            self.clock_proposed = false;
        }
    }

    /// Propose the next change of the membership, if none is under way.
    fn propose_change(&mut self, now: Duration) {
        if !self.leads() {
            return;
        }
        let configuration = self.applier.configuration().clone();
        let next = self
            .applier
            .with_store(|store| self.changes.next(store, &configuration));
        let Some(next) = next else { return };
        // Entries put up before it keep their place.
        self.propose();
        let id = self.writes.next_id();
        let stamped = codec::entry(
            self.stamp(now),
            Some(id),
            &codec::encode_command(&next.command),
        );
        let proposed = if next.steps.is_empty() {
            self.raft.propose(Vec::new(), stamped.to_vec())
        } else {
            let context = membership::encode(&next.steps, &stamped).to_vec();
            self.raft
                .propose_conf_change(context, membership::conf_change(&next.steps))
        };
        let index = self.raft.raft.raft_log.last_index();
        self.changes.proposed(id, next.change, next.answer, index);
        if let Err(error) = proposed {
            debug!(%error, "a change of the membership was dropped");
            self.changes.applied(index, None);
        }
    }

    /// Propose expiry when something is due, and the clock when it has not been written for long.
    fn propose_clock(&mut self, now: Duration) {
        let (deadline, written) = self
            .applier
            .with_store(|store| (store.next_deadline(), store.clock()));
        let Some(deadline) = deadline else { return };
        let reading = self.stamp(now);
        let command = if deadline <= reading && !self.clock_proposed {
            self.clock_proposed = true;
            Command::Expire
        } else if reading.since(written) >= CLOCK_WRITTEN_EVERY && !self.clock_proposed {
            self.clock_proposed = true;
            Command::Tick
        } else {
            return;
        };
        let data = codec::entry(reading, None, &codec::encode_command(&command));
        self.proposals.push((
            None,
            eraftpb::Entry {
                data,
                ..Default::default()
            },
        ));
    }

    /// Learners that have caught up get a vote.
    fn promote_learners(&mut self) {
        let raft = &self.raft.raft;
        let committed = raft.raft_log.committed;
        let caught_up = self.applier.configuration().learners.iter().filter(|id| {
            let progress = raft.prs().get(**id);
            progress.is_some_and(|progress| {
                let near = progress.matched + self.settings.learner_lag_max >= committed;
                near && progress.recent_active && progress.state == ProgressState::Replicate
            })
        });
        for id in caught_up
            .filter_map(|id| MemberId::new(*id))
            .collect::<Vec<_>>()
        {
            self.changes.add(membership::Change::Promote(id), None);
        }
    }

    /// The clock's reading for an entry: never before that of an entry already applied.
    fn stamp(&self, now: Duration) -> ClusterTime {
        self.clock.read(now)
    }
}

fn role(state: StateRole) -> Role {
    match state {
        StateRole::Leader => Role::Leader,
        StateRole::Follower => Role::Follower,
        StateRole::Candidate | StateRole::PreCandidate => Role::Candidate,
    }
}

fn read(view: &RwLock<View>) -> RwLockReadGuard<'_, View> {
    view.read()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
