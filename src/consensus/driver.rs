//! The one thread that runs a member's core: it receives inputs and carries out the work that results.

use std::collections::{BTreeSet, VecDeque};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tracing::{error, info, warn};

use super::core::{Core, Work};
use super::error::DriverError;
use super::hashes::HashJob;
use super::input::{DriverHealth, Input, Inputs};
use super::outbox::Outbox;
use super::snapshot_schedule::SnapshotJob;
use super::wal_thread::WalQueue;
use crate::cluster::MemberId;
use crate::store::image;
use crate::wal::{SnapshotMeta, StorageError};

/// How many inputs are handled before the work they cause is done: many proposals share one sync.
const BATCH_MAX: usize = 512;

/// Why a member's part in the cluster ended without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It received [`Input::Stop`].
    Stopped,
    /// The member was removed from the cluster. Its id is never used again, and its data is obsolete.
    Removed,
}

/// The driver: owns the core, and passes its work on to the WAL thread and the transport.
pub(super) struct Driver<O> {
    pub(super) core: Core,
    pub(super) inputs: Receiver<Input>,
    /// Receives the results of the jobs the driver starts.
    pub(super) reports: Inputs,
    pub(super) wal: WalQueue,
    pub(super) outbox: O,
    /// The ids of removed members, as far as the removal is on this disk.
    pub(super) removed_ids: watch::Sender<BTreeSet<MemberId>>,
    pub(super) save: SaveSnapshot,
    pub(super) tick: Duration,
    pub(super) origin: Instant,
    /// The WAL writes that are not on disk yet: number, and when it was queued. Bounded like [`WalQueue`].
    pub(super) unsynced: VecDeque<(u64, Duration)>,
}

/// Writes a snapshot's image durably and returns its size in bytes: `wal`'s snapshot files, provided by the
/// server, which opened the data directory.
pub type SaveSnapshot = std::sync::Arc<
    dyn Fn(&SnapshotMeta, &mut dyn Iterator<Item = bytes::Bytes>) -> Result<u64, StorageError>
        + Send
        + Sync,
>;

impl<O: Outbox> Driver<O> {
    /// Run until an input ends it.
    ///
    /// # Errors
    ///
    /// [`DriverError::Wal`]: a write or sync of the write-ahead log failed.
    pub(super) fn run(mut self) -> Result<End, DriverError> {
        let mut next_tick = self.now() + self.tick;
        self.core.campaign_if_alone();
        self.do_work();
        loop {
            let first = self.wait(&mut next_tick);
            let more = std::iter::from_fn(|| self.inputs.try_recv().ok()).take(BATCH_MAX);
            for input in std::iter::once(first).chain(more.collect::<Vec<_>>()) {
                if let Some(end) = self.accept(input) {
                    return end;
                }
            }
            self.do_work();
        }
    }

    /// Wait for the next input, and run the ticks that are due before it.
    ///
    /// A leader ticks on time. The others may tick half a period early or late, so that they tick when the
    /// leader's heartbeat, which arrives once per period, wakes them anyway.
    fn wait(&mut self, next_tick: &mut Duration) -> Input {
        loop {
            let slack = if self.core.leads() {
                Duration::ZERO
            } else {
                self.tick / 2
            };
            let now = self.now();
            let latest = *next_tick + slack;
            if now >= latest {
                self.tick(next_tick, now);
                continue;
            }
            match self.inputs.recv_timeout(latest - now) {
                Ok(input) => {
                    let now = self.now();
                    if now + slack >= *next_tick {
                        self.tick(next_tick, now);
                    }
                    return input;
                }
                Err(RecvTimeoutError::Timeout) => {}
                // Unreachable: the driver holds a sender itself.
                Err(RecvTimeoutError::Disconnected) => return Input::Stop,
            }
        }
    }

