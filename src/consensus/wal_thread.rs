//! The thread that owns the write-ahead log.
//!
//! While a sync is under way the driver continues; the writes it queues meanwhile become one record and one
//! sync. A failed write or sync ends the process: pages that the page cache dropped cannot be written again.

use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread;

use tracing::warn;

use super::core::WalWrite;
use super::input::{Input, Inputs};
use crate::wal::{Batch, Disk, StorageError, Wal, remove_old_snapshots};

/// How many bytes of entries are gathered into one record.
const RECORD_BYTES_MAX: usize = 4 << 20;

/// The queue of WAL writes, from the driver to the thread.
///
/// The channel is unbounded; its content is not: proposals are bounded by their permits, messages of peers
/// by those of their connections, and the raft crate by the size of what is uncommitted.
pub(super) type WalQueue = Sender<WalWrite>;

/// Start the thread. It ends when the driver drops the queue, or with [`Input::WalFailed`].
///
/// # Errors
///
/// When the operating system refuses to start a thread.
pub(super) fn spawn<D: Disk>(mut wal: Wal<D>, inputs: Inputs) -> std::io::Result<WalQueue>
where
    Wal<D>: Send,
{
    let (sender, receiver) = channel();
    thread::Builder::new()
        .name("wal".to_owned())
        .spawn(move || {
            if let Err(error) = run(&mut wal, &receiver, &inputs) {
                // After the driver has stopped nobody waits for the report.
                let _ = inputs.send(Input::WalFailed(error));
            }
        })?;
    Ok(sender)
}

fn run<D: Disk>(
    wal: &mut Wal<D>,
    queue: &Receiver<WalWrite>,
    inputs: &Inputs,
) -> Result<(), StorageError> {
    let mut has_maintenance = true;
    loop {
        let first = match queue.try_recv() {
            Ok(first) => first,
            Err(TryRecvError::Empty) if has_maintenance => {
                has_maintenance = wal.maintain()?;
                continue;
            }
            Err(TryRecvError::Empty) => match queue.recv() {
                Ok(first) => first,
                Err(_) => return Ok(()),
            },
            Err(TryRecvError::Disconnected) => return Ok(()),
        };
        let (number, batch) = gather(first, || queue.try_recv().ok());
        commit(wal, &batch)?;
        if inputs.send(Input::Persisted(number)).is_err() {
            return Ok(());
        }
        has_maintenance = true;
    }
}

/// Merge a write with those queued behind it, up to [`RECORD_BYTES_MAX`]. Returns the number of the last
/// write that is included, and the merged batch.
pub fn gather(first: WalWrite, mut next: impl FnMut() -> Option<WalWrite>) -> (u64, Batch) {
    let WalWrite {
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

/// Make a batch durable. Once the log begins with a newer snapshot, older snapshot files are removed.
///
/// # Errors
///
/// The batch could not be written or synced, see [`Wal::write`]; the log must not be used afterwards.
pub fn commit<D: Disk>(wal: &mut Wal<D>, batch: &Batch) -> Result<(), StorageError> {
    wal.write(batch, true)?;
    if let Some(meta) = batch.compact.as_ref().or(batch.reset.as_ref())
        && let Err(error) = remove_old_snapshots(wal.disk(), meta)
    {
        warn!(%error, "old snapshot not removed");
    }
    Ok(())
}
