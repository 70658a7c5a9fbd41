//! The trait through which the driver sends to other members.

use super::message::Message;
use crate::cluster::Member;

/// Sends messages to other members. Never blocks: a message that cannot be queued is dropped, which Raft
/// tolerates.
pub trait Outbox: Send + 'static {
    /// Queue a message, or drop it.
    fn send(&mut self, message: Message);

    /// Set the current members; messages to any other id are dropped.
    fn set_members(&mut self, members: &[Member]);
}
