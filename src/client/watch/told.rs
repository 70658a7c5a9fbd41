//! The queue between whoever follows and whoever listens.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::{Error, Heard};

/// How much may wait; then whoever follows waits too.
const QUEUE_MAX: usize = 1024;

/// How many bytes of events may wait, in units of [`UNIT`]. A longer event waits until the queue is empty.
const UNITS_MAX: u32 = 8 << 10;

/// Bytes.
const UNIT: usize = 1 << 10;

type Told = (Result<Heard, Error>, Option<OwnedSemaphorePermit>);

/// The end that speaks.
pub(super) struct Teller {
    sender: mpsc::Sender<Told>,
    room: Arc<Semaphore>,
}

/// The end that listens.
pub(super) struct Inbox {
    receiver: mpsc::Receiver<Told>,
    ended: Option<Error>,
}

/// Nobody listens any more.
#[derive(Debug)]
pub(super) struct Deaf;

/// A queue; when it is full the teller waits.
pub(super) fn channel() -> (Teller, Inbox) {
    let (sender, receiver) = mpsc::channel(QUEUE_MAX);
    let room = Arc::new(Semaphore::new(UNITS_MAX as usize));
    let inbox = Inbox {
        receiver,
        ended: None,
    };
    (Teller { sender, room }, inbox)
}

impl Teller {
    pub(super) async fn tell(&self, heard: Heard) -> Result<(), Deaf> {
        let bytes = match &heard {
            Heard::Change(change) => change.json.len(),
            Heard::Established { .. } | Heard::Quiet { .. } | Heard::Lost { .. } => 0,
        };
        let units = u32::try_from(bytes / UNIT).unwrap_or(UNITS_MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(units.min(UNITS_MAX));
        // It is never closed.
        let room = room.await.ok();
        self.sender.send((Ok(heard), room)).await.map_err(|_| Deaf)
    }

    /// The last word.
    pub(super) async fn end(self, error: Error) {
        // Whoever stopped listening need not be told.
        let _ = self.sender.send((Err(error), None)).await;
    }
}

impl Inbox {
    pub(super) async fn next(&mut self) -> Result<Heard, Error> {
        if let Some(error) = &self.ended {
            return Err(error.clone());
        }
        let heard = match self.receiver.recv().await {
            Some((heard, _)) => heard,
            None => Err(Error::NoMember(Vec::new())),
        };
        if let Err(error) = &heard {
            self.ended = Some(error.clone());
        }
        heard
    }
}
