//! The way to the driver for requests: writes, barriers before reads, watches and membership changes.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use tokio::sync::{Semaphore, oneshot};

use super::answer::{Refused, Written};
use super::applied_state::AppliedState;
use super::change::Change;
use super::input::{DriverHealth, Input, Inputs, Request, StartedWatch};
use crate::cluster::Refusal;
use crate::store::{Command, Interest};

/// How many writes may be pending at one member; another one is refused with [`Refused::Busy`].
pub const PENDING_WRITES_MAX: usize = 4096;

/// A handle on the driver; cheap to clone.
#[derive(Clone)]
pub struct Handle {
    inputs: Inputs,
    write_permits: Arc<Semaphore>,
    applied: Arc<RwLock<AppliedState>>,
}

impl Handle {
    /// A handle that sends to `inputs` and reads `applied`.
    pub(super) fn new(inputs: Inputs, applied: Arc<RwLock<AppliedState>>) -> Self {
        Self {
            inputs,
            write_permits: Arc::new(Semaphore::new(PENDING_WRITES_MAX)),
            applied,
        }
    }

    /// Commit `command`; answers when a quorum has it on disk and this member has applied it.
    ///
    /// # Errors
    ///
    /// - [`Refused::Busy`]: [`PENDING_WRITES_MAX`] writes are pending.
    /// - [`Refused::NoLeader`]: there was no leader; the command will not be applied.
    /// - [`Refused::Unanswered`]: it was not applied in time; it may be later.
    /// - [`Refused::Stopping`]: the driver has stopped; it may be applied by the others.
    pub async fn write(&self, command: Command) -> Result<Written, Refused> {
        let permit = self
            .write_permits
            .clone()
            .try_acquire_owned()
            .map_err(|_| Refused::Busy)?;
        let (answer, answered) = oneshot::channel();
        self.send(Request::Write {
            command,
            answer,
            permit,
        })?;
        answered.await.unwrap_or(Err(Refused::Stopping))
    }

    /// Wait until this member has applied everything that was committed in the cluster at the time of the
    /// call: a read after it is linearizable.
    ///
    /// # Errors
    ///
    /// - [`Refused::NoLeader`]: no leader confirmed the commit index in time.
    /// - [`Refused::Stopping`]: the driver has stopped.
    pub async fn barrier(&self) -> Result<(), Refused> {
        let (answer, answered) = oneshot::channel();
        self.send(Request::Barrier(answer))?;
        answered.await.unwrap_or(Err(Refused::Stopping))
    }

    /// Start a watch for `interest` from index `since`, or from the next event; with `stream` for more than
    /// one event.
    ///
    /// # Errors
    ///
    /// [`Refused::Stopping`]: the driver has stopped.
    pub async fn watch(
        &self,
        interest: Interest,
        stream: bool,
        since: Option<u64>,
    ) -> Result<StartedWatch, Refused> {
        let (answer, answered) = oneshot::channel();
        self.send(Request::Watch {
            interest,
            stream,
            since,
            answer,
        })?;
        answered.await.map_err(|_| Refused::Stopping)
    }

    /// Change the membership; answers when the change is applied here.
    ///
    /// # Errors
    ///
    /// Those of [`admit`](crate::cluster::admit) for a member that joins, and for all changes:
    ///
    /// - [`Refusal::UnknownMember`], [`Refusal::CannotRemove`], [`Refusal::NoSuccessor`]: a member cannot be removed.
    /// - [`Refusal::NotLeader`]: this member is not the leader.
    /// - [`Refusal::Busy`]: too many changes wait.
    /// - [`Refusal::LeadershipLost`]: leadership was lost, or the driver has stopped; it may still be committed.
    pub async fn change(&self, change: Change) -> Result<(), Refusal> {
        let (answer, answered) = oneshot::channel();
        self.send(Request::Change { change, answer })
            .map_err(|_| Refusal::LeadershipLost)?;
        answered.await.unwrap_or(Err(Refusal::LeadershipLost))
    }

    /// The health of the driver. Waits until the driver handles the question.
    ///
    /// # Errors
    ///
    /// [`Refused::Stopping`]: the driver has stopped.
    pub async fn driver_health(&self) -> Result<DriverHealth, Refused> {
        let (answer, answered) = oneshot::channel();
        self.inputs
            .send(Input::Health(answer))
            .map_err(|_| Refused::Stopping)?;
        answered.await.map_err(|_| Refused::Stopping)
    }

    /// The applied state of this member, locked for reading: the driver cannot apply while the guard lives.
    /// Do not hold it across an `.await`, or while making JSON.
    pub fn applied(&self) -> RwLockReadGuard<'_, AppliedState> {
        self.applied.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, request: Request) -> Result<(), Refused> {
        self.inputs
            .send(Input::Request(request))
            .map_err(|_| Refused::Stopping)
    }
}
