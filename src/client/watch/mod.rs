//! A continuous watch: every event from an index on, in order and once, across lost connections and members.
//!
//! A task watches at one member at a time and always resumes at the index after the last event it delivered.
//! A server of this project sends the events as one stream; other servers are polled, since they lose events
//! of a stream that starts in the past. A small request beside the watch detects a dead connection, and a
//! member without a quorum.

mod channel;
mod follow;
mod heartbeat;
mod split;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinHandle;

use super::{Client, Error, Event};
use crate::cluster::Address;
use channel::Receiver;

/// The subject of a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchSubject {
    /// The key.
    pub key: String,
    /// Include all keys below it.
    pub recursive: bool,
    /// The first index; none for the current one.
    pub since: Option<u64>,
}

/// A change, and its JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The event.
    pub event: Event,
    /// The JSON that the server sent.
    pub json: Bytes,
}

/// An item of a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchEvent {
    /// A member accepted the watch. Each change from `since` on follows.
    Established {
        /// The member.
        member: Address,
        /// The index of its store. If it is below `since`, the member is behind or its store was replaced.
        index: u64,
        /// The first index that is watched.
        since: u64,
        /// The Raft index of the member, if it sends it.
        raft_index: Option<u64>,
        /// The Raft term of the member, if it sends it.
        raft_term: Option<u64>,
    },
    /// The next change.
    Change(Arc<Change>),
    /// There are no more changes up to this index.
    Progress {
        /// The index; the watch continues after it.
        index: u64,
    },
    /// No member can be watched; all are retried without end.
    Lost {
        /// The cause for each member.
        cause: String,
    },
}

/// A running watch. It ends when it is dropped.
pub struct Watch {
    receiver: Receiver,
    task: JoinHandle<()>,
}

impl Watch {
    /// Start a watch; must be called in a runtime.
    ///
    /// At most 1,024 events or 8 MiB wait for [`Watch::next`]. Then no more is read from the server; if the
    /// server ends the watch meanwhile, it is resumed at its index.
    pub fn start(client: Arc<Client>, subject: WatchSubject) -> Self {
        let (sender, receiver) = channel::channel();
        let task = tokio::spawn(follow::follow(client, subject, sender));
        Self { receiver, task }
    }

    /// The next item. Cancel safe.
    ///
    /// # Errors
    ///
    /// An error ends the watch, and each later call returns it again:
    /// - [`Error::NoMember`] if no member could be watched at the start. Later this is a
    ///   [`WatchEvent::Lost`] instead.
    /// - [`Error::Api`] if the server refused the watch. Code 401 means that the events are no longer in the
    ///   history ([`Error::is_history_cleared`]): read the key and watch from the index of that response.
    pub async fn next(&mut self) -> Result<WatchEvent, Error> {
        self.receiver.next().await
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}
