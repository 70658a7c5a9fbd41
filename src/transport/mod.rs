//! Connections between members, and the messages on them.
//!
//! Each member keeps one connection to the peer port of each other member and sends on it; it receives on
//! the connections that the others opened. A connection starts as an HTTP/1.1 upgrade, so that the port can
//! serve pages as well, and then carries frames in both directions: messages in one, answers to pings in
//! the other. A snapshot is sent on a separate connection.
//!
//! - [`Peers`]: the sending side, owned by the driver; one task per peer.
//! - [`Listener`]: the receiving side, called by the peer port's router.
//! - [`PeerThread`]: the thread on which both run.
//! - [`stats`]: what was sent and received, for the statistics pages.
//!
//! Bytes from a peer are not trusted: each frame is bounded, checksummed and numbered, and names the
//! cluster, the sender and the receiver. An invalid frame closes its connection and has no other effect.

pub mod http;
pub mod snapshot_files;
pub mod stats;

mod frame;
mod handshake;
mod kind;
mod listener;
mod log_limit;
mod message;
mod peer;
mod peers;
mod queue;
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
pub use log_limit::RateLimit;
pub use peers::Peers;
pub use snapshot::{OpenSnapshot, ReceiveSnapshot, SnapshotBody};
pub use stats::Stats;
pub use thread::PeerThread;

use crate::cluster::{ClusterId, MemberId};
use crate::consensus::message::Message;
use crate::net::tls::Connector;

/// The version of the peer protocol. Members of different versions refuse each other's connections, and a
/// joining member gets both numbers in the answer.
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

/// This member's identity and TLS settings, for connections to its peers.
#[derive(Clone)]
pub struct Local {
    /// Its cluster.
    pub cluster: ClusterId,
    /// Its id.
    pub id: MemberId,
    /// Its name.
    pub name: String,
    /// The TLS settings for peers whose URL is `https`.
    pub tls: Connector,
    /// The URL at which peers reach it.
    pub peer_url: String,
    /// The paths at which it connects to peers.
    pub paths: ConnectionPaths,
}

/// A report of the transport to the driver.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all reports are messages; a box would cost each an allocation"
)]
pub enum Report {
    /// A message was received.
    Received(Received),
    /// A peer could not be reached, or messages to it were dropped; reported for each failed attempt.
    Unreachable(MemberId),
    /// A peer opened a connection and named its peer URL, which may differ from the one in the member list.
    AddressChanged {
        /// The peer.
        from: MemberId,
        /// Its peer URL.
        peer_url: String,
    },
    /// This peer reports that this member was removed from the cluster.
    Removed(MemberId),
    /// The transfer of a snapshot ended. Reported exactly once for each snapshot given to [`Peers::send`]
    /// while its receiver is a member.
    SnapshotSent {
        /// The receiver.
        to: MemberId,
        /// The snapshot's index.
        index: u64,
        /// Whether the receiver has it on disk.
        delivered: bool,
    },
}

/// A message from a peer. Dropping it lets the listener read more from the same peer, so keep it until the
/// message is handled.
pub struct Received {
    /// The message.
    pub message: Message,
    /// Its share of the bytes that may be unhandled.
    pub(in crate::transport) permit: OwnedSemaphorePermit,
}

impl Received {
    /// The message, and the permit to hold until it is handled.
    pub fn into_parts(self) -> (Message, OwnedSemaphorePermit) {
        (self.message, self.permit)
    }
}

/// Receives the reports for the driver. It is called from tasks and from the driver's own thread, so it must
/// not block. The number of reports is bounded by the permits of each peer and by the pauses between
/// attempts to connect.
pub type Inbox = Arc<dyn Fn(Report) + Send + Sync>;

/// A timeout error: `WHAT timed out`.
pub(crate) fn timed_out(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("{what} timed out"))
}
