//! One machine: a member's real consensus and storage code on a simulated disk and clock.

use std::collections::{BTreeSet, VecDeque};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use oxetcd::cluster::{ClusterId, Member, MemberId};
use oxetcd::consensus::core::{Core, Recovered, Work, Write};
use oxetcd::consensus::message::{Body, Message};
use oxetcd::consensus::snapshots::{HashJob, SnapshotJob};
use oxetcd::consensus::{AppliedState, Input, Inputs, Settings, commit, gather};
use oxetcd::store::{HistoryLimits, Store, image};
use oxetcd::wal::{Batch, StorageError, Wal};
use tokio::sync::Semaphore;

use crate::disk::{self, Operation, SimDisk};
use crate::founding::{self, log_options, read_snapshot, save};
use crate::random::Random;
use crate::shadow::Shadow;

/// The longest a healthy disk takes to sync, in microseconds.
pub const SYNC_MAX: u64 = 400;

/// How often the leader writes its clock while a deadline is pending: more often than usual, as runs are
/// short.
pub const CLOCK_WRITTEN_EVERY: Duration = Duration::from_millis(1_000);

/// How much faster or slower a member's clock runs than the world's, in millionths.
pub const DRIFT_MAX: u32 = 100;

/// Times of the leader's heartbeats, and until an election.
const TIMING: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(80));

/// How many writes and reads may wait at a member.
const WAITING_MAX: usize = 64;

/// A machine: its disk outlives its lives.
pub struct Machine {
    pub number: usize,
    pub name: String,
    pub standing: RaftStatus,
    pub disk: SimDisk,
    pub paused: bool,
    pub sync_max: u64,
    /// Grows with each start and death, so that what was meant for an earlier life is told apart.
    pub life: u64,
    pub running: Option<Running>,
    /// It cannot start before.
    pub dead_until: Duration,
    /// Armed: it dies at this point of the next snapshot it receives.
    pub trap: Option<Trap>,
    pub counts: Counts,
    limits: HistoryLimits,
    /// What its monotonic clock reads more than the world's, at first.
    offset: Duration,
    /// How fast its clock runs, in millionths of the world's.
    rate: u64,
}

/// Whether a machine is a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RaftStatus {
    /// Not yet: it never ran.
    Outside,
    /// It was given a place.
    Member,
    /// Never again: it was removed and knows it, or its disk is lost.
    Gone,
}

/// The numbers of those that are members, as far as they know.
pub fn members(machines: &[Machine]) -> Vec<usize> {
    let members = machines
        .iter()
        .filter(|machine| machine.standing == RaftStatus::Member);
    members.map(|machine| machine.number).collect()
}

/// A life of a member.
pub struct Running {
    pub core: Core,
    pub shadow: Shadow,
    /// The last entry that was compared with the others'.
    pub compared: u64,
    /// It began with an image, or was given one, that was not compared yet.
    pub image_is_new: bool,
    /// It is going to look at its inputs.
    pub woken: bool,
    pub view: Arc<RwLock<AppliedState>>,
    wal: Wal<SimDisk>,
    inputs: Receiver<Input>,
    pub reports: Inputs,
    queue: VecDeque<Write>,
    writing: Option<(Duration, u64, Batch)>,
    snapshots: Vec<(Duration, SnapshotJob)>,
    hashes: Vec<(Duration, HashJob)>,
    pub permits: Arc<Semaphore>,
    /// Who it knows to have been removed for certain.
    pub gone: Vec<MemberId>,
}

/// When a member that receives a snapshot dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trap {
    /// While the image is being written.
    Receiving,
    /// When the image is there.
    Received,
    /// While the log is being reset.
    Resetting,
    /// When it is.
    Reset,
}

/// What happened to a machine, how often.
#[derive(Clone, Copy, Default)]
pub struct Counts {
    pub installed: u64,
    pub installed_in_a_row: u64,
    pub taken: u64,
    pub trapped: u64,
    pub disk_failed: u64,
}

