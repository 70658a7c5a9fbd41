//! Our types and the raft crate's, one into the other.
//!
//! Peer bytes never reach that crate's own decoder: what it decodes itself, a configuration change in an
//! entry's data, is left empty here and travels typed in our own encoding of the entry.

use raft::eraftpb;
use raft::prelude::{ConfState, MessageType};

use super::message::{RaftKind, RaftMessage};
use crate::wal::{Configuration, Entry, EntryKind, HardState, SnapshotMeta};

/// What of the raft crate's entry travels and is written to disk.
///
/// A membership entry keeps our encoding in `context`; its `data` is the raft crate's own, needed only
/// while it is being proposed.
pub(super) fn entry_out(entry: &eraftpb::Entry) -> Entry {
    let (kind, data) = match entry.get_entry_type() {
        eraftpb::EntryType::EntryNormal => (EntryKind::Command, entry.data.clone()),
        eraftpb::EntryType::EntryConfChange | eraftpb::EntryType::EntryConfChangeV2 => {
            (EntryKind::Membership, entry.context.clone())
        }
    };
    Entry {
        index: entry.index,
        term: entry.term,
        kind,
        data,
    }
}

/// The raft crate's form of an entry.
pub(super) fn entry_in(entry: Entry) -> eraftpb::Entry {
    let mut out = eraftpb::Entry {
        index: entry.index,
        term: entry.term,
        ..Default::default()
    };
    match entry.kind {
        EntryKind::Command => out.data = entry.data,
        EntryKind::Membership => {
            out.set_entry_type(eraftpb::EntryType::EntryConfChangeV2);
            out.context = entry.data;
        }
    }
    out
}

/// Our form of the hard state.
pub(super) fn hard_state_out(state: &eraftpb::HardState) -> HardState {
    HardState {
        term: state.term,
        vote: state.vote,
        commit: state.commit,
    }
}

/// The raft crate's form of the hard state.
pub(super) fn hard_state_in(state: HardState) -> eraftpb::HardState {
    eraftpb::HardState {
        term: state.term,
        vote: state.vote,
        commit: state.commit,
        ..Default::default()
    }
}

/// Our form of a configuration.
pub(super) fn configuration_out(state: &ConfState) -> Configuration {
    Configuration {
        voters: state.voters.clone(),
        learners: state.learners.clone(),
        voters_outgoing: state.voters_outgoing.clone(),
        learners_next: state.learners_next.clone(),
        auto_leave: state.auto_leave,
    }
}

/// The raft crate's form of a configuration.
pub(super) fn configuration_in(configuration: &Configuration) -> ConfState {
    ConfState {
        voters: configuration.voters.clone(),
        learners: configuration.learners.clone(),
        voters_outgoing: configuration.voters_outgoing.clone(),
        learners_next: configuration.learners_next.clone(),
        auto_leave: configuration.auto_leave,
        ..Default::default()
    }
}

/// Our form of a snapshot's metadata.
pub(super) fn mark_out(metadata: &eraftpb::SnapshotMetadata) -> SnapshotMeta {
    SnapshotMeta {
        index: metadata.index,
        term: metadata.term,
        configuration: configuration_out(metadata.get_conf_state()),
    }
}

/// The raft crate's form of a snapshot, without its bytes.
pub(super) fn snapshot_in(mark: &SnapshotMeta) -> eraftpb::Snapshot {
    let mut snapshot = eraftpb::Snapshot::default();
    let metadata = snapshot.mut_metadata();
    metadata.index = mark.index;
    metadata.term = mark.term;
    metadata.set_conf_state(configuration_in(&mark.configuration));
    snapshot
}

/// What travels of a message of the raft crate; none for the kinds that are a member's own affair.
pub(super) fn message_out(mut message: eraftpb::Message) -> Option<RaftMessage> {
    let kind = kind_out(message.get_msg_type())?;
    let snapshot =
        (kind == RaftKind::Snapshot).then(|| mark_out(message.get_snapshot().get_metadata()));
    let entries = message.take_entries().iter().map(entry_out).collect();
    Some(RaftMessage {
        kind,
        term: message.term,
        log_term: message.log_term,
        index: message.index,
        entries,
        commit: message.commit,
        commit_term: message.commit_term,
        reject: message.reject,
        reject_hint: message.reject_hint,
        request_snapshot: message.request_snapshot,
        context: message.context,
        snapshot,
        clock: None,
    })
}

/// The raft crate's form of a message.
pub(super) fn message_in(from: u64, to: u64, message: RaftMessage) -> eraftpb::Message {
    let mut out = eraftpb::Message {
        from,
        to,
        term: message.term,
        log_term: message.log_term,
        index: message.index,
        commit: message.commit,
        commit_term: message.commit_term,
        reject: message.reject,
        reject_hint: message.reject_hint,
        request_snapshot: message.request_snapshot,
        context: message.context,
        ..Default::default()
    };
    out.set_msg_type(kind_in(message.kind));
    out.set_entries(
        message
            .entries
            .into_iter()
            .map(entry_in)
            .collect::<Vec<_>>()
            .into(),
    );
    if let Some(mark) = &message.snapshot {
        out.set_snapshot(snapshot_in(mark));
    }
    out
}

fn kind_out(kind: MessageType) -> Option<RaftKind> {
    Some(match kind {
        MessageType::MsgAppend => RaftKind::Append,
        MessageType::MsgAppendResponse => RaftKind::AppendResponse,
        MessageType::MsgRequestVote => RaftKind::Vote,
        MessageType::MsgRequestVoteResponse => RaftKind::VoteResponse,
        MessageType::MsgSnapshot => RaftKind::Snapshot,
        MessageType::MsgHeartbeat => RaftKind::Heartbeat,
        MessageType::MsgHeartbeatResponse => RaftKind::HeartbeatResponse,
        MessageType::MsgTransferLeader => RaftKind::TransferLeader,
        MessageType::MsgTimeoutNow => RaftKind::TimeoutNow,
        MessageType::MsgReadIndex => RaftKind::ReadIndex,
        MessageType::MsgReadIndexResp => RaftKind::ReadIndexResponse,
        MessageType::MsgRequestPreVote => RaftKind::PreVote,
        MessageType::MsgRequestPreVoteResponse => RaftKind::PreVoteResponse,
        MessageType::MsgHup
        | MessageType::MsgBeat
        | MessageType::MsgPropose
        | MessageType::MsgUnreachable
        | MessageType::MsgSnapStatus
        | MessageType::MsgCheckQuorum => return None,
    })
}

fn kind_in(kind: RaftKind) -> MessageType {
    match kind {
        RaftKind::Append => MessageType::MsgAppend,
        RaftKind::AppendResponse => MessageType::MsgAppendResponse,
        RaftKind::Vote => MessageType::MsgRequestVote,
        RaftKind::VoteResponse => MessageType::MsgRequestVoteResponse,
        RaftKind::Snapshot => MessageType::MsgSnapshot,
        RaftKind::Heartbeat => MessageType::MsgHeartbeat,
        RaftKind::HeartbeatResponse => MessageType::MsgHeartbeatResponse,
        RaftKind::TransferLeader => MessageType::MsgTransferLeader,
        RaftKind::TimeoutNow => MessageType::MsgTimeoutNow,
        RaftKind::ReadIndex => MessageType::MsgReadIndex,
        RaftKind::ReadIndexResponse => MessageType::MsgReadIndexResp,
        RaftKind::PreVote => MessageType::MsgRequestPreVote,
        RaftKind::PreVoteResponse => MessageType::MsgRequestPreVoteResponse,
    }
}
