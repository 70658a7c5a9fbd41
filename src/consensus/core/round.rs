//! One round of the raft crate: what it wants sent, written and applied.

use std::time::Duration;

use raft::eraftpb::{self, EntryType, MessageType};
use tracing::info;

use super::{Core, Work, Write};
use crate::cluster::MemberId;
use crate::consensus::convert;
use crate::consensus::message::{Body, Message, RaftKind};
use crate::consensus::pending_ready::PendingReady;
use crate::store::Store;
use crate::wal::{Batch, SnapshotMeta};

impl Core {
    /// One round of the raft crate: what it wants sent, written and applied.
    pub(super) fn round(&mut self, work: &mut Work, now: Duration) {
        let mut ready = self.raft.ready();
        let number = ready.number();
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
            work.members = Some(self.members_at_current_addresses());
        }
        let committed = ready.take_committed_entries();
        let reads = ready.take_read_states();
        self.raft.mut_store().append(ready.entries());
        batch.entries = ready.entries().iter().map(convert::entry_out).collect();
        batch.compact = self.snapshots.take_note();

        // What a membership entry made of the configuration must outlast this process: nobody may count
        // on a member that was removed.
        let members = committed.iter().any(is_membership) || batch.reset.is_some();
        if members {
            self.confirms = Some(number);
        }
        let writes = votes || members || batch != Batch::default();
        batch.hard_state = Some(self.hard_state);
        let messages = (ready.take_messages(), ready.take_persisted_messages());
        let (at_once, later) = self.part(messages, votes);
        work.messages = at_once;
        self.unsynced.hold(PendingReady {
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
        let written = self.applier.with_store(Store::clock);
        self.clock.at_least(written, now);
        self.clock_proposed = self.clock_proposed.filter(|stamp| *stamp > written);
        if outcome.members_changed {
            work.members = Some(self.members_at_current_addresses());
        }
        work.hash = outcome.hash;
        self.snapshots.count(outcome.bytes);
    }

    /// The raft crate took the snapshot the leader sent.
    fn install(&mut self, mark: &SnapshotMeta, now: Duration) {
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
        self.clock.follow(mark.term, store.clock(), now);
        self.clock.at_least(store.clock(), now);
        self.raft.mut_store().reset(mark.clone());
        self.snapshots.installed(mark);
        self.applier.install(mark, store);
    }

    /// Which messages may leave before the disk is done, and which only afterwards: of a leader's
    /// (`free`) all, of others' those that promise nothing about the log. None of them while a term or
    /// vote is not yet on disk: who votes alone leads at once, and learners must not hear of a term that a
    /// crash would make it begin again.
    fn part(
        &mut self,
        (free, bound): (Vec<eraftpb::Message>, Vec<eraftpb::Message>),
        votes: bool,
    ) -> (Vec<Message>, Vec<Message>) {
        if votes || self.unsynced.has_vote() {
            let later = free.into_iter().chain(bound).collect();
            return (Vec::new(), self.raft_messages(later));
        }
        let (promising, harmless): (Vec<_>, Vec<_>) = bound.into_iter().partition(|message| {
            !matches!(
                message.get_msg_type(),
                MessageType::MsgHeartbeatResponse | MessageType::MsgReadIndex
            )
        });
        let at_once = free.into_iter().chain(harmless).collect();
        (self.raft_messages(at_once), self.raft_messages(promising))
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
    pub(super) fn address(&mut self, work: &mut Work, now: Duration) {
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
}

fn is_membership(entry: &eraftpb::Entry) -> bool {
    match entry.get_entry_type() {
        EntryType::EntryNormal => false,
        EntryType::EntryConfChange | EntryType::EntryConfChangeV2 => true,
    }
}
