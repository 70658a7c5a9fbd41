//! The one thread that drives a member: inputs in, work out.

use std::collections::{BTreeSet, VecDeque};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};
use tracing::{error, info, warn};

use super::core::{Core, Work};
use super::handle::Request;
use super::message::Message;
use super::outbox::Outbox;
use super::wal_thread::Writes;
use crate::cluster::MemberId;
use crate::store::{Store, image};
use crate::wal::SnapshotMeta;

/// How many inputs are taken before the work they make is done: many proposals, one sync.
const BATCH_MAX: usize = 512;

/// Where inputs of the driver go. Each kind is bounded at its source: requests by permits and
/// connections, messages by a permit each, reports by what was ordered.
pub type Inputs = Sender<Input>;

/// What the driver hears.
pub enum Input {
    /// Someone at this member asks for something.
    Request(Request),
    /// A message of another member; the permit is its connection's, given back when it is handled.
    Message(Message, Option<OwnedSemaphorePermit>),
    /// A snapshot from the leader that is durable here, its message, and the store made of it.
    Snapshot(Message, Store),
    /// All writes up to this number are on disk.
    Persisted(u64),
    /// The disk failed; nothing more can be promised.
    Failed(String),
    /// The snapshot of this mark is durable and so long, or could not be written.
    SnapshotWritten(SnapshotMeta, Option<u64>),
    /// The hash of the store at this applied index.
    Hashed(u64, u64),
    /// A message to this member could not be delivered.
    Unreachable(MemberId),
    /// A snapshot sent to this member is durable there, or failed.
    SnapshotSent(MemberId, bool),
    /// This other member is reached at this peer URL, it says.
    Calls(MemberId, String),
    /// Say how the driver is. Whoever asks waits for the answer, so there are few.
    Pulse(oneshot::Sender<Pulse>),
    /// This other member knows for certain that this one was removed from the cluster.
    Removed(MemberId),
    /// Give leadership to another member, if this one has it and another can take it.
    TransferLeadership,
    /// End now.
    Stop,
}

/// How the driver is; that it answers at all says that it gets round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pulse {
    /// How long the disk has been at what it was given first; zero if it has nothing to do.
    pub unsynced: Duration,
}

/// How a member's part in the cluster ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was told to.
    Stopped,
    /// The member was removed from the cluster: it is none any more, and never again by this id. What it
    /// holds is of no use to anyone.
    Removed,
}

/// The driver: owns the core, hands work to disk and peers.
pub(super) struct Driver<O> {
    pub(super) core: Core,
    pub(super) inputs: Receiver<Input>,
    /// For the reports of what it starts.
    pub(super) reports: Inputs,
    pub(super) writes: Writes,
    pub(super) outbox: O,
    /// The ids of members that were removed for certain.
    pub(super) gone: watch::Sender<BTreeSet<MemberId>>,
    pub(super) save: SaveSnapshot,
    pub(super) tick: Duration,
    pub(super) origin: Instant,
    /// The writes that are not on disk yet, and since when: as many as the queue of [`Writes`] has.
    pub(super) unsynced: VecDeque<(u64, Duration)>,
}

/// Writes a snapshot's bytes where they last, and tells how many: `wal`'s snapshot files, given by whoever
/// opened the directory.
pub type SaveSnapshot = std::sync::Arc<
    dyn Fn(&SnapshotMeta, &mut dyn Iterator<Item = bytes::Bytes>) -> Result<u64, String>
        + Send
        + Sync,
>;

impl<O: Outbox> Driver<O> {
    /// The thread's whole life.
    ///
    /// # Errors
    ///
    /// What failed: the disk.
    pub(super) fn run(mut self) -> Result<End, String> {
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

    /// The next input, after the ticks that are due before it.
    ///
    /// A leader ticks on time. Others may be half a tick early or late, so that they do it when the leader's
    /// heartbeat, which comes once a tick, wakes them anyway.
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
                // It cannot be: the driver holds a sender itself.
                Err(RecvTimeoutError::Disconnected) => return Input::Stop,
            }
        }
    }

    fn tick(&mut self, next_tick: &mut Duration, now: Duration) {
        self.core.tick(now);
        self.do_work();
        // A process that was paused does not make up for it: its peers' time passed as well.
        *next_tick = (*next_tick + self.tick).max(now);
    }

    /// Take an input in; how it ends, if that is what it says.
    fn accept(&mut self, input: Input) -> Option<Result<End, String>> {
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
            Input::Pulse(answer) => {
                let since = self.unsynced.front().map_or(now, |(_, since)| *since);
                let unsynced = now.saturating_sub(since);
                // Whoever stopped waiting does not want to know.
                let _ = answer.send(Pulse { unsynced });
            }
            Input::SnapshotWritten(mark, bytes) => self.core.snapshot_written(mark, bytes),
            Input::Hashed(index, hash) => self.core.hashed(index, hash),
            Input::Unreachable(member) => self.core.unreachable(member),
            Input::SnapshotSent(member, ok) => self.core.snapshot_sent(member, ok),
            Input::TransferLeadership => self.core.transfer_leadership(),
            Input::Calls(from, at) => self.core.address_changed(from, at),
            Input::Removed(by) => {
                self.core.removed(by);
                return Some(Ok(End::Removed));
            }
            Input::Stop => return Some(Ok(End::Stopped)),
            Input::Failed(error) => return Some(Err(error)),
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
                gone,
            } = work;
            if let Some(members) = members {
                self.outbox.set_members(&members);
            }
            if let Some(gone) = gone {
                self.gone.send_replace(gone.into_iter().collect());
            }
            for message in messages {
                self.outbox.send(message);
            }
            if let Some(write) = write {
                self.unsynced.push_back((write.number, self.now()));
                // The thread ends only after it said why.
                let _ = self.writes.send(write);
            }
            if let Some(job) = snapshot {
                let (save, mark) = (self.save.clone(), job.mark.clone());
                self.aside("snapshot", move || {
                    let saved = save(&job.mark, &mut image::encode(&job.store));
                    match &saved {
                        Ok(bytes) => info!(index = job.mark.index, bytes, "took a snapshot"),
                        Err(error) => error!(index = job.mark.index, %error, "a snapshot could not be written"),
                    }
                    Input::SnapshotWritten(mark, saved.ok())
                });
            }
            if let Some(job) = hash {
                self.aside("hash", move || {
                    Input::Hashed(job.index, image::hash(&job.store))
                });
            }
        }
    }

    /// Run `job` on a thread of its own; at most one of each kind is ever under way.
    fn aside(&self, name: &str, job: impl FnOnce() -> Input + Send + 'static) {
        let reports = self.reports.clone();
        let spawned = thread::Builder::new().name(name.to_owned()).spawn(move || {
            // A driver that is gone needs no report.
            let _ = reports.send(job());
        });
        if let Err(error) = spawned {
            warn!(%error, "no thread for a {name}");
        }
    }

    fn now(&self) -> Duration {
        self.origin.elapsed()
    }
}
