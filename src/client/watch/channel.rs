//! The queue between the task of a watch and its receiver.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::{Error, WatchEvent};

/// The number of events that may wait; then the task waits too.
const QUEUE_MAX: usize = 1024;

/// The same in units of [`UNIT`]. A longer event waits until the queue is empty.
const UNITS_MAX: u32 = 8 << 10;

/// Bytes.
const UNIT: usize = 1 << 10;

type Queued = (Result<WatchEvent, Error>, Option<OwnedSemaphorePermit>);

/// The end of the task.
pub(super) struct Sender {
    queue: mpsc::Sender<Queued>,
    room: Arc<Semaphore>,
}

/// The end of the receiver.
pub(super) struct Receiver {
    queue: mpsc::Receiver<Queued>,
    /// The error that ended the watch.
    error: Option<Error>,
}

/// The receiver was dropped.
#[derive(Debug)]
pub(super) struct Closed;

/// A queue; when it is full the sender waits.
pub(super) fn channel() -> (Sender, Receiver) {
    let (queue, receiver) = mpsc::channel(QUEUE_MAX);
    let room = Arc::new(Semaphore::new(UNITS_MAX as usize));
    let receiver = Receiver {
        queue: receiver,
        error: None,
    };
    (Sender { queue, room }, receiver)
}

impl Sender {
    /// Send an event; waits while the queue is full.
    ///
    /// # Errors
    ///
    /// [`Closed`] if the receiver was dropped.
    pub(super) async fn send(&self, event: WatchEvent) -> Result<(), Closed> {
        let bytes = match &event {
            WatchEvent::Change(change) => change.json.len(),
            WatchEvent::Established { .. }
            | WatchEvent::Progress { .. }
            | WatchEvent::Lost { .. } => 0,
        };
        let units = u32::try_from(bytes / UNIT).unwrap_or(UNITS_MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(units.min(UNITS_MAX));
        // The semaphore is never closed.
        let room = room.await.ok();
        self.queue.send((Ok(event), room)).await.map_err(|_| Closed)
    }

    /// Send the error that ends the watch.
    pub(super) async fn close(self, error: Error) {
        // The receiver may have been dropped.
        let _ = self.queue.send((Err(error), None)).await;
    }
}

impl Receiver {
    /// The next event. Cancel safe.
    ///
    /// # Errors
    ///
    /// The error that ended the watch, each time.
    pub(super) async fn next(&mut self) -> Result<WatchEvent, Error> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        let event = match self.queue.recv().await {
            Some((event, _)) => event,
            None => Err(Error::NoMember(Vec::new())),
        };
        if let Err(error) = &event {
            self.error = Some(error.clone());
        }
        event
    }
}