    fn tick(&mut self, next_tick: &mut Duration, now: Duration) {
        self.core.tick(now);
        self.do_work();
        // A process that was paused does not catch up on ticks: time passed for its peers as well.
        *next_tick = (*next_tick + self.tick).max(now);
    }

    /// Handle an input. Returns the result of [`Driver::run`] if the input ends it.
    fn accept(&mut self, input: Input) -> Option<Result<End, DriverError>> {
        let now = self.now();
        match input {
            Input::Request(request) => self.core.request(request, now),
            Input::Message(message, _permit) => self.core.step(message, now),
            Input::Snapshot(message, store) => self.core.snapshot_received(message, store, now),
            Input::Persisted(number) => {
                while self
                    .unsynced
                    .pop_front_if(|(write, _)| *write <= number)
                    .is_some()
                {}
                self.core.persisted(number);
            }
            Input::Health(answer) => {
                let since = self.unsynced.front().map_or(now, |(_, since)| *since);
                let unsynced = now.saturating_sub(since);
                // The caller may have stopped waiting.
                let _ = answer.send(DriverHealth { unsynced });
            }
            Input::SnapshotWritten(meta, bytes) => self.core.snapshot_written(meta, bytes),
            Input::Hashed(index, hash) => self.core.hashed(index, hash),
            Input::Unreachable(member) => self.core.unreachable(member),
            Input::SnapshotSent(member, ok) => self.core.snapshot_sent(member, ok),
            Input::TransferLeadership => self.core.transfer_leadership(),
            Input::AddressChanged(member, peer_url) => self.core.address_changed(member, peer_url),
            Input::Removed(by) => {
                self.core.removed(by);
                return Some(Ok(End::Removed));
            }
            Input::Stop => return Some(Ok(End::Stopped)),
            Input::WalFailed(error) => return Some(Err(DriverError::Wal(error))),
        }
        None
    }

    fn do_work(&mut self) {
        while let Some(work) = self.core.work(self.now()) {
            let Work {
                messages,
                write,
                snapshot,
                hash,
                members,
                removed_ids,
            } = work;
            if let Some(members) = members {
                self.outbox.set_members(&members);
            }
            if let Some(removed_ids) = removed_ids {
                self.removed_ids
                    .send_replace(removed_ids.into_iter().collect());
            }
            for message in messages {
                self.outbox.send(message);
            }
            if let Some(write) = write {
                self.unsynced.push_back((write.number, self.now()));
                // The WAL thread ends only after it sent `Input::WalFailed`.
                let _ = self.wal.send(write);
            }
            if let Some(job) = snapshot {
                self.spawn_snapshot(job);
            }
            if let Some(job) = hash {
                self.spawn_hash(job);
            }
        }
    }

    fn spawn_snapshot(&self, job: SnapshotJob) {
        let save = self.save.clone();
        self.spawn_job("snapshot", move || {
            let SnapshotJob { meta, store } = job;
            let saved = save(&meta, &mut image::encode(&store));
            match &saved {
                Ok(bytes) => info!(index = meta.index, bytes, "snapshot written"),
                Err(error) => error!(index = meta.index, %error, "snapshot not written"),
            }
            Input::SnapshotWritten(meta, saved.ok())
        });
    }

    fn spawn_hash(&self, job: HashJob) {
        self.spawn_job("hash", move || {
            Input::Hashed(job.index, image::hash(&job.store))
        });
    }

    /// Run `job` on a thread of its own. At most one job of each kind is under way at a time.
    fn spawn_job(&self, name: &str, job: impl FnOnce() -> Input + Send + 'static) {
        let reports = self.reports.clone();
        let spawned = thread::Builder::new().name(name.to_owned()).spawn(move || {
            // After the driver has stopped nobody waits for the report.
            let _ = reports.send(job());
        });
        if let Err(error) = spawned {
            warn!(job = name, %error, "thread not started");
        }
    }

    fn now(&self) -> Duration {
        self.origin.elapsed()
    }
}
