//! The front door: what a request does to get something written, read or watched.

use std::sync::{Arc, RwLock, RwLockReadGuard};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::change::Change;
use super::driver::{Input, Inputs, Pulse};
use super::view::AppliedState;
use crate::cluster::Refusal;
use crate::store::{self, Command, Event, Interest};

/// How many writes may wait for their answer at one member; one more is refused with [`Refused::Busy`].
pub const WRITES_MAX: usize = 4096;

/// How many events a live watch may lag behind before it is ended; its client resumes at the next index.
pub const LIVE_MAX: usize = 1024;

/// A handle on the driver, one for each that needs it.
#[derive(Clone)]
pub struct Handle {
    inputs: Inputs,
    writes: Arc<Semaphore>,
    view: Arc<RwLock<AppliedState>>,
}

/// What a handle asks of the driver. Each is bounded by a permit or by one per connection.
pub enum Request {
    /// Get a command into the log and applied.
    Write {
        /// What.
        command: Command,
        /// Where the answer goes, once it is applied here.
        answer: oneshot::Sender<Result<Written, Refused>>,
        /// Held until answered.
        permit: OwnedSemaphorePermit,
    },
    /// Say when everything committed before now is applied here.
    Barrier(oneshot::Sender<Result<(), Refused>>),
    /// Watch.
    Watch {
        /// For what.
        interest: Interest,
        /// Whether to stay after the first event.
        stream: bool,
        /// From which index; none for whatever comes next.
        since: Option<u64>,
        /// Where the answer goes.
        answer: oneshot::Sender<Watching>,
    },
    /// A live watch is over.
    Unwatch(WatcherId),
    /// Change the membership; only the leader can.
    Change {
        /// How.
        change: Change,
        /// Where the answer goes, once it is applied here.
        answer: oneshot::Sender<Result<(), Refusal>>,
    },
}

/// A live watch, by number; never reused while the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WatcherId(pub u64);

/// A write that went through the log and was applied here.
#[derive(Clone, Debug)]
pub struct Written {
    /// What the store said.
    pub result: Result<Arc<Event>, store::Error>,
    /// The position right after it was applied.
    pub position: Position,
}

/// Where the store and the log stand: what the `X-Etcd-Index`, `X-Raft-Index`, `X-Raft-Term` headers say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The store's index.
    pub index: u64,
    /// The index of the last applied entry.
    pub raft_index: u64,
    /// This member's term.
    pub raft_term: u64,
}

/// Why the cluster did not do what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There was no leader for as long as a request waits; the write did not and will not happen.
    NoLeader,
    /// It was handed on, and no answer came in time; a write may still happen.
    Unanswered,
    /// Too many are waiting already; nothing was done.
    Busy,
    /// This member is stopping; a write that was already handed on may still happen.
    Stopping,
}

/// The start of a watch.
pub struct Watching {
    /// Where the store stood when the watch began.
    pub position: Position,
    /// What already happened since the index asked for: all that matches for a stream (bounded; see
    /// [`Next::Again`]), the first otherwise; or the error that its history is gone.
    pub past: Result<Vec<Arc<Event>>, store::Error>,
    /// Where the rest comes from.
    pub next: Next,
}

/// How a watch goes on after [`Watching::past`].
pub enum Next {
    /// It doesn't: it was for one event, and that is there, or it failed.
    Done,
    /// There is more history: ask again with this `since`.
    Again(u64),
    /// Live events.
    Live(Live),
}

/// The live part of a watch. Dropping it ends the watch.
pub struct Live {
    id: WatcherId,
    events: mpsc::Receiver<Arc<Event>>,
    inputs: Inputs,
    resume_at: u64,
}

impl Live {
    /// A live watch fed by `events`, nothing of which is below index `resume_at`.
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

    /// The next event. None when it lagged too far behind, the store was replaced by a snapshot, or the
    /// member stops: nothing was missed below [`Live::resume_at`].
    pub async fn next(&mut self) -> Option<Arc<Event>> {
        let event = self.events.recv().await?;
        self.resume_at = event.index() + 1;
        Some(event)
    }

    /// The index to watch from so that nothing is missed or heard twice.
    pub fn resume_at(&self) -> u64 {
        self.resume_at
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // A driver that is gone has no watchers left to forget.
        let _ = self.inputs.send(Input::Request(Request::Unwatch(self.id)));
    }
}

impl Handle {
    /// A handle that sends to `inputs` and reads `view`.
    pub(super) fn new(inputs: Inputs, view: Arc<RwLock<AppliedState>>) -> Self {
        Self {
            inputs,
            writes: Arc::new(Semaphore::new(WRITES_MAX)),
            view,
        }
    }

    /// Get `command` into the log; answers when a quorum has it on disk and this member has applied it.
    ///
    /// # Errors
    ///
    /// Why not; [`Refused`] says for each whether it may still happen.
    pub async fn write(&self, command: Command) -> Result<Written, Refused> {
        let permit = self
            .writes
            .clone()
            .try_acquire_owned()
            .map_err(|_| Refused::Busy)?;
        let (answer, answered) = oneshot::channel();
        self.ask(Request::Write {
            command,
            answer,
            permit,
        })?;
        answered.await.unwrap_or(Err(Refused::Stopping))
    }

    /// Wait until this member has applied everything that was committed anywhere when it was called:
    /// a read after it is linearizable.
    ///
    /// # Errors
    ///
    /// [`Refused::NoLeader`] or [`Refused::Stopping`].
    pub async fn barrier(&self) -> Result<(), Refused> {
        let (answer, answered) = oneshot::channel();
        self.ask(Request::Barrier(answer))?;
        answered.await.unwrap_or(Err(Refused::Stopping))
    }

    /// Watch for `interest` from index `since`, or for what comes next; with `stream`, more than one event.
    ///
    /// # Errors
    ///
    /// [`Refused::Stopping`].
    pub async fn watch(
        &self,
        interest: Interest,
        stream: bool,
        since: Option<u64>,
    ) -> Result<Watching, Refused> {
        let (answer, answered) = oneshot::channel();
        self.ask(Request::Watch {
            interest,
            stream,
            since,
            answer,
        })?;
        answered.await.map_err(|_| Refused::Stopping)
    }

    /// Change the membership; answers when it is applied here.
    ///
    /// # Errors
    ///
    /// Why not, see [`Refusal`]; [`Refusal::LeadershipLost`] also when this member stops.
    pub async fn change(&self, change: Change) -> Result<(), Refusal> {
        let (answer, answered) = oneshot::channel();
        self.ask(Request::Change { change, answer })
            .map_err(|_| Refusal::LeadershipLost)?;
        answered.await.unwrap_or(Err(Refusal::LeadershipLost))
    }

    /// How the driver is; it answers when it gets round to it.
    ///
    /// # Errors
    ///
    /// [`Refused::Stopping`].
    pub async fn pulse(&self) -> Result<Pulse, Refused> {
        let (answer, answered) = oneshot::channel();
        self.inputs
            .send(Input::Pulse(answer))
            .map_err(|_| Refused::Stopping)?;
        answered.await.map_err(|_| Refused::Stopping)
    }

    /// This member's applied state, for a short look: the driver cannot apply while it is held.
    /// Never hold it across an `.await`, or while making JSON.
    pub fn view(&self) -> RwLockReadGuard<'_, AppliedState> {
        self.view
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn ask(&self, request: Request) -> Result<(), Refused> {
        self.inputs
            .send(Input::Request(request))
            .map_err(|_| Refused::Stopping)
    }
}
