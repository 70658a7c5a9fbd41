//! A host: the real consensus and storage code of a member on a simulated disk and clock.

use std::collections::{BTreeSet, VecDeque};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use oxetcd::cluster::{ClusterId, Member, MemberId};
use oxetcd::consensus::core::{Core, Recovered, WalWrite, Work};
use oxetcd::consensus::message::{Body, Message};
use oxetcd::consensus::{AppliedState, Input, Inputs, Settings, commit, gather};
use oxetcd::consensus::{hashes::HashJob, snapshot_schedule::SnapshotJob};
use oxetcd::store::{HistoryLimits, Store, image};
use oxetcd::wal::{Batch, StorageError, Wal};
use tokio::sync::Semaphore;

use crate::bootstrap::{self, log_options, read_snapshot, save};
use crate::disk::{self, Operation, SimDisk};
use crate::expected_log::ExpectedLog;
use crate::random::Random;

/// Maximum duration of a sync on a healthy disk, in microseconds.
pub const SYNC_MAX: u64 = 400;

/// Interval at which the leader writes its clock while a deadline is pending: shorter than the default, since runs
/// are short.
pub const CLOCK_WRITTEN_EVERY: Duration = Duration::from_millis(1_000);

/// Maximum drift of a member's clock, in millionths.
pub const DRIFT_MAX: u32 = 100;

/// Heartbeat interval and election timeout.
const TIMING: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(80));

/// Maximum number of pending writes and reads of a member.
const WAITING_MAX: usize = 64;

/// A host, whose disk persists over restarts of the member.
pub struct Host {
    pub number: usize,
    pub name: String,
    pub member_state: MemberState,
    pub disk: SimDisk,
    pub paused: bool,
    pub sync_max: u64,
    /// Incremented at each start and stop: events for an earlier incarnation are dropped.
    pub incarnation: u64,
    pub running: Option<Running>,
    /// Earliest time of the next start.
    pub down_until: Duration,
    /// The point of the next received snapshot at which the power fails.
    pub crash_point: Option<CrashPoint>,
    pub counts: Counts,
    limits: HistoryLimits,
    /// Offset of its monotonic clock from the simulated time, at the start.
    offset: Duration,
    /// Rate of its clock, in millionths of the simulated time.
    rate: u64,
}

/// The relation of a host to the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberState {
    /// It has not joined yet and never ran.
    NotYet,
    /// It is a member.
    Member,
    /// It was removed and has stopped, or its disk is lost. It never starts again.
    Former,
}

/// Numbers of the hosts that are members, as far as they know.
pub fn members(hosts: &[Host]) -> Vec<usize> {
    let members = hosts
        .iter()
        .filter(|host| host.member_state == MemberState::Member);
    members.map(|host| host.number).collect()
}

/// A running member.
pub struct Running {
    pub core: Core,
    pub expected_log: ExpectedLog,
    /// Index of the last entry that was compared with the reference.
    pub compared: u64,
    /// It loaded or installed a snapshot that was not compared yet.
    pub image_is_new: bool,
    /// A `Work` event for its inputs is scheduled.
    pub woken: bool,
    pub view: Arc<RwLock<AppliedState>>,
    wal: Wal<SimDisk>,
    inputs: Receiver<Input>,
    pub reports: Inputs,
    queue: VecDeque<WalWrite>,
    writing: Option<(Duration, u64, Batch)>,
    snapshots: Vec<(Duration, SnapshotJob)>,
    hashes: Vec<(Duration, HashJob)>,
    pub permits: Arc<Semaphore>,
    /// Ids whose removal is committed, as far as it knows.
    pub removed_ids: Vec<MemberId>,
}

/// A point of a snapshot's installation at which the power fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CrashPoint {
    /// While the snapshot file is written.
    Receiving,
    /// After the snapshot file is written.
    Received,
    /// While the log is reset.
    Resetting,
    /// After the log is reset.
    Reset,
}

/// Counters of a host.
#[derive(Clone, Copy, Default)]
pub struct Counts {
    pub installed: u64,
    pub installed_in_a_row: u64,
    pub taken: u64,
    pub crashed_at_snapshot: u64,
    pub disk_failed: u64,
}

/// The result of a step of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    Fine,
    /// Its disk failed and the member stopped itself.
    Stopped,
    /// The power failed.
    Crashed,
    /// Its log failed although the disk did not.
    Wrong(String),
}

