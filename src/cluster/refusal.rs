//! A request to join a cluster, its answer, and why it is refused.

use std::fmt;

use super::{ClusterId, Member, MemberId, MemberList};

/// A machine asks for a place in the cluster. Asking again, with the same id, is the same as once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinRequest {
    /// Who asks.
    pub member: Member,
    /// The cluster it belongs to, if it knows one.
    pub cluster: Option<ClusterId>,
}

/// It has a place: the configuration, as the log has it, names it as a learner or a voter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinAnswer {
    /// The cluster.
    pub cluster: ClusterId,
    /// Its members, the new one among them.
    pub members: Vec<Member>,
}

/// Why a machine has no place, or none yet. The text is for the person who started it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JoinError {
    /// Another member with that name is alive.
    NameTaken {
        /// The name.
        name: String,
        /// Whose it is.
        holder: MemberId,
    },
    /// Another member has that peer address.
    AddressTaken {
        /// The name of the machine that asks.
        name: String,
        /// The address.
        peer_url: String,
        /// The name of the member that has it.
        holder: String,
    },
    /// The machine speaks another version.
    Version {
        /// What the cluster speaks.
        ours: u64,
        /// What the machine speaks.
        theirs: u64,
    },
    /// The machine belongs to another cluster.
    ForeignCluster {
        /// This cluster.
        ours: ClusterId,
        /// The machine's.
        theirs: ClusterId,
    },
    /// The machine's id was a member's that was removed: it needs a new one.
    Removed,
    /// The request makes no sense.
    Invalid(String),
    /// As many machines are members as may be: this one can be a standby.
    NoPlace(MemberList),
    /// Someone else decides that: ask there.
    NotLeader {
        /// The leader's peer URL.
        leader: String,
    },
    /// It can't be decided now, and why; asking again later may help.
    Unready(String),
}

impl JoinError {
    /// Whether it says so for good: another machine has what this one wants to have.
    pub fn is_final(&self) -> bool {
        match self {
            Self::NameTaken { .. } | Self::AddressTaken { .. } => true,
            Self::Version { .. }
            | Self::ForeignCluster { .. }
            | Self::NoPlace(_)
            | Self::Removed
            | Self::Invalid(_)
            | Self::NotLeader { .. }
            | Self::Unready(_) => false,
        }
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameTaken { name, holder } => write!(
                f,
                "the name {name} belongs to a living member ({holder}): choose another with -name"
            ),
            Self::AddressTaken {
                name,
                peer_url,
                holder,
            } => write!(
                f,
                "{name} cannot have the peer address {peer_url}: it belongs to the member {holder}"
            ),
            Self::Version { ours, theirs } => write!(
                f,
                "the cluster's members speak version {ours}, this machine speaks version {theirs}"
            ),
            Self::ForeignCluster { ours, theirs } => write!(
                f,
                "this is cluster {ours}, but the machine's data directory belongs to cluster {theirs}"
            ),
            Self::Removed => f.write_str(
                "the member of this data directory was removed from the cluster for good: start with \
                 an empty data directory, or with -force",
            ),
            Self::Invalid(what) => write!(f, "the request to join makes no sense: {what}"),
            Self::NoPlace(roster) => write!(
                f,
                "{} machines are members, and the cluster is to have no more than {}",
                roster.members.len(),
                roster.settings.active_size()
            ),
            Self::NotLeader { leader } => write!(f, "the leader, at {leader}, decides that"),
            Self::Unready(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for JoinError {}
