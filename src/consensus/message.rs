//! Messages between members, typed; `transport` encodes and decodes them.

use bytes::Bytes;

use crate::cluster::MemberId;
use crate::store::{ClusterTime, CommandId};
use crate::wal::{Entry, SnapshotMeta};

/// A message from one member to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The sender.
    pub from: MemberId,
    /// The receiver.
    pub to: MemberId,
    /// The content.
    pub body: Body,
}

/// The content of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all messages are of Raft; a box would cost each an allocation"
)]
pub enum Body {
    /// A message of the Raft protocol.
    Raft(RaftMessage),
    /// Commands from clients of a member that does not lead, for the leader to propose.
    Forward(Vec<Forwarded>),
    /// The hash of the sender's store at an applied index, for comparison with the receiver's.
    StoreHash {
        /// The applied index.
        index: u64,
        /// The hash of the store there.
        hash: u64,
    },
}

/// A command that is forwarded to the leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// Its id. The store applies a command once, however often it is sent.
    pub id: CommandId,
    /// The encoded command, without the stamp it gets in the log.
    pub command: Bytes,
}

/// The kinds of messages of the Raft protocol that are sent to peers.
///
/// A proposal is not among them: forwarded commands have their own frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RaftKind {
    /// From the leader: entries for the log.
    Append,
    /// From a follower: the entries were appended or rejected.
    AppendResponse,
    /// A candidate's request for a vote.
    Vote,
    /// The answer to [`RaftKind::Vote`].
    VoteResponse,
    /// From the leader: a snapshot. Its bytes are sent on a separate stream.
    Snapshot,
    /// From the leader: it is alive.
    Heartbeat,
    /// The answer to [`RaftKind::Heartbeat`].
    HeartbeatResponse,
    /// A request to the leader to transfer leadership to the sender.
    TransferLeader,
    /// From the leader: campaign now.
    TimeoutNow,
    /// A request for the commit index.
    ReadIndex,
    /// From the leader: the commit index.
    ReadIndexResponse,
    /// The question whether a candidate would get a vote, asked before its term is raised.
    PreVote,
    /// The answer to [`RaftKind::PreVote`].
    PreVoteResponse,
}

/// A message of the Raft protocol. A field that a kind does not use is zero, false or empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaftMessage {
    /// The kind.
    pub kind: RaftKind,
    /// The sender's term.
    pub term: u64,
    /// The term of the entry at `index`.
    pub log_term: u64,
    /// The index of a log entry; its meaning depends on the kind.
    pub index: u64,
    /// Entries after `index`.
    pub entries: Vec<Entry>,
    /// The sender's commit index.
    pub commit: u64,
    /// The term of the entry at `commit`.
    pub commit_term: u64,
    /// In an answer: whether the request is rejected.
    pub reject: bool,
    /// In a rejection: the index up to which the sender's log may agree.
    pub reject_hint: u64,
    /// The index from which the sender needs a snapshot.
    pub request_snapshot: u64,
    /// Identifies the request that an answer belongs to.
    pub context: Bytes,
    /// For [`RaftKind::Snapshot`]: index, term and configuration.
    pub snapshot: Option<SnapshotMeta>,
    /// For [`RaftKind::Heartbeat`]: the leader's reading of the cluster's clock.
    pub clock: Option<ClusterTime>,
}