/// What a step of a member produced.
#[derive(Default)]
pub struct Output {
    pub messages: Vec<Message>,
    /// Times at which its disk or its side threads finish.
    pub due: Vec<Duration>,
    /// Index of the first log entry that was replaced.
    pub replaced: Option<u64>,
}

impl Host {
    /// A host with an empty disk.
    pub fn new(number: usize, limits: HistoryLimits, random: &mut Random) -> Self {
        Self {
            number,
            name: format!("m{number}"),
            member_state: MemberState::Member,
            disk: SimDisk::new(random.number()),
            paused: false,
            sync_max: SYNC_MAX,
            incarnation: 0,
            running: None,
            down_until: Duration::ZERO,
            crash_point: None,
            counts: Counts::default(),
            limits,
            offset: random.micros(0, 36_000_000_000),
            rate: 1_000_000 + random.below(2 * u64::from(DRIFT_MAX) + 1) - u64::from(DRIFT_MAX),
        }
    }

    /// The id of the member on the host with this number.
    pub fn id(number: usize) -> MemberId {
        MemberId::new(number as u64 + 1).expect("not zero")
    }

    /// The cluster of all members.
    pub fn cluster() -> ClusterId {
        ClusterId::new(1).expect("not zero")
    }

    /// The reverse of [`Host::id`].
    pub fn number_of(id: MemberId) -> usize {
        usize::try_from(id.get() - 1).expect("a small number")
    }

    /// The member of this host.
    pub fn member(&self) -> Member {
        bootstrap::member(self.number, &self.name)
    }

    /// The default settings with shorter times, frequent snapshots and few trailing entries.
    fn settings(&self, random: &mut Random) -> Settings {
        let boot = u32::try_from(self.incarnation).expect("few restarts");
        let mut settings = Settings::new(Self::cluster(), Self::id(self.number), boot)
            .with_timing(TIMING.0, TIMING.1);
        settings.election_ticks_fixed =
            Some(settings.election_ticks + random.index(settings.election_ticks));
        settings.snapshot_every = Some(20);
        settings.trailing_entries = 4;
        settings.hash_every = 16;
        settings.clock_written_every = CLOCK_WRITTEN_EVERY;
        settings
    }

    /// Interval of ticks.
    pub fn tick_length() -> Duration {
        TIMING.0 / 2
    }

    /// The reading of its monotonic clock.
    fn clock(&self, now: Duration) -> Duration {
        let nanos = u64::try_from(now.as_nanos()).expect("a run of less than 584 years");
        self.offset + Duration::from_nanos(nanos / 1_000_000 * self.rate + nanos % 1_000_000)
    }

    /// Start a new incarnation and recover the log from the disk.
    ///
    /// # Errors
    ///
    /// If the log on disk cannot be recovered.
    pub fn recover(&mut self) -> Result<(Wal<SimDisk>, Recovered), String> {
        self.incarnation += 1;
        let opened = Wal::open(self.disk.clone(), log_options(self.incarnation));
        let (wal, found) = opened.map_err(|error| error.to_string())?;
        // A joining member has none until the leader sends one.
        let snapshot = found.snapshot.unwrap_or_default();
        Ok((
            wal,
            Recovered {
                hard_state: found.hard_state,
                snapshot,
                entries: found.entries,
            },
        ))
    }

    /// Start the member with the recovered log.
    ///
    /// # Errors
    ///
    /// If the snapshot cannot be read or the core cannot start.
    pub fn start(
        &mut self,
        wal: Wal<SimDisk>,
        recovered: Recovered,
        now: Duration,
        random: &mut Random,
    ) -> Result<(), String> {
        self.paused = false;
        let store = if recovered.snapshot.index == 0 {
            Store::new(self.limits)
        } else {
            let body = read_snapshot(&self.disk, &recovered.snapshot)?;
            image::decode(&body, self.limits).map_err(|error| error.to_string())?
        };
        let (reports, inputs) = channel();
        let here = self.clock(now);
        let term = recovered.hard_state.term;
        let meta = &recovered.snapshot;
        let expected_log = ExpectedLog::new((meta.index, meta.term), recovered.entries.clone());
        let compared = meta.index;
        let view = AppliedState::new(store, meta, term, Instant::now(), here);
        let view = Arc::new(RwLock::new(view));
        let settings = self.settings(random);
        let mut core = Core::start(settings, recovered, view.clone(), reports.clone(), here)
            .map_err(|error| error.to_string())?;
        core.campaign_if_alone();
        self.running = Some(Running {
            core,
            expected_log,
            compared,
            image_is_new: compared > 0,
            woken: false,
            view,
            wal,
            inputs,
            reports,
            queue: VecDeque::new(),
            writing: None,
            snapshots: Vec::new(),
            hashes: Vec::new(),
            permits: Arc::new(Semaphore::new(WAITING_MAX)),
            removed_ids: Vec::new(),
        });
        Ok(())
    }