/// Whether a member lives on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    Fine,
    /// Its disk failed: the member ends itself.
    Died,
    /// The power failed.
    Crashed,
    /// Its log failed, and no disk did.
    Wrong(String),
}

/// What a member wants done.
#[derive(Default)]
pub struct Doings {
    pub messages: Vec<Message>,
    /// When something of its own is done.
    pub due: Vec<Duration>,
    /// The first entry that was replaced by another.
    pub replaced: Option<u64>,
}

impl Machine {
    /// A machine whose disk is empty yet.
    pub fn new(number: usize, limits: HistoryLimits, random: &mut Random) -> Self {
        Self {
            number,
            name: format!("m{number}"),
            standing: RaftStatus::Member,
            disk: SimDisk::new(random.number()),
            paused: false,
            sync_max: SYNC_MAX,
            life: 0,
            running: None,
            dead_until: Duration::ZERO,
            trap: None,
            counts: Counts::default(),
            limits,
            offset: random.micros(0, 36_000_000_000),
            rate: 1_000_000 + random.below(2 * u64::from(DRIFT_MAX) + 1) - u64::from(DRIFT_MAX),
        }
    }

    /// The id of the member with this number.
    pub fn id(number: usize) -> MemberId {
        MemberId::new(number as u64 + 1).expect("not zero")
    }

    /// The cluster of all members.
    pub fn cluster() -> ClusterId {
        ClusterId::new(1).expect("not zero")
    }

    /// The reverse of [`Machine::id`].
    pub fn number_of(id: MemberId) -> usize {
        usize::try_from(id.get() - 1).expect("a small number")
    }

    /// It as a member.
    pub fn member(&self) -> Member {
        founding::member(self.number, &self.name)
    }

    /// Timings as usual, only faster; snapshots often, and little left of the log behind them.
    fn settings(&self, random: &mut Random) -> Settings {
        let boot = u32::try_from(self.life).expect("few lives");
        let mut settings =
            Settings::new(Self::cluster(), Self::id(self.number), boot).timing(TIMING.0, TIMING.1);
        settings.election_ticks_fixed =
            Some(settings.election_ticks + random.place(settings.election_ticks));
        settings.snapshot_every = Some(20);
        settings.trailing_entries = 4;
        settings.hash_every = 16;
        settings.clock_written_every = CLOCK_WRITTEN_EVERY;
        settings
    }

    /// How often it ticks.
    pub fn tick_length() -> Duration {
        TIMING.0 / 2
    }

    /// What its monotonic clock reads.
    fn clock(&self, now: Duration) -> Duration {
        let nanos = u64::try_from(now.as_nanos()).expect("a short run");
        self.offset + Duration::from_nanos(nanos / 1_000_000 * self.rate + nanos % 1_000_000)
    }

    /// Begin a new life from what the disk holds: what it found there.
    ///
    /// # Errors
    ///
    /// What it finds wrong with its disk.
    pub fn recover(&mut self) -> Result<(Wal<SimDisk>, Recovered), String> {
        self.life += 1;
        let opened = Wal::open(self.disk.clone(), log_options(self.life));
        let (wal, found) = opened.map_err(|error| error.to_string())?;
        // One that joins has none until the leader sends it one.
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

    /// Go on from there.
    ///
    /// # Errors
    ///
    /// What is wrong with that.
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
        let mark = &recovered.snapshot;
        let shadow = Shadow::new((mark.index, mark.term), recovered.entries.clone());
        let compared = mark.index;
        let view = AppliedState::new(store, mark, term, Instant::now(), here);
        let view = Arc::new(RwLock::new(view));
        let settings = self.settings(random);
        let mut core = Core::start(settings, recovered, view.clone(), reports.clone(), here)?;
        core.campaign_if_alone();
        self.running = Some(Running {
            core,
            shadow,
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
            gone: Vec::new(),
        });
        Ok(())
    }

