//! What members say to each other, and how.
//!
//! Each member keeps one connection to each other member's peer port and speaks on it; what it hears
//! comes on the connections the others opened. A connection starts as an HTTP/1.1 upgrade, so the port
//! serves its pages too, and then carries frames both ways: messages one way, answers to pings the
//! other. A snapshot travels on a connection of its own.
//!
//! - [`Peers`]: the sending side, owned by the driver; one task for each peer.
//! - [`Listener`]: the receiving side, called by the peer port's router.
//! - [`PeerThread`]: where both run.
//! - [`stats`]: what was sent and received, for the statistics pages.
//!
//! Bytes from a peer are never trusted: each frame is bounded, checksummed and numbered, and names the
//! cluster, the sender and the receiver; what does not fit ends the connection and nothing else.

pub mod http;
pub mod snapshot_files;
pub mod stats;

mod dial;
mod frame;
mod listener;
mod message;
mod peer;
mod peers;
mod queue;
mod quiet;
mod snapshot;
mod stream;
#[cfg(test)]
mod tests;
mod thread;
mod wire;

use std::io;
use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

pub use listener::Listener;
pub use peers::Peers;
pub use quiet::Pace;
pub use snapshot::{OpenSnapshot, ReceiveSnapshot, SnapshotBody};
pub use stats::Stats;
pub use thread::PeerThread;

use crate::cluster::{ClusterId, MemberId};
use crate::consensus::message::Message;
use crate::net::tls::Connector;

/// The version of what members say to each other. Members of different versions refuse each other's
/// connections, and a joining machine is told both numbers.
pub const PROTOCOL_VERSION: u8 = 1;

/// What a connection between members carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionKind {
    /// Messages, for as long as it lasts.
    Messages,
    /// One snapshot.
    Snapshot,
}

/// The paths of the pages of the peer port that become connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionPaths {
    /// For a connection for messages.
    pub messages: &'static str,
    /// For a connection for one snapshot.
    pub snapshot: &'static str,
}

impl ConnectionPaths {
    /// The path for a connection of this kind.
    pub fn get(self, kind: ConnectionKind) -> &'static str {
        match kind {
            ConnectionKind::Messages => self.messages,
            ConnectionKind::Snapshot => self.snapshot,
        }
    }
}

/// Who this member is, as its peers are told.
#[derive(Clone)]
pub struct Local {
    /// Its cluster.
    pub cluster: ClusterId,
    /// Its identity.
    pub id: MemberId,
    /// What people see.
    pub name: String,
    /// How it calls peers whose URL is `https`.
    pub tls: Connector,
    /// Where peers reach it.
    pub peer_url: String,
    /// The paths at which it connects to peers.
    pub paths: ConnectionPaths,
}

/// What the transport has to tell the driver.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all news are messages; a box would cost each an allocation"
)]
pub enum News {
    /// A peer said something.
    Received(Received),
    /// A peer could not be reached, or messages to it were dropped; said again for each failed attempt.
    Unreachable(MemberId),
    /// A peer opened a connection and says where it is reached: perhaps elsewhere than on record.
    Calls {
        /// Who.
        from: MemberId,
        /// Its peer URL.
        at: String,
    },
    /// A member says that this one was removed from the cluster.
    Removed(MemberId),
    /// The sending of a snapshot is over. Said exactly once for each one given to [`Peers::send`] while
    /// its receiver stays a member.
    SnapshotSent {
        /// To whom.
        to: MemberId,
        /// The snapshot's index.
        index: u64,
        /// Whether the receiver has it on disk.
        delivered: bool,
    },
}

/// A message from a peer. Dropping it makes room for more from the same peer, so keep it until the
/// message has been dealt with.
pub struct Received {
    /// What was said.
    pub message: Message,
    /// Room taken at the connection.
    pub(in crate::transport) room: OwnedSemaphorePermit,
}

impl Received {
    /// The message and what must be held until it has been dealt with.
    pub fn into_parts(self) -> (Message, OwnedSemaphorePermit) {
        (self.message, self.room)
    }
}

/// Where news for the driver go. It is called from tasks and from the driver's own thread, so it must
/// never block; what it is given is bounded by the room each peer has, and by the pace of attempts.
pub type Inbox = Arc<dyn Fn(News) + Send + Sync>;

/// An error that says what was being done.
pub(crate) fn timed_out(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("{what} took too long"))
}
