//! A watch that goes on: every event from an index on, in order, once, whatever becomes of connections and
//! members.
//!
//! A task follows the changes at one member after the other and always resumes at the index after the last
//! event it passed on. Where the server is of this project the events come as one stream; elsewhere by long
//! polls, since other servers lose events of a stream that begins in the past. A small request beside the
//! watch notices a connection that is silently dead, and a member that is cut off from the others.

mod follow;
mod heartbeat;
mod split;
mod told;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinHandle;

use super::{Client, Error, Event};
use crate::cluster::Address;
use told::Inbox;

/// What to watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// The key.
    pub key: String,
    /// All below it too.
    pub recursive: bool,
    /// From this index on; none for what happens from now on.
    pub since: Option<u64>,
}

/// A change, and the text it came as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What happened.
    pub event: Event,
    /// The same as the JSON that the server sent.
    pub json: Bytes,
}

/// What a watch has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A member answers. Each event from `since` on will be told.
    Established {
        /// Which member.
        member: Address,
        /// The store's index there. If it is below `since`, that member lags, or its store is another one.
        index: u64,
        /// From where on.
        since: u64,
        /// The index of the log there, if the member says so.
        raft_index: Option<u64>,
        /// The term, if it says so.
        raft_term: Option<u64>,
    },
    /// The next event.
    Change(Arc<Change>),
    /// Nothing that is watched has happened up to this index.
    Quiet {
        /// The index; the watch resumes after it.
        index: u64,
    },
    /// The member is lost; the others are tried, without end.
    Lost {
        /// Why, with the members' addresses.
        cause: String,
    },
}

/// A watch on its way. It ends when it is dropped.
pub struct Watch {
    inbox: Inbox,
    task: JoinHandle<()>,
}

impl Watch {
    /// Begin to watch; must be called in a runtime.
    ///
    /// At most 1,024 events and 8 MiB of them wait here to be [taken](Watch::next). Beyond that the server
    /// is read no further; should it give up, the watch reads on from the index.
    pub fn start(client: Arc<Client>, watched: Watched) -> Self {
        let (teller, inbox) = told::channel();
        let task = tokio::spawn(follow::follow(client, watched, teller));
        Self { inbox, task }
    }

    /// What comes next. Nothing is lost if the future is dropped before it is ready.
    ///
    /// # Errors
    ///
    /// They end the watch, and whoever asks again gets the same:
    /// - [`Error::NoMember`] if no member could be reached at the start. Once one was, losing it is told as
    ///   [`Heard::Lost`] instead.
    /// - [`Error::Api`] if the server will not do it. Number 401 says that events from there on are
    ///   forgotten ([`Error::is_forgotten`]): read the key again and watch from the index of that answer.
    pub async fn next(&mut self) -> Result<Heard, Error> {
        self.inbox.next().await
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}