    /// It dies: with `power`, what its disk was not made to keep may be gone. With `writing`, in the
    /// middle of the write under way, if there is one.
    pub fn die(&mut self, random: &mut Random, power: bool, writing: bool) {
        self.paused = false;
        self.life += 1;
        if let Some(mut running) = self.running.take()
            && writing
            && let Some((_, _, batch)) = running.writing.take()
        {
            self.disk
                .plan(Operation::Change, random.below(5), disk::Fault::Crash);
            // Fails, or not, wherever the disk gave up.
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

    /// Something for the member to look at; a dead one never does.
    pub fn tell(&mut self, input: Input) {
        if let Some(running) = &mut self.running {
            // The other end is in the same place.
            let _ = running.reports.send(input);
        }
    }

    /// A snapshot arrives whole: made durable, then told. Whether it was, and how the member fares.
    pub fn receive_snapshot(
        &mut self,
        message: Message,
        body: &Bytes,
        random: &mut Random,
    ) -> (bool, Progress) {
        let Body::Raft(raft) = &message.body else {
            return (false, Progress::Fine);
        };
        let Some(mark) = raft.snapshot.clone() else {
            return (false, Progress::Fine);
        };
        let Ok(store) = image::decode(body, self.limits) else {
            return (false, Progress::Fine);
        };
        if self.spring(Trap::Receiving) {
            self.disk
                .plan(Operation::Change, random.below(6), disk::Fault::Crash);
        }
        let saved = save(&self.disk, &mark, &mut std::iter::once(body.clone())).is_ok();
        if self.disk.is_down() {
            return (false, Progress::Crashed);
        }
        if saved {
            self.tell(Input::Snapshot(message, store));
        }
        let trapped = saved && self.spring(Trap::Received);
        (
            saved,
            if trapped {
                Progress::Crashed
            } else {
                Progress::Fine
            },
        )
    }

    /// Whether it dies here.
    fn spring(&mut self, point: Trap) -> bool {
        let sprung = self.trap == Some(point);
        if sprung {
            self.trap = None;
            self.counts.trapped += 1;
        }
        sprung
    }

    /// The bytes of the snapshot this message announces; none if they are gone.
    pub fn snapshot_body(&self, message: &Message) -> Option<Bytes> {
        let Body::Raft(raft) = &message.body else {
            return None;
        };
        read_snapshot(&self.disk, raft.snapshot.as_ref()?).ok()
    }

    /// Take in what has arrived, and do what there is to do.
    pub fn pump(&mut self, now: Duration, random: &mut Random) -> Doings {
        let mut doings = Doings::default();
        let here = self.clock(now);
        let sync_max = self.sync_max;
        let Some(running) = self.running.as_mut().filter(|_| !self.paused) else {
            return doings;
        };
        running.take_in(here);
        while let Some(work) = running.core.work(here) {
            let Work {
                messages,
                write,
                snapshot,
                hash,
                members: _,
                gone,
            } = work;
            if let Some(gone) = gone {
                running.gone = gone;
            }
            doings.messages.extend(messages);
            if let Some(write) = write {
                if write.batch.reset.is_some() {
                    self.counts.installed += 1;
                    let in_a_row = running.resets_wait() || running.shadow.is_bare();
                    self.counts.installed_in_a_row += u64::from(in_a_row);
                    running.image_is_new = true;
                }
                doings.replaced = running.shadow.take(&write.batch).or(doings.replaced);
                running.queue.push_back(write);
            }
            if let Some(job) = snapshot {
                let at = now + random.micros(100, 15_000);
                running.snapshots.push((at, job));
                doings.due.push(at);
            }
            if let Some(job) = hash {
                let at = now + random.micros(100, 5_000);
                running.hashes.push((at, job));
                doings.due.push(at);
            }
        }
        if running.writing.is_none()
            && let Some(first) = running.queue.pop_front()
        {
            let (number, batch) = gather(first, || running.queue.pop_front());
            let at = now + random.micros(80, sync_max);
            running.writing = Some((at, number, batch));
            doings.due.push(at);
        }
        doings
    }

    /// Whatever the disk and the side threads were to have done by now.
    pub fn work_done(&mut self, now: Duration, random: &mut Random) -> Progress {
        let Some(running) = self.running.as_mut().filter(|_| !self.paused) else {
            return Progress::Fine;
        };
        if let Some((_, number, batch)) = running.writing.take_if(|(at, ..)| *at <= now) {
            let resets = batch.reset.is_some();
            if resets && self.spring(Trap::Resetting) {
                self.disk
                    .plan(Operation::Change, random.below(5), disk::Fault::Crash);
            }
            let met = self.disk.met();
            if let Err(why) = self.put_down(number, &batch) {
                return self.fate(met, why);
            }
            if resets && self.spring(Trap::Reset) {
                return Progress::Crashed;
            }
        }
        let Some(running) = self.running.as_mut() else {
            return Progress::Fine;
        };
        for (_, job) in running.snapshots.extract_if(.., |(at, _)| *at <= now) {
            let bytes = save(&self.disk, &job.mark, &mut image::encode(&job.store)).ok();
            self.counts.taken += u64::from(bytes.is_some());
            let _ = running
                .reports
                .send(Input::SnapshotWritten(job.mark, bytes));
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

    fn put_down(&mut self, number: u64, batch: &Batch) -> Result<(), StorageError> {
        let Some(running) = &mut self.running else {
            return Ok(());
        };
        commit(&mut running.wal, batch)?;
        let _ = running.reports.send(Input::Persisted(number));
        running.wal.tend().map(|_| ())
    }

    /// Whether it runs, these are the voters as it knows them, and its disk knows as much.
    pub fn has_written(&self, voters: &BTreeSet<u64>) -> bool {
        self.running.as_ref().is_some_and(|running| {
            let known = &running.view().configuration.voters;
            running.writing.is_none()
                && running.queue.is_empty()
                && known.len() == voters.len()
                && known.iter().all(|id| voters.contains(id))
        })
    }

    /// What becomes of it when its log failed; the disk had met so many faults before.
    fn fate(&mut self, met: u64, why: StorageError) -> Progress {
        if self.disk.is_down() {
            return Progress::Crashed;
        }
        if self.disk.met() == met {
            return Progress::Wrong(why.to_string());
        }
        self.counts.disk_failed += 1;
        Progress::Died
    }
}

impl Running {
    fn take_in(&mut self, now: Duration) {
        self.woken = false;
        while let Ok(input) = self.inputs.try_recv() {
            let core = &mut self.core;
            match input {
                Input::Request(request) => core.request(request, now),
                Input::Message(message, _) => core.step(message, now),
                Input::Snapshot(message, store) => core.snapshot_received(message, store, now),
                Input::Persisted(number) => core.persisted(number),
                Input::SnapshotWritten(mark, bytes) => core.snapshot_written(mark, bytes),
                Input::Hashed(index, hash) => core.hashed(index, hash),
                Input::Unreachable(member) => core.unreachable(member),
                Input::SnapshotSent(member, ok) => core.snapshot_sent(member, ok),
                Input::TransferLeadership => core.transfer_leadership(),
                Input::Calls(from, at) => core.address_changed(from, at),
                Input::Removed(by) => core.removed(by),
                Input::Failed(_) | Input::Stop | Input::Pulse(_) => {}
            }
        }
    }

    /// Whether a snapshot is being installed.
    fn resets_wait(&self) -> bool {
        let writing = self.writing.iter().map(|(_, _, batch)| batch);
        let mut batches = writing.chain(self.queue.iter().map(|write| &write.batch));
        batches.any(|batch| batch.reset.is_some())
    }
}
