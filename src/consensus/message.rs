//! What members say to each other, typed; `transport` turns it into bytes and back.

use bytes::Bytes;

use crate::cluster::MemberId;
use crate::store::{ClusterTime, CommandId};
use crate::wal::{Entry, SnapshotMeta};

/// A message from one member to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who says it.
    pub from: MemberId,
    /// To whom.
    pub to: MemberId,
    /// What.
    pub body: Body,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all messages are Raft's; a box would cost each an allocation"
)]
pub enum Body {
    /// A message of the Raft protocol.
    Raft(RaftMessage),
    /// Commands taken by a member that does not lead, for the leader to propose.
    Forward(Vec<Forwarded>),
    /// The sender's store at this applied index, to be compared with one's own.
    StoreHash {
        /// The applied index.
        index: u64,
        /// The hash of the store there.
        hash: u64,
    },
}

/// A command on its way to the leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// Its id, by which it is applied once however often it is sent.
    pub id: CommandId,
    /// The command as it will stand in the log, without stamp.
    pub command: Bytes,
}

/// The kinds of messages of the Raft protocol that travel.
///
/// A proposal is not among them: forwarded commands have their own frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RaftKind {
    /// Entries for the log.
    Append,
    /// What became of them.
    AppendResponse,
    /// A candidate asks for a vote.
    Vote,
    /// The answer.
    VoteResponse,
    /// A snapshot comes; its bytes travel on a stream of their own.
    Snapshot,
    /// The leader lives.
    Heartbeat,
    /// The follower too.
    HeartbeatResponse,
    /// A member asks to be made leader.
    TransferLeader,
    /// The leader asks a member to campaign now.
    TimeoutNow,
    /// A member asks up to where the log is committed.
    ReadIndex,
    /// The leader's answer.
    ReadIndexResponse,
    /// Would I get your vote?
    PreVote,
    /// The answer.
    PreVoteResponse,
}

/// A message of the Raft protocol; a field that a kind has no use for is zero, false or empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaftMessage {
    /// What it is.
    pub kind: RaftKind,
    /// The sender's term.
    pub term: u64,
    /// The term of the entry at `index`.
    pub log_term: u64,
    /// The place in the log it is about.
    pub index: u64,
    /// Entries after `index`.
    pub entries: Vec<Entry>,
    /// The sender's commit index.
    pub commit: u64,
    /// The term of the entry at `commit`.
    pub commit_term: u64,
    /// Whether the sender says no.
    pub reject: bool,
    /// Where the sender's log may agree.
    pub reject_hint: u64,
    /// The index from which the sender needs a snapshot.
    pub request_snapshot: u64,
    /// What ties an answer to its question.
    pub context: Bytes,
    /// For a snapshot: which.
    pub snapshot: Option<SnapshotMeta>,
    /// With the leader's heartbeats: its reading of the cluster's clock.
    pub clock: Option<ClusterTime>,
}