    /// Terminate the member. With `power`, unsynced data may be lost. With `writing`, in the middle of the pending
    /// write, if there is one.
    pub fn terminate(&mut self, random: &mut Random, power: bool, writing: bool) {
        self.paused = false;
        self.incarnation += 1;
        if let Some(mut running) = self.running.take()
            && writing
            && let Some((_, _, batch)) = running.writing.take()
        {
            self.disk
                .plan(Operation::Change, random.below(5), disk::Fault::Crash);
            // May fail, depending on where the disk stopped.
            let _ = commit(&mut running.wal, &batch);
        }
        self.disk = if power {
            self.disk.crash()
        } else {
            self.disk.kill()
        };
    }

    pub fn tick(&mut self, now: Duration) {
        let now = self.clock(now);
        if let Some(running) = self.running.as_mut().filter(|_| !self.paused) {
            running.core.tick(now);
        }
    }

    /// Queue an input for the member; ignored while it is down.
    pub fn send_input(&mut self, input: Input) {
        if let Some(running) = &mut self.running {
            // The receiver is in `self.running` too.
            let _ = running.reports.send(input);
        }
    }

    /// Receive a whole snapshot: save it, then queue it as an input. Returns whether it was saved.
    pub fn receive_snapshot(
        &mut self,
        message: Message,
        body: &Bytes,
        random: &mut Random,
    ) -> (bool, Progress) {
        let Body::Raft(raft) = &message.body else {
            return (false, Progress::Fine);
        };
        let Some(meta) = raft.snapshot.clone() else {
            return (false, Progress::Fine);
        };
        let Ok(store) = image::decode(body, self.limits) else {
            return (false, Progress::Fine);
        };
        if self.crashes_at(CrashPoint::Receiving) {
            self.disk
                .plan(Operation::Change, random.below(6), disk::Fault::Crash);
        }
        let saved = save(&self.disk, &meta, &mut std::iter::once(body.clone())).is_ok();
        if self.disk.is_down() {
            return (false, Progress::Crashed);
        }
        if saved {
            self.send_input(Input::Snapshot(message, store));
        }
        let crashed_at_snapshot = saved && self.crashes_at(CrashPoint::Received);
        (
            saved,
            if crashed_at_snapshot {
                Progress::Crashed
            } else {
                Progress::Fine
            },
        )
    }

    /// Whether the power fails at this point.
    fn crashes_at(&mut self, point: CrashPoint) -> bool {
        let sprung = self.crash_point == Some(point);
        if sprung {
            self.crash_point = None;
            self.counts.crashed_at_snapshot += 1;
        }
        sprung
    }

    /// The image of the snapshot that a message announces; none if the file was removed.
    pub fn snapshot_body(&self, message: &Message) -> Option<Bytes> {
        let Body::Raft(raft) = &message.body else {
            return None;
        };
        read_snapshot(&self.disk, raft.snapshot.as_ref()?).ok()
    }

    /// Read all inputs and run the core until it has no more work.
    pub fn run_core(&mut self, now: Duration, random: &mut Random) -> Output {
        let mut output = Output::default();
        let here = self.clock(now);
        let sync_max = self.sync_max;
        let Some(running) = self.running.as_mut().filter(|_| !self.paused) else {
            return output;
        };
        running.read_inputs(here);
        while let Some(work) = running.core.work(here) {
            let Work {
                messages,
                write,
                snapshot,
                hash,
                members: _,
                removed_ids,
            } = work;
            if let Some(removed_ids) = removed_ids {
                running.removed_ids = removed_ids;
            }
            output.messages.extend(messages);
            if let Some(write) = write {
                if write.batch.reset.is_some() {
                    self.counts.installed += 1;
                    let in_a_row =
                        running.is_installing_snapshot() || running.expected_log.is_bare();
                    self.counts.installed_in_a_row += u64::from(in_a_row);
                    running.image_is_new = true;
                }
                output.replaced = running.expected_log.take(&write.batch).or(output.replaced);
                running.queue.push_back(write);
            }
            if let Some(job) = snapshot {
                let at = now + random.micros(100, 15_000);
                running.snapshots.push((at, job));
                output.due.push(at);
            }
            if let Some(job) = hash {
                let at = now + random.micros(100, 5_000);
                running.hashes.push((at, job));
                output.due.push(at);
            }
        }
        if running.writing.is_none()
            && let Some(first) = running.queue.pop_front()
        {
            let (number, batch) = gather(first, || running.queue.pop_front());
            let at = now + random.micros(80, sync_max);
            running.writing = Some((at, number, batch));
            output.due.push(at);
        }
        output
    }

