//! A request to join a cluster, its answer, and why a change of the membership was refused.

use std::fmt;

use super::{ClusterId, Member, MemberId, MemberList, QuorumLoss};

/// A request to become a member of the cluster. Sending it again with the same id changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinRequest {
    /// The member that asks.
    pub member: Member,
    /// The cluster recorded in its data directory, if there is one.
    pub cluster: Option<ClusterId>,
}

/// The answer to a member that was admitted: the log's configuration has it as a learner or a voter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinAnswer {
    /// The cluster.
    pub cluster: ClusterId,
    /// Its members, the new one included.
    pub members: Vec<Member>,
}

/// Why a change of the membership was refused: the only type for that, from the rule that refuses to the
/// client that asked. The text is for an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Another member has that name, and is alive or may be.
    NameTaken {
        /// The name.
        name: String,
        /// The id of the member that has it.
        holder: MemberId,
    },
    /// Another member has that peer address.
    AddressTaken {
        /// The name of the member that asks.
        name: String,
        /// The address.
        peer_url: String,
        /// The name of the member that has it.
        holder: String,
    },
    /// The data directory of the member that asks belongs to another cluster.
    ForeignCluster {
        /// This cluster.
        ours: ClusterId,
        /// The cluster recorded in that data directory.
        theirs: ClusterId,
    },
    /// The member with this id was removed: it can only join again with a new id.
    Removed,
    /// The cluster has as many members as it is set to have; these are its members.
    Full(Box<MemberList>),
    /// The dead member that has the same name cannot be removed without loss of the quorum.
    CannotReplace {
        /// The name.
        name: String,
        /// What its removal would cost.
        loss: QuorumLoss,
    },
    /// The member cannot be removed without loss of the quorum.
    CannotRemove(QuorumLoss),
    /// The leader is to be removed, and no other voter could take over leadership.
    NoSuccessor,
    /// No member has that name or id.
    UnknownMember,
    /// The member that asks speaks another version of the peer protocol.
    Version {
        /// The version of this cluster.
        ours: u64,
        /// The version of the member that asks.
        theirs: u64,
    },
    /// The request itself is not valid, and why.
    Invalid(String),
    /// The member that was asked is not the leader.
    NotLeader {
        /// The leader's peer URL, if that is known.
        leader: Option<String>,
    },
    /// Too many changes wait at the leader.
    Busy,
    /// Leadership was lost before the change was committed; it may still be committed.
    LeadershipLost,
    /// The change cannot be made at present, and why.
    Unavailable(String),
    /// Another member refused, and this is all that its answer says.
    Reported {
        /// The kind of refusal.
        kind: RefusalKind,
        /// Its text.
        message: String,
    },
}

/// What a refusal means to the client: all that an HTTP status can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// The request is not valid.
    Invalid,
    /// The cluster is full.
    Full,
    /// There is no such member.
    UnknownMember,
    /// The change is in conflict with the members as they are.
    Conflict,
    /// The member was removed.
    Removed,
    /// The member belongs to another cluster.
    ForeignCluster,
    /// Another member decides, and is named.
    NotLeader,
    /// It cannot be decided or done at present.
    Unavailable,
}

impl Refusal {
    /// What it means to the client.
    pub fn kind(&self) -> RefusalKind {
        match self {
            Self::NameTaken { .. }
            | Self::AddressTaken { .. }
            | Self::CannotRemove(_)
            | Self::NoSuccessor => RefusalKind::Conflict,
            Self::ForeignCluster { .. } => RefusalKind::ForeignCluster,
            Self::Removed => RefusalKind::Removed,
            Self::Full(_) => RefusalKind::Full,
            Self::UnknownMember => RefusalKind::UnknownMember,
            Self::Version { .. } | Self::Invalid(_) => RefusalKind::Invalid,
            Self::NotLeader { leader: Some(_) } => RefusalKind::NotLeader,
            Self::NotLeader { leader: None }
            | Self::CannotReplace { .. }
            | Self::Busy
            | Self::LeadershipLost
            | Self::Unavailable(_) => RefusalKind::Unavailable,
            Self::Reported { kind, .. } => *kind,
        }
    }

    /// Whether the same request may succeed later, at this member or at the leader.
    pub fn is_temporary(&self) -> bool {
        matches!(
            self.kind(),
            RefusalKind::NotLeader | RefusalKind::Unavailable
        )
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameTaken { name, holder } => write!(
                f,
                "the name {name} belongs to a living member (id {holder}): choose another with -name"
            ),
            Self::AddressTaken {
                name,
                peer_url,
                holder,
            } => write!(
                f,
                "{name} cannot use the peer address {peer_url}: it belongs to the member {holder}"
            ),
            Self::ForeignCluster { ours, theirs } => write!(
                f,
                "this is cluster {ours}, but the data directory belongs to cluster {theirs}"
            ),
            Self::Removed => f.write_str(
                "the member of this data directory was removed from the cluster: start with an empty \
                 data directory, or with -force",
            ),
            Self::Full(list) => write!(
                f,
                "the cluster is full: it has {} members, and its activeSize is {}",
                list.members.len(),
                list.settings.active_size()
            ),
            Self::CannotReplace { name, loss } => {
                write!(f, "the dead member {name} cannot be replaced now: {loss}")
            }
            Self::CannotRemove(loss) => write!(f, "the member cannot be removed: {loss}"),
            Self::NoSuccessor => f.write_str(
                "the leader cannot be removed: no other voter took over leadership in time",
            ),
            Self::UnknownMember => f.write_str("there is no such member"),
            Self::Version { ours, theirs } => write!(
                f,
                "the cluster speaks version {ours} of the peer protocol, this member speaks version {theirs}"
            ),
            Self::Invalid(why) => write!(f, "the request is not valid: {why}"),
            Self::NotLeader { leader: Some(url) } => write!(f, "not the leader, which is at {url}"),
            Self::NotLeader { leader: None } => f.write_str("no leader is known"),
            Self::Busy => f.write_str("too many membership changes are pending"),
            Self::LeadershipLost => f.write_str(
                "leadership changed before the change was committed; it may still be committed",
            ),
            Self::Unavailable(why) => f.write_str(why),
            Self::Reported { message, .. } => f.write_str(message),
        }
    }
}

impl std::error::Error for Refusal {}
