//! The thread that owns the write-ahead log.
//!
//! While a sync is under way the driver goes on; what it hands over meanwhile becomes one record and one
//! sync. A failed write or sync ends the process: what the page cache dropped cannot be written again.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use super::core::Write;
use super::driver::{Input, Inputs};
use crate::wal::{Batch, Disk, Wal};

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
pub(super) fn spawn<D: Disk + Send + 'static>(mut wal: Wal<D>, inputs: Inputs) -> std::io::Result<Writes> {
    let (sender, receiver) = channel();
    thread::Builder::new().name("wal".to_owned()).spawn(move || {
        while let Some((number, batch)) = gather(&receiver) {
            let report = match wal.write(&batch) {
                Ok(()) => Input::Persisted(number),
                Err(error) => Input::Failed(error.to_string()),
            };
            let failed = matches!(report, Input::Failed(_));
            // A driver that is gone needs no report.
            if inputs.send(report).is_err() || failed {
                return;
            }
        }
    })?;
    Ok(sender)
}

/// Wait for a write, and take with it those that already wait behind it.
fn gather(writes: &Receiver<Write>) -> Option<(u64, Batch)> {
    let Write { mut number, mut batch } = writes.recv().ok()?;
    while batch.bytes() < RECORD_BYTES_MAX && batch.can_grow() {
        let Ok(next) = writes.try_recv() else { break };
        number = next.number;
        batch.absorb(next.batch);
    }
    Some((number, batch))
}
