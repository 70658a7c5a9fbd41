//! What the driver sends through.

use super::message::Message;
use crate::cluster::Member;

/// The way to the other members. Never blocks: what cannot be queued is dropped, and Raft copes.
pub trait Outbox: Send + 'static {
    /// Send a message, or drop it.
    fn send(&mut self, message: Message);

    /// These are the members now; messages to others are dropped.
    fn set_members(&mut self, members: &[Member]);
}