    /// Finish the disk writes and side jobs that are due.
    pub fn work_done(&mut self, now: Duration, random: &mut Random) -> Progress {
        let Some(running) = self.running.as_mut().filter(|_| !self.paused) else {
            return Progress::Fine;
        };
        if let Some((_, number, batch)) = running.writing.take_if(|(at, ..)| *at <= now) {
            let resets = batch.reset.is_some();
            if resets && self.crashes_at(CrashPoint::Resetting) {
                self.disk
                    .plan(Operation::Change, random.below(5), disk::Fault::Crash);
            }
            let met = self.disk.met();
            if let Err(why) = self.write_batch(number, &batch) {
                return self.progress_after(met, why);
            }
            if resets && self.crashes_at(CrashPoint::Reset) {
                return Progress::Crashed;
            }
        }
        let Some(running) = self.running.as_mut() else {
            return Progress::Fine;
        };
        for (_, job) in running.snapshots.extract_if(.., |(at, _)| *at <= now) {
            let bytes = save(&self.disk, &job.meta, &mut image::encode(&job.store)).ok();
            self.counts.taken += u64::from(bytes.is_some());
            let _ = running
                .reports
                .send(Input::SnapshotWritten(job.meta, bytes));
        }
        for (_, job) in running.hashes.extract_if(.., |(at, _)| *at <= now) {
            let _ = running
                .reports
                .send(Input::Hashed(job.index, image::hash(&job.store)));
        }
        if self.disk.is_down() {
            Progress::Crashed
        } else {
            Progress::Fine
        }
    }

    fn write_batch(&mut self, number: u64, batch: &Batch) -> Result<(), StorageError> {
        let Some(running) = &mut self.running else {
            return Ok(());
        };
        commit(&mut running.wal, batch)?;
        let _ = running.reports.send(Input::Persisted(number));
        running.wal.maintain().map(|_| ())
    }

    /// Whether it runs, its voters are these, and they are on its disk.
    pub fn has_written(&self, voters: &BTreeSet<u64>) -> bool {
        self.running.as_ref().is_some_and(|running| {
            let known = &running.view().configuration.voters;
            running.writing.is_none()
                && running.queue.is_empty()
                && known.len() == voters.len()
                && known.iter().all(|id| voters.contains(id))
        })
    }

    /// The result of a failed write: `met` is the number of disk faults before it.
    fn progress_after(&mut self, met: u64, why: StorageError) -> Progress {
        if self.disk.is_down() {
            return Progress::Crashed;
        }
        if self.disk.met() == met {
            return Progress::Wrong(why.to_string());
        }
        self.counts.disk_failed += 1;
        Progress::Stopped
    }
}

impl Running {
    fn read_inputs(&mut self, now: Duration) {
        self.woken = false;
        while let Ok(input) = self.inputs.try_recv() {
            let core = &mut self.core;
            match input {
                Input::Request(request) => core.request(request, now),
                Input::Message(message, _) => core.step(message, now),
                Input::Snapshot(message, store) => core.snapshot_received(message, store, now),
                Input::Persisted(number) => core.persisted(number),
                Input::SnapshotWritten(meta, bytes) => core.snapshot_written(meta, bytes),
                Input::Hashed(index, hash) => core.hashed(index, hash),
                Input::Unreachable(member) => core.unreachable(member),
                Input::SnapshotSent(member, ok) => core.snapshot_sent(member, ok),
                Input::TransferLeadership => core.transfer_leadership(),
                Input::AddressChanged(from, at) => core.address_changed(from, at),
                Input::Removed(by) => core.removed(by),
                Input::WalFailed(_) | Input::Stop | Input::Health(_) => {}
            }
        }
    }

    /// Whether the installation of a snapshot is pending.
    fn is_installing_snapshot(&self) -> bool {
        let writing = self.writing.iter().map(|(_, _, batch)| batch);
        let mut batches = writing.chain(self.queue.iter().map(|write| &write.batch));
        batches.any(|batch| batch.reset.is_some())
    }
}
