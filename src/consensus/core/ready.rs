//! Handles a `Ready` of the raft crate: messages to send, entries to write, entries to apply.

use std::time::Duration;

use raft::eraftpb::{self, EntryType, MessageType};
use tracing::info;

use super::{Core, WalWrite, Work};
use crate::cluster::MemberId;
use crate::consensus::convert;
use crate::consensus::message::{Body, Message, RaftKind};
use crate::consensus::pending_ready::PendingReady;
use crate::store::Store;
use crate::wal::{Batch, SnapshotMeta};

impl Core {
    /// Turn the next `Ready` of the raft crate into work, and apply its committed entries.
    pub(super) fn handle_ready(&mut self, work: &mut Work, now: Duration) {
        let mut ready = self.raft.ready();
        let number = ready.number();
        let mut batch = Batch::default();
        let mut has_vote = false;
        if let Some(state) = ready.hs() {
            let state = convert::from_raft_hard_state(state);
            has_vote = (state.term, state.vote) != (self.hard_state.term, self.hard_state.vote);
            self.hard_state = state;
        }
        if ready.snapshot().get_metadata().index != 0 {
            let meta = convert::from_raft_metadata(ready.snapshot().get_metadata());
            self.installing = Some((number, meta.index));
            self.install(&meta, now);
            batch.reset = Some(meta);
            work.members = Some(self.members_with_current_urls());
        }
        let committed = ready.take_committed_entries();
        let reads = ready.take_read_states();
        self.raft.mut_store().append(ready.entries());
        batch.entries = ready
            .entries()
            .iter()
            .map(convert::from_raft_entry)
            .collect();
        batch.compact = self.snapshots.take_note();

        // A committed membership change must survive a crash, so that this member never counts a removed
        // member again: its commit index is synced.
        let has_membership = committed.iter().any(is_membership) || batch.reset.is_some();
        if has_membership {
            self.membership_ready = Some(number);
        }
        let has_write = has_vote || has_membership || batch != Batch::default();
        batch.hard_state = Some(self.hard_state);
        let messages = (ready.take_messages(), ready.take_persisted_messages());
        let (at_once, later) = self.split_messages(messages, has_vote);
        work.messages = at_once;
        self.pending_readies.add(PendingReady {
            number,
            has_write,
            has_vote,
            messages: later,
        });
        if has_write {
            work.write = Some(WalWrite { number, batch });
        }
        self.raft.advance_append_async(ready);
        if !has_write {
            self.persisted(0);
        }
        self.apply(committed, work, now);
        for state in reads {
            self.reads
                .confirm(&state.request_ctx, state.index, self.raft.raft.term);
        }
        self.reads.release(self.applier.applied_index());
        if self.raft.store().take_newer_wanted() {
            self.snapshots.request();
        }
        let term = self
            .raft
            .raft
            .raft_log
            .term(self.applier.applied_index())
            .unwrap_or(0);
        work.snapshot = self.snapshots.take_due(&self.applier, term);
    }

    /// Apply committed entries, and answer the writes that waited for them.
    fn apply(&mut self, committed: Vec<eraftpb::Entry>, work: &mut Work, now: Duration) {
        self.raft_status.clock = self.clock;
        if committed.is_empty() {
            self.applier.publish(self.raft_status);
            return;
        }
        let outcome = self.applier.apply(
            committed,
            &mut self.raft,
            &mut self.writes,
            &mut self.changes,
            self.raft_status,
        );
        self.raft.advance_apply_to(self.applier.applied_index());
        let written = self.applier.with_store(Store::clock);
        self.clock.advance_to(written, now);
        self.clock_proposed = self.clock_proposed.filter(|stamp| *stamp > written);
        if outcome.members_changed {
            work.members = Some(self.members_with_current_urls());
        }
        work.hash = outcome.hash;
        self.snapshots.add_applied(outcome.bytes);
    }

    /// Install the leader's snapshot, which the raft crate has accepted.
    fn install(&mut self, meta: &SnapshotMeta, now: Duration) {
        let received = self
            .received
            .take_if(|(received, _)| received.index == meta.index);
        let Some((_, store)) = received else {
            // The raft crate only receives snapshots from `snapshot_received`.
            panic!(
                "raft accepted the snapshot {} before it was received",
                meta.index
            );
        };
        info!(index = meta.index, "snapshot from the leader installed");
        self.clock.follow(meta.term, store.clock(), now);
        self.clock.advance_to(store.clock(), now);
        self.raft.mut_store().reset(meta.clone());
        self.snapshots.record_installed(meta);
        self.applier.install(meta, store);
    }

    /// Split messages into those that may be sent at once, and those that wait until the `Ready` is on disk.
    ///
    /// A leader's messages (`free`) are sent at once, and of the others (`persisted`) those that do not
    /// depend on the log. While a change of term or vote is not on disk, nothing is sent: the only voter
    /// leads at once, and learners must not see a term that it would start a second time after a crash.
    fn split_messages(
        &mut self,
        (free, persisted): (Vec<eraftpb::Message>, Vec<eraftpb::Message>),
        has_vote: bool,
    ) -> (Vec<Message>, Vec<Message>) {
        if has_vote || self.pending_readies.has_vote() {
            let later = free.into_iter().chain(persisted).collect();
            return (Vec::new(), self.raft_messages(later));
        }
        let (later, independent): (Vec<_>, Vec<_>) = persisted.into_iter().partition(|message| {
            !matches!(
                message.get_msg_type(),
                MessageType::MsgHeartbeatResponse | MessageType::MsgReadIndex
            )
        });
        let at_once = free.into_iter().chain(independent).collect();
        (self.raft_messages(at_once), self.raft_messages(later))
    }

    fn raft_messages(&self, messages: Vec<eraftpb::Message>) -> Vec<Message> {
        let from = self.settings.member;
        let typed = messages.into_iter().filter_map(|message| {
            let to = MemberId::new(message.to)?;
            Some(Message {
                from,
                to,
                body: Body::Raft(convert::from_raft_message(message)?),
            })
        });
        typed.collect()
    }

    /// Add the messages that do not come from the raft crate, and the clock's reading to heartbeats.
    pub(super) fn add_outgoing(&mut self, work: &mut Work, now: Duration) {
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
