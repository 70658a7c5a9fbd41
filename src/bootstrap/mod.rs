//! How a starting member finds its cluster: by its data directory, else by a discovery token, else
//! through the peers it was given.
//!
//! - [`decide`]: what to do, purely.
//! - [`join`]: asking the peers for a place, and the page of the peer port where they are asked.
//! - `discovery` and [`Registry`]: finding the others by a token, and being found.
//! - [`begin`]: from the data directory to a member that can run, or a machine that waits for a
//!   place; `found`: the first of its cluster; `anew`: alone, when the others are lost.
//! - `held`, [`Beginning`]: what the directory holds, and the member that goes on with it.
//! - [`Waiting`]: a machine without a place, and how it gets one.
//! - [`admit`]: whether a machine that asks may have one, purely.

mod admission;
mod anew;
mod begin;
mod beginning;
mod decision;
mod discovery;
mod first;
mod found;
mod held;
mod join;
mod machine;
mod page;
mod registry;
mod roster;
mod waiting;
mod wire;

pub use admission::{Admission, admit};
pub use begin::begin;
pub use beginning::Beginning;
pub use decision::{Decision, Directory, Given, Refusal, Start, Treatment, decide};
pub use held::limits;
pub use join::{JoinFailure, Patience, join};
pub use machine::Machine;
pub use page::{no_page, page};
pub use registry::Registry;
pub use roster::roster_page;
pub use waiting::{Asked, Begun, Contacts, Waiting};

use std::fmt;

use crate::cluster::{ClusterId, Member, MemberId, Roster};

/// The page of the peer port where a machine asks for a place: `POST`, JSON.
pub const JOIN_PATH: &str = "/oxetcd/join";

/// The page of the peer port where a member shows the [`Roster`] to standbys.
pub const ROSTER_PATH: &str = "/oxetcd/roster";

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
    NoPlace(Roster),
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

/// An error as a sentence.
fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
