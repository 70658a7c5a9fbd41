//! Committed entries into the store, and everyone who waits for that.

use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use raft::eraftpb::{self, EntryType};
use raft::{RawNode, StateRole, eraftpb::ConfChangeV2};
use tokio::sync::oneshot;
use tracing::{error, info};

use super::handle::{Position, Refused, WatcherId, Watching, Written};
use super::log::Log;
use super::member_changes::{self, Changes};
use super::pending_writes::Writes;
use super::snapshots::HashJob;
use super::subscriptions::Watches;
use super::view::{AppliedState, RaftStatus};
use crate::cluster::{Member, MemberId};
use crate::store::{Command, CommandId, Event, Interest, Stamped, Store, codec};
use crate::wal::{Configuration, SnapshotMeta};

/// What a writer is told.
type Answer = Result<Written, Refused>;

/// The store's writing side. Nobody else takes the view's lock for writing.
pub(super) struct Applier {
    view: Arc<RwLock<AppliedState>>,
    watches: Watches,
    configuration: Configuration,
    applied: u64,
    hash_every: u64,
    events: Vec<Arc<Event>>,
    answers: Vec<(oneshot::Sender<Answer>, Answer)>,
}

/// What applying a batch came to.
#[derive(Default)]
pub(super) struct Applied {
    /// Bytes of the entries' payloads.
    pub(super) bytes: u64,
    /// The members or the configuration changed.
    pub(super) members_changed: bool,
    /// A hash that is due.
    pub(super) hash: Option<HashJob>,
}

impl Applier {
    /// Applies to `view`, whose store is as of entry `applied`.
    pub(super) fn new(
        view: Arc<RwLock<AppliedState>>,
        watches: Watches,
        applied: u64,
        configuration: Configuration,
        hash_every: u64,
    ) -> Self {
        let (events, answers) = (Vec::new(), Vec::new());
        Self {
            view,
            watches,
            configuration,
            applied,
            hash_every,
            events,
            answers,
        }
    }

    /// Apply `committed` under one hold of the lock, then tell watchers and answer writers.
    pub(super) fn apply(
        &mut self,
        committed: Vec<eraftpb::Entry>,
        raft: &mut RawNode<Log>,
        writes: &mut Writes,
        changes: &mut Changes,
        standing: RaftStatus,
    ) -> Applied {
        let mut outcome = Applied::default();
        let view = self.view.clone();
        let mut view = lock(&view);
        for entry in committed {
            self.applied = entry.index;
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
                self.one(
                    &mut view.store,
                    &stamped,
                    entry.index,
                    standing.term,
                    writes,
                );
                changes.set_applied(entry.index, id.or(stamped.id));
            } else {
                changes.set_applied(entry.index, None);
            }
            if entry.index % self.hash_every == 0 {
                outcome.hash = Some(HashJob {
                    index: entry.index,
                    store: view.store.clone(),
                });
            }
        }
        view.raft_index = self.applied;
        view.standing = standing;
        view.configuration.clone_from(&self.configuration);
        drop(view);
        self.deliver();
        outcome
    }

    /// Nothing to apply, but where this member stands may have changed.
    pub(super) fn publish(&mut self, standing: RaftStatus) {
        if self.read().standing != standing {
            lock(&self.view).standing = standing;
        }
    }

    /// The store the leader sent takes the place of this one.
    pub(super) fn install(&mut self, mark: &SnapshotMeta, store: Store) {
        self.applied = mark.index;
        self.configuration = mark.configuration.clone();
        let mut view = lock(&self.view);
        let mut store = store;
        store.keep_counting(&view.store);
        view.store = store;
        view.raft_index = mark.index;
        view.configuration = mark.configuration.clone();
        drop(view);
        self.watches.end_all();
    }

    /// Begin a watch.
    pub(super) fn watch(
        &mut self,
        interest: Interest,
        stream: bool,
        since: Option<u64>,
    ) -> Watching {
        let view = self.view.clone();
        let view = view
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        self.watches
            .begin(&view.store, view.position(), interest, stream, since)
    }

    /// A watch is over.
    pub(super) fn unwatch(&mut self, id: WatcherId) {
        self.watches.end(id);
    }

    /// The index of the last applied entry.
    pub(super) fn applied(&self) -> u64 {
        self.applied
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

    /// A look at the store.
    pub(super) fn with_store<T>(&self, look: impl FnOnce(&Store) -> T) -> T {
        look(&self.read().store)
    }

    fn read(&self) -> RwLockReadGuard<'_, AppliedState> {
        self.view
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The command of an ordinary entry; none for the empty one a new leader makes.
    fn command(&self, entry: &eraftpb::Entry) -> Option<Stamped> {
        if entry.data.is_empty() {
            return None;
        }
        Some(decoded(codec::decode_stamped(&entry.data), entry.index))
    }

    /// A membership entry: Raft's configuration now, the tree with its command.
    fn membership(
        &mut self,
        entry: &eraftpb::Entry,
        raft: &mut RawNode<Log>,
    ) -> (Option<Stamped>, Option<CommandId>) {
        let Some((steps, stamped)) = member_changes::decode(entry.context.clone()) else {
            return decoded(Err("no membership entry"), entry.index);
        };
        let change: ConfChangeV2 = member_changes::to_conf_change(&steps);
        match raft.apply_conf_change(&change) {
            Ok(configuration) => {
                self.configuration = super::convert::configuration_out(&configuration);
                info!(
                    voters = self.configuration.voters.len(),
                    learners = self.configuration.learners.len(),
                    "the members are others now"
                );
                if !self.configuration.contains(raft.raft.id) {
                    step_down(raft);
                }
            }
            // All members refuse it alike: it depends on the configuration alone.
            Err(error) => {
                error!(index = entry.index, %error, "a change of the membership was refused")
            }
        }
        let stamped: Stamped = decoded(codec::decode_stamped(&stamped), entry.index);
        let id = stamped.id;
        (Some(stamped), id)
    }

    /// One command into the store; keeps the answer for whoever waits for it here.
    fn one(
        &mut self,
        store: &mut Store,
        stamped: &Stamped,
        index: u64,
        term: u64,
        writes: &mut Writes,
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
            // Taken for one that was applied long ago: whether it was, nobody knows any more.
            Ok(None) => Err(Refused::Unanswered),
        };
        self.answers.push((answer, written));
    }

    fn deliver(&mut self) {
        for event in self.events.drain(..) {
            self.watches.tell(&event);
        }
        for (answer, written) in self.answers.drain(..) {
            // A client that went away needs no answer.
            let _ = answer.send(written);
        }
    }
}

/// This member was removed. The raft crate does not cope with a leader that is no member: one of those
/// that stay is asked to campaign. This one votes on, for others may not know yet that it may not.
fn step_down(raft: &mut RawNode<Log>) {
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

fn lock(view: &RwLock<AppliedState>) -> RwLockWriteGuard<'_, AppliedState> {
    view.write()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// What was committed was encoded by a member of this cluster: if it cannot be read, this member's
/// version is too old for it or its memory is broken, and applying on would make its store differ.
fn decoded<T, E: std::fmt::Display>(result: Result<T, E>, index: u64) -> T {
    result.unwrap_or_else(|error| panic!("entry {index} cannot be read: {error}"))
}
