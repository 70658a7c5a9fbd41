//! The thread that owns the write-ahead log.
//!
//! While a sync is under way the driver goes on; what it hands over meanwhile becomes one record and one
//! sync. A failed write or sync ends the process: what the page cache dropped cannot be written again.

use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread;

use tracing::warn;

use super::core::Write;
use super::driver::{Input, Inputs};
use crate::wal::{Batch, Disk, StorageError, Wal, remove_old_snapshots};

/// How many bytes of entries one record may gather.
const RECORD_BYTES_MAX: usize = 4 << 20;

/// Where the driver hands what must be on disk.
///
/// It is unbounded, but what can be in it is not: proposals are bounded by their permits, messages of
/// peers by their connections', and the raft crate by what may be uncommitted.
pub(super) type Writes = Sender<Write>;

/// Start the thread; it ends when the driver drops its end, or with [`Input::Failed`].
///
/// # Errors
///
/// When the system has no thread to give.
pub(super) fn spawn<D: Disk>(mut wal: Wal<D>, inputs: Inputs) -> std::io::Result<Writes>
where
    Wal<D>: Send,
{
    let (sender, receiver) = channel();
    thread::Builder::new()
        .name("wal".to_owned())
        .spawn(move || {
            if let Err(error) = work(&mut wal, &receiver, &inputs) {
                // A driver that is gone needs no report.
                let _ = inputs.send(Input::Failed(error.to_string()));
            }
        })?;
    Ok(sender)
}

fn work<D: Disk>(
    wal: &mut Wal<D>,
    writes: &Receiver<Write>,
    inputs: &Inputs,
) -> Result<(), StorageError> {
    let mut more_to_tend = true;
    loop {
        let first = match writes.try_recv() {
            Ok(first) => first,
            Err(TryRecvError::Empty) if more_to_tend => {
                more_to_tend = wal.tend()?;
                continue;
            }
            Err(TryRecvError::Empty) => match writes.recv() {
                Ok(first) => first,
                Err(_) => return Ok(()),
            },
            Err(TryRecvError::Disconnected) => return Ok(()),
        };
        let (number, batch) = gather(first, || writes.try_recv().ok());
        commit(wal, &batch)?;
        if inputs.send(Input::Persisted(number)).is_err() {
            return Ok(());
        }
        more_to_tend = true;
    }
}

/// Put a write together with those that already wait behind it, as one: its number, and the batch.
pub fn gather(first: Write, mut next: impl FnMut() -> Option<Write>) -> (u64, Batch) {
    let Write {
        mut number,
        mut batch,
    } = first;
    while batch.entry_bytes() < RECORD_BYTES_MAX
        && let Some(next) = next()
    {
        number = next.number;
        batch.absorb(next.batch);
    }
    (number, batch)
}

/// Make a batch durable; what is left of older snapshots goes once the log begins with a newer one.
///
/// # Errors
///
/// The disk's; nothing more may be written then.
pub fn commit<D: Disk>(wal: &mut Wal<D>, batch: &Batch) -> Result<(), StorageError> {
    wal.write(batch, true)?;
    if let Some(mark) = batch.compact.as_ref().or(batch.reset.as_ref())
        && let Err(error) = remove_old_snapshots(wal.disk(), mark)
    {
        warn!(%error, "an old snapshot stays");
    }
    Ok(())
}
