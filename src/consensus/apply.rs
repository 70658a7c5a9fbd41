//! Applies committed entries to the store, then delivers events to watches and answers to pending writes.

use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use raft::eraftpb::{self, EntryType};
use raft::{RawNode, StateRole, eraftpb::ConfChangeV2};
use tokio::sync::oneshot;
use tracing::{error, info};

use super::answer::{Position, Refused, Written};
use super::applied_state::{AppliedState, RaftStatus};
use super::hashes::HashJob;
use super::input::{StartedWatch, WatcherId};
use super::member_changes::{self, Changes};
use super::pending_writes::PendingWrites;
use super::raft_log::RaftLog;
use super::subscriptions::Subscriptions;
use crate::cluster::{Member, MemberId};
use crate::store::{Command, CommandId, Event, Interest, Stamped, Store, codec};
use crate::wal::{Configuration, SnapshotMeta};

/// The answer to a pending write.
type Answer = Result<Written, Refused>;

/// The writing side of the applied state: nothing else locks it for writing.
pub(super) struct Applier {
    applied: Arc<RwLock<AppliedState>>,
    subscriptions: Subscriptions,
    configuration: Configuration,
    applied_index: u64,
    hash_every: u64,
    events: Vec<Arc<Event>>,
    answers: Vec<(oneshot::Sender<Answer>, Answer)>,
}

/// The outcome of applying a batch of entries.
#[derive(Default)]
pub(super) struct ApplyOutcome {
    /// Bytes of the entries' payloads.
    pub(super) bytes: u64,
    /// Whether the members or the configuration changed.
    pub(super) members_changed: bool,
    /// A hash that is due.
    pub(super) hash: Option<HashJob>,
}

impl Applier {
    /// An applier for `applied`, whose store is as of entry `applied_index`.
    pub(super) fn new(
        applied: Arc<RwLock<AppliedState>>,
        subscriptions: Subscriptions,
        applied_index: u64,
        configuration: Configuration,
        hash_every: u64,
    ) -> Self {
        let (events, answers) = (Vec::new(), Vec::new());
        Self {
            applied,
            subscriptions,
            configuration,
            applied_index,
            hash_every,
            events,
            answers,
        }
    }

    /// Apply `committed` while holding the lock once, then deliver events and answers.
    pub(super) fn apply(
        &mut self,
        committed: Vec<eraftpb::Entry>,
        raft: &mut RawNode<RaftLog>,
        writes: &mut PendingWrites,
        changes: &mut Changes,
        raft_status: RaftStatus,
    ) -> ApplyOutcome {
        let mut outcome = ApplyOutcome::default();
        let applied = self.applied.clone();
        let mut applied = lock(&applied);
        for entry in committed {
            self.applied_index = entry.index;
            outcome.bytes += (entry.data.len() + entry.context.len()) as u64;
            let (stamped, id) = match entry.get_entry_type() {
                EntryType::EntryNormal => (self.command(&entry), None),
                EntryType::EntryConfChange | EntryType::EntryConfChangeV2 => {
                    outcome.members_changed = true;
                    self.membership(&entry, raft)
                }
            };
            if let Some(stamped) = stamped {
                outcome.members_changed |= matches!(
                    stamped.command,
                    Command::PutMember(_) | Command::RemoveMember { .. }
                );
                self.apply_command(
                    &mut applied.store,
                    &stamped,
                    entry.index,
                    raft_status.term,
                    writes,
                );
                changes.set_applied(entry.index, id.or(stamped.id));
            } else {
                changes.set_applied(entry.index, None);
            }
            if entry.index % self.hash_every == 0 {
                outcome.hash = Some(HashJob {
                    index: entry.index,
                    store: applied.store.clone(),
                });
            }
        }
        applied.raft_index = self.applied_index;
        applied.raft_status = raft_status;
        applied.configuration.clone_from(&self.configuration);
        drop(applied);
        self.deliver();
        outcome
    }

    /// Publish a status that changed without an entry to apply.
    pub(super) fn publish(&mut self, raft_status: RaftStatus) {
        if self.read().raft_status != raft_status {
            lock(&self.applied).raft_status = raft_status;
        }
    }

    /// Replace the store by that of the leader's snapshot.
    pub(super) fn install(&mut self, meta: &SnapshotMeta, store: Store) {
        self.applied_index = meta.index;
        self.configuration = meta.configuration.clone();
        let mut applied = lock(&self.applied);
        let mut store = store;
        store.keep_counting(&applied.store);
        applied.store = store;
        applied.raft_index = meta.index;
        applied.configuration = meta.configuration.clone();
        drop(applied);
        self.subscriptions.remove_all();
    }

    /// Start a watch.
    pub(super) fn watch(
        &mut self,
        interest: Interest,
        stream: bool,
        since: Option<u64>,
    ) -> StartedWatch {
        let applied = self.applied.clone();
        let applied = applied
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        self.subscriptions
            .subscribe(&applied.store, applied.position(), interest, stream, since)
    }

