//! Why a connection between members is refused, and the statuses of the handshake, each named once.

use std::fmt;

use hyper::StatusCode;

use super::PROTOCOL_VERSION;
use crate::cluster::{ClusterId, MemberId};

/// The status of an accepted connection.
pub(super) const ACCEPTED: StatusCode = StatusCode::SWITCHING_PROTOCOLS;

/// Why a connection is refused. `Display` is the reason that both sides log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The request is not an upgrade to the peer protocol.
    NotAnUpgrade,
    /// The sender uses another version of the protocol, or names none.
    Version(Option<String>),
    /// The request does not name its cluster, sender and receiver.
    Incomplete,
    /// The sender belongs to another cluster.
    Cluster {
        /// The receiver's cluster.
        own: ClusterId,
        /// The cluster in the request.
        requested: ClusterId,
    },
    /// The request is for another member.
    Receiver {
        /// The receiver.
        own: MemberId,
        /// Its name.
        name: String,
        /// The id in the request.
        requested: u64,
    },
    /// The sender has the id of the receiver.
    OwnId(MemberId),
    /// Another snapshot is being received.
    SnapshotBusy,
    /// Too many different peers are connected.
    TooManyPeers,
    /// The sender was removed from the receiver's cluster.
    Removed,
}

impl Refusal {
    /// The status of the answer.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::NotAnUpgrade | Self::Version(_) => StatusCode::UPGRADE_REQUIRED,
            Self::Incomplete => StatusCode::BAD_REQUEST,
            Self::Cluster { .. } => StatusCode::PRECONDITION_FAILED,
            Self::Receiver { .. } | Self::OwnId(_) => StatusCode::CONFLICT,
            Self::SnapshotBusy | Self::TooManyPeers => StatusCode::SERVICE_UNAVAILABLE,
            Self::Removed => StatusCode::GONE,
        }
    }

    /// Whether the answer names the protocol to upgrade to.
    pub(super) fn names_protocol(&self) -> bool {
        matches!(self, Self::NotAnUpgrade | Self::Version(_))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnUpgrade => f.write_str("this page is for members of the cluster only"),
            Self::Version(version) => write!(
                f,
                "protocol version mismatch: {PROTOCOL_VERSION} here, {} in the request",
                version.as_deref().unwrap_or("none")
            ),
            Self::Incomplete => {
                f.write_str("the request does not name its cluster, sender and receiver")
            }
            Self::Cluster { own, requested } => write!(
                f,
                "cluster id mismatch: {own} here, {requested} in the request"
            ),
            Self::Receiver {
                own,
                name,
                requested,
            } => write!(
                f,
                "member id mismatch: {own} ({name}) here, {requested:016x} in the request"
            ),
            Self::OwnId(id) => write!(f, "the sender has the id of the receiver, {id}"),
            Self::SnapshotBusy => f.write_str("another snapshot is being received"),
            Self::TooManyPeers => f.write_str("too many peers are connected"),
            Self::Removed => f.write_str("the member of this id was removed from the cluster"),
        }
    }
}
