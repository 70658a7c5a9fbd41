//! Conversions between this crate's types and those of the raft crate.
//!
//! Bytes of peers never reach that crate's own decoder: the data of a configuration change, which it would
//! decode, stays empty here, and the change is sent in our own encoding.

use raft::eraftpb;
use raft::prelude::{ConfState, MessageType};

use super::message::{RaftKind, RaftMessage};
use crate::wal::{Configuration, Entry, EntryKind, HardState, SnapshotMeta};

/// The entry as it is sent and written to disk.
///
/// A membership entry has our encoding in `context`; its `data` is the raft crate's, and needed only while
/// the entry is proposed.
pub(super) fn from_raft_entry(entry: &eraftpb::Entry) -> Entry {
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

/// Converts to the raft crate's form of an entry.
pub(super) fn to_raft_entry(entry: Entry) -> eraftpb::Entry {
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

/// Converts from the raft crate's form of the hard state.
pub(super) fn from_raft_hard_state(state: &eraftpb::HardState) -> HardState {
    HardState {
        term: state.term,
        vote: state.vote,
        commit: state.commit,
    }
}

/// Converts to the raft crate's form of the hard state.
pub(super) fn to_raft_hard_state(state: HardState) -> eraftpb::HardState {
    eraftpb::HardState {
        term: state.term,
        vote: state.vote,
        commit: state.commit,
        ..Default::default()
    }
}

/// Converts from the raft crate's form of a configuration.
pub(super) fn from_raft_configuration(state: &ConfState) -> Configuration {
    Configuration {
        voters: state.voters.clone(),
        learners: state.learners.clone(),
        voters_outgoing: state.voters_outgoing.clone(),
        learners_next: state.learners_next.clone(),
        auto_leave: state.auto_leave,
    }
}

/// Converts to the raft crate's form of a configuration.
pub(super) fn to_raft_configuration(configuration: &Configuration) -> ConfState {
    ConfState {
        voters: configuration.voters.clone(),
        learners: configuration.learners.clone(),
        voters_outgoing: configuration.voters_outgoing.clone(),
        learners_next: configuration.learners_next.clone(),
        auto_leave: configuration.auto_leave,
        ..Default::default()
    }
}

/// Converts from the raft crate's form of a snapshot's metadata.
pub(super) fn from_raft_metadata(metadata: &eraftpb::SnapshotMetadata) -> SnapshotMeta {
    SnapshotMeta {
        index: metadata.index,
        term: metadata.term,
        configuration: from_raft_configuration(metadata.get_conf_state()),
    }
}

/// Converts to the raft crate's form of a snapshot, without its bytes.
pub(super) fn to_raft_snapshot(meta: &SnapshotMeta) -> eraftpb::Snapshot {
    let mut snapshot = eraftpb::Snapshot::default();
    let metadata = snapshot.mut_metadata();
    metadata.index = meta.index;
    metadata.term = meta.term;
    metadata.set_conf_state(to_raft_configuration(&meta.configuration));
    snapshot
}

/// Converts from the raft crate's form of a message; none for the kinds that a member sends to itself.
pub(super) fn from_raft_message(mut message: eraftpb::Message) -> Option<RaftMessage> {
    let kind = from_raft_kind(message.get_msg_type())?;
    let snapshot = (kind == RaftKind::Snapshot)
        .then(|| from_raft_metadata(message.get_snapshot().get_metadata()));
    let entries = message.take_entries().iter().map(from_raft_entry).collect();
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

/// Converts to the raft crate's form of a message.
pub(super) fn to_raft_message(from: u64, to: u64, message: RaftMessage) -> eraftpb::Message {
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
    out.set_msg_type(to_raft_kind(message.kind));
    out.set_entries(
        message
            .entries
            .into_iter()
            .map(to_raft_entry)
            .collect::<Vec<_>>()
            .into(),
    );
    if let Some(meta) = &message.snapshot {
        out.set_snapshot(to_raft_snapshot(meta));
    }
    out
}

fn from_raft_kind(kind: MessageType) -> Option<RaftKind> {
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

fn to_raft_kind(kind: RaftKind) -> MessageType {
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