    /// End a watch.
    pub(super) fn unwatch(&mut self, id: WatcherId) {
        self.subscriptions.remove(id);
    }

    /// The index of the last applied entry.
    pub(super) fn applied_index(&self) -> u64 {
        self.applied_index
    }

    /// The configuration as of that entry.
    pub(super) fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// The members as of that entry.
    pub(super) fn members(&self) -> Vec<Member> {
        self.with_store(|store| store.members().cloned().collect())
    }

    /// The member with this id.
    pub(super) fn member(&self, id: MemberId) -> Option<Member> {
        self.with_store(|store| store.members().find(|member| member.id == id).cloned())
    }

    /// Read the store.
    pub(super) fn with_store<T>(&self, read: impl FnOnce(&Store) -> T) -> T {
        read(&self.read().store)
    }

    fn read(&self) -> RwLockReadGuard<'_, AppliedState> {
        self.applied
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Decode the command of a normal entry; none for the empty entry of a new leader.
    fn command(&self, entry: &eraftpb::Entry) -> Option<Stamped> {
        if entry.data.is_empty() {
            return None;
        }
        Some(expect_valid(
            codec::decode_stamped(&entry.data),
            entry.index,
        ))
    }

    /// Apply a membership entry to Raft's configuration, and return its command for the tree.
    fn membership(
        &mut self,
        entry: &eraftpb::Entry,
        raft: &mut RawNode<RaftLog>,
    ) -> (Option<Stamped>, Option<CommandId>) {
        let Some((steps, stamped)) = member_changes::decode(entry.context.clone()) else {
            return expect_valid(Err("not a membership entry"), entry.index);
        };
        let change: ConfChangeV2 = member_changes::to_conf_change(&steps);
        match raft.apply_conf_change(&change) {
            Ok(configuration) => {
                self.configuration = super::convert::from_raft_configuration(&configuration);
                info!(
                    voters = self.configuration.voters.len(),
                    learners = self.configuration.learners.len(),
                    "raft configuration changed"
                );
                if !self.configuration.contains(raft.raft.id) {
                    step_down(raft);
                }
            }
            // The result depends on the configuration alone, so all members refuse the same entry.
            Err(error) => {
                error!(index = entry.index, %error, "membership change refused by raft")
            }
        }
        let stamped: Stamped = expect_valid(codec::decode_stamped(&stamped), entry.index);
        let id = stamped.id;
        (Some(stamped), id)
    }

    /// Apply a command to the store, and keep the answer if the write is pending at this member.
    fn apply_command(
        &mut self,
        store: &mut Store,
        stamped: &Stamped,
        index: u64,
        term: u64,
        writes: &mut PendingWrites,
    ) {
        let result = store.apply(stamped, &mut self.events);
        let Some(answer) = stamped.id.and_then(|id| writes.take(id)) else {
            return;
        };
        let position = Position {
            index: store.index(),
            raft_index: index,
            raft_term: term,
        };
        let written = match result {
            Ok(Some(event)) => Ok(Written {
                result: Ok(event),
                position,
            }),
            Err(error) => Ok(Written {
                result: Err(error),
                position,
            }),
            // The store took it for a command that was applied long ago, and no longer has its result.
            Ok(None) => Err(Refused::Unanswered),
        };
        self.answers.push((answer, written));
    }

    fn deliver(&mut self) {
        for event in self.events.drain(..) {
            self.subscriptions.deliver(&event);
        }
        for (answer, written) in self.answers.drain(..) {
            // The client may have disconnected.
            let _ = answer.send(written);
        }
    }
}

/// This member was removed. The raft crate does not support a leader that is not in its configuration, so
/// one of the remaining voters is asked to campaign. This member still votes: the others may not have
/// applied its removal yet.
fn step_down(raft: &mut RawNode<RaftLog>) {
    let raft = &mut raft.raft;
    if raft.state != StateRole::Leader {
        return;
    }
    let voters = raft.prs().iter().filter(|(id, progress)| {
        progress.recent_active && raft.prs().conf().voters().contains(**id)
    });
    let best = voters.max_by_key(|(_, progress)| progress.matched);
    if let Some(best) = best.map(|(id, _)| *id) {
        raft.send_timeout_now(best);
    }
    raft.become_follower(raft.term, raft::INVALID_ID);
}

fn lock(applied: &RwLock<AppliedState>) -> RwLockWriteGuard<'_, AppliedState> {
    applied
        .write()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Panics if a committed entry cannot be decoded. A member of this cluster encoded it, so this member's
/// version is too old or its memory is faulty; if it went on, its store would differ from the others.
fn expect_valid<T, E: std::fmt::Display>(result: Result<T, E>, index: u64) -> T {
    result.unwrap_or_else(|error| panic!("cannot decode the committed entry {index}: {error}"))
}
