//! Everything the driver receives: requests of this member, messages of peers, and reports of the disk, the
//! transport and the jobs it started.
//!
//! The types of this file name neither the driver nor the handle, so both can use them.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::answer::{Position, Refused, Written};
use super::change::Change;
use super::message::Message;
use crate::cluster::{MemberId, Refusal};
use crate::store::{self, Command, Event, Interest, Store};
use crate::wal::{SnapshotMeta, StorageError};

/// The sending side of the driver's queue.
///
/// The queue itself is unbounded; each kind of input is bounded where it is made: writes and messages hold
/// a permit, barriers and watches are one per connection, and reports answer work that the driver ordered.
pub type Inputs = Sender<Input>;

/// One input of the driver.
pub enum Input {
    /// A request of a client of this member.
    Request(Request),
    /// A message of another member. The permit belongs to its connection and is released once the message
    /// is handled.
    Message(Message, Option<OwnedSemaphorePermit>),
    /// A snapshot from the leader: its message, and the store decoded from it. Its file is durable here.
    Snapshot(Message, Store),
    /// All WAL writes up to this number are on disk.
    Persisted(u64),
    /// A WAL write or sync failed. The member must not acknowledge anything from now on.
    WalFailed(StorageError),
    /// The snapshot with this metadata is durable and has this size in bytes; without a size, writing it
    /// failed.
    SnapshotWritten(SnapshotMeta, Option<u64>),
    /// The hash of the store (second) at this applied index (first).
    Hashed(u64, u64),
    /// A message to this member could not be delivered.
    Unreachable(MemberId),
    /// A snapshot sent to this member is durable there (true), or the transfer failed (false).
    SnapshotSent(MemberId, bool),
    /// This member reported its peer URL.
    AddressChanged(MemberId, String),
    /// A health check. The sender waits for the answer, so few are under way at a time.
    Health(oneshot::Sender<DriverHealth>),
    /// A peer has it on disk that this member was removed from the cluster.
    Removed(MemberId),
    /// Transfer leadership to another member, if this member leads and another can take over.
    TransferLeadership,
    /// Stop the driver.
    Stop,
}

/// A request of a client of this member.
pub enum Request {
    /// Commit and apply a command.
    Write {
        /// The command.
        command: Command,
        /// Receives the answer once the command is applied here.
        answer: oneshot::Sender<Result<Written, Refused>>,
        /// Held until the write is answered.
        permit: OwnedSemaphorePermit,
    },
    /// Answer once everything that is committed now is applied here.
    Barrier(oneshot::Sender<Result<(), Refused>>),
    /// Start a watch.
    Watch {
        /// Which events.
        interest: Interest,
        /// Whether the watch continues after its first event.
        stream: bool,
        /// The first index to look at; none for the next event.
        since: Option<u64>,
        /// Receives the started watch.
        answer: oneshot::Sender<StartedWatch>,
    },
    /// A live watch was dropped.
    Unwatch(WatcherId),
    /// Change the membership. Only the leader accepts it.
    Change {
        /// The change.
        change: Change,
        /// Receives the answer once the change is applied here.
        answer: oneshot::Sender<Result<(), Refusal>>,
    },
}

/// How far the driver lags. An answer at all shows that the driver is running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DriverHealth {
    /// The age of the oldest WAL write that is not on disk yet; zero if there is none.
    pub unsynced: Duration,
}

/// The number of a live watch; never reused during the life of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WatcherId(pub u64);

/// A watch that was started: the events it found in the history, and where later ones come from.
pub struct StartedWatch {
    /// The indices at the moment the watch started.
    pub position: Position,
    /// The matching events of the history since the requested index: for a stream all of them (up to a
    /// bound, see [`WatchRest::MoreHistory`]), otherwise the first. An error if the history no longer
    /// reaches back that far.
    pub past: Result<Vec<Arc<Event>>, store::Error>,
    /// What follows [`StartedWatch::past`].
    pub rest: WatchRest,
}

/// What follows the past events of a watch.
pub enum WatchRest {
    /// Nothing: the watch was for one event and has it, or it failed.
    Done,
    /// More events of the history: start another watch with this `since`.
    MoreHistory(u64),
    /// Events as they are applied.
    Live(LiveWatch),
}

/// The live part of a watch. Dropping it ends the watch.
pub struct LiveWatch {
    id: WatcherId,
    events: mpsc::Receiver<Arc<Event>>,
    inputs: Inputs,
    resume_at: u64,
}

impl LiveWatch {
    /// A live watch that receives `events`, none of which is below index `resume_at`.
    pub(super) fn new(
        id: WatcherId,
        events: mpsc::Receiver<Arc<Event>>,
        inputs: Inputs,
        resume_at: u64,
    ) -> Self {
        Self {
            id,
            events,
            inputs,
            resume_at,
        }
    }

    /// The next event. None when the watch lagged too far behind, the store was replaced by a snapshot, or
    /// the member stops; no event below [`LiveWatch::resume_at`] was missed.
    pub async fn next(&mut self) -> Option<Arc<Event>> {
        let event = self.events.recv().await?;
        self.resume_at = event.index() + 1;
        Some(event)
    }

    /// The `since` with which another watch continues without missing or repeating an event.
    pub fn resume_at(&self) -> u64 {
        self.resume_at
    }
}

impl Drop for LiveWatch {
    fn drop(&mut self) {
        // After the driver has stopped there is no watcher left to remove.
        let _ = self.inputs.send(Input::Request(Request::Unwatch(self.id)));
    }
}
