//! One machine: a member's real consensus and storage code on a simulated disk and clock.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use oxetcd::cluster::{Member, MemberId};
use oxetcd::consensus::core::{Core, Recovered, Work, Write};
use oxetcd::consensus::handle::Request;
use oxetcd::consensus::message::{Body, Message};
use oxetcd::consensus::snapshots::{HashJob, SnapshotJob};
use oxetcd::consensus::{
    Input, Inputs, Refused, Settings, View, Watching, Written, commit, gather,
};
use oxetcd::store::{
    ClusterTime, Command, Event, HistoryLimits, Interest, Path, Stamped, Store, image,
};
use oxetcd::wal::{
    Batch, Configuration, HardState, LogOptions, Snapshot, SnapshotMark, Wal, write_snapshot,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::disk::{self, Operation, SimDisk};
use crate::random::Random;

/// The longest a healthy disk takes to sync, in microseconds.
pub const SYNC_MAX: u64 = 400;

/// A machine: its disk outlives its lives.
pub struct Machine {
    pub number: usize,
    pub disk: SimDisk,
    pub paused: bool,
    pub sync_max: u64,
    pub fail_next_write: bool,
    /// Grows with each start, so that what was meant for an earlier life is told apart.
    pub life: u64,
    /// How many snapshots it received.
    pub installed: u64,
    pub running: Option<Running>,
    /// What its monotonic clock reads more than the world's.
    offset: Duration,
}

/// A life of a member.
pub struct Running {
    core: Core,
    view: Arc<RwLock<View>>,
    wal: Wal<SimDisk>,
    inputs: Receiver<Input>,
    reports: Inputs,
    queue: VecDeque<Write>,
    writing: Option<(Duration, u64, Batch)>,
    snapshots: Vec<(Duration, SnapshotJob)>,
    hashes: Vec<(Duration, HashJob)>,
    permits: Arc<Semaphore>,
    /// What was last observed: applied index, term, whether it leads.
    shown: (u64, u64, bool),
}

/// Whether a step of the disk went well.
#[derive(PartialEq, Eq)]
pub enum Progress {
    Fine,
    /// The disk failed: the member ends itself.
    Died,
}

/// What a running member shows.
pub struct Seen {
    pub leads: bool,
    pub term: u64,
    pub applied: u64,
    pub index: u64,
    pub hash: u64,
}

impl Machine {
    /// A machine whose disk holds what all members begin with.
    pub fn new(number: usize, members: usize, random: &mut Random) -> Self {
        let disk = SimDisk::new(random.next());
        found(&disk, members);
        Self {
            number,
            disk,
            paused: false,
            sync_max: SYNC_MAX,
            fail_next_write: false,
            life: 0,
            installed: 0,
            running: None,
            offset: random.micros(0, 1_000_000_000),
        }
    }

    /// The id of the member with this number.
    pub fn id(number: usize) -> MemberId {
        MemberId::new(number as u64 + 1).expect("not zero")
    }

    /// The reverse of [`Machine::id`].
    pub fn number_of(id: MemberId) -> usize {
        id.get() as usize - 1
    }

    /// Its own timing: elections at different times, the same in every run.
    fn settings(&self) -> Settings {
        let boot = u32::try_from(self.life).expect("few lives");
        let mut settings = Settings::new(Self::id(self.number), boot);
        settings.election_ticks_fixed = Some(settings.election_ticks + 3 * self.number);
        settings.snapshot_every = Some(40);
        settings.hash_every = 16;
        settings
    }

    /// How often it ticks.
    pub fn tick_length(&self) -> Duration {
        self.settings().tick
    }

    /// Begin a new life from what the disk holds.
    ///
    /// # Errors
    ///
    /// What it finds wrong with its disk: it never should.
    pub fn start(&mut self, now: Duration) -> Result<(), String> {
        self.life += 1;
        self.paused = false;
        let (wal, recovered) = Wal::open(self.disk.clone(), log_options(self.life))
            .map_err(|error| error.to_string())?;
        let mark = recovered.snapshot.ok_or("no snapshot")?;
        let store = image::decode(&read_snapshot(&self.disk, &mark)?, HistoryLimits::default())
            .map_err(|error| error.to_string())?;
        let recovered = Recovered {
            hard_state: recovered.hard_state,
            snapshot: mark,
            entries: recovered.entries,
        };
        let (reports, inputs) = channel();
        let here = now + self.offset;
        let term = recovered.hard_state.term;
        let view = View::new(store, &recovered.snapshot, term, Instant::now(), here);
        let view = Arc::new(RwLock::new(view));
        let mut core = Core::start(
            self.settings(),
            recovered,
            view.clone(),
            reports.clone(),
            here,
        )?;
        core.campaign_if_alone();
        self.running = Some(Running {
            core,
            view,
            wal,
            inputs,
            reports,
            queue: VecDeque::new(),
            writing: None,
            snapshots: Vec::new(),
            hashes: Vec::new(),
            permits: Arc::new(Semaphore::new(64)),
            shown: (0, 0, false),
        });
        Ok(())
    }

    /// It dies: what its disk was not made to keep may be gone. With `writing`, in the middle of the
    /// write under way, if there is one.
    pub fn die(&mut self, random: &mut Random, writing: bool) {
        self.paused = false;
        self.life += 1;
        let Some(mut running) = self.running.take() else {
            return;
        };
        if writing && let Some((_, _, batch)) = running.writing.take() {
            self.disk
                .plan(Operation::Change, random.below(4), disk::Fault::Crash);
            // Fails, or not, wherever the disk gave up.
            let _ = commit(&mut running.wal, &batch);
        }
        drop(running);
        // The power failed, or the process alone ended.
        self.disk = if random.permille(700) {
            self.disk.crash()
        } else {
            self.disk.kill()
        };
    }

    pub fn tick(&mut self, now: Duration) {
        if self.paused {
            return;
        }
        let now = now + self.offset;
        if let Some(running) = &mut self.running {
            running.core.tick(now);
        }
    }

    /// A message arrives; a paused member reads it later, a dead one never.
    pub fn receive(&mut self, message: Message, now: Duration) {
        if let Some(running) = &mut self.running {
            let _ = running.reports.send(Input::Message(message, None));
        }
        self.catch_up_unless_paused(now);
    }

    /// A snapshot arrives whole: made durable, then installed. False if it could not be.
    pub fn receive_snapshot(&mut self, message: Message, body: &Bytes, now: Duration) -> bool {
        if self.paused || self.running.is_none() {
            return false;
        }
        let Body::Raft(raft) = &message.body else {
            return false;
        };
        let Some(mark) = raft.snapshot.clone() else {
            return false;
        };
        let Ok(store) = image::decode(body, HistoryLimits::default()) else {
            return false;
        };
        if write_snapshot(&self.disk, &mark, std::iter::once(body.clone())).is_err() {
            return false;
        }
        if let Some(running) = &mut self.running {
            self.installed += 1;
            let _ = running.reports.send(Input::Snapshot(message, store));
        }
        self.catch_up_unless_paused(now);
        true
    }

    /// The bytes of the snapshot this message announces; none if they are gone.
    pub fn snapshot_body(&self, message: &Message) -> Option<Bytes> {
        let Body::Raft(raft) = &message.body else {
            return None;
        };
        read_snapshot(&self.disk, raft.snapshot.as_ref()?).ok()
    }

    pub fn snapshot_sent(&mut self, to: MemberId, ok: bool) {
        if let Some(running) = &mut self.running {
            let _ = running.reports.send(Input::SnapshotSent(to, ok));
        }
    }

    pub fn catch_up_unless_paused(&mut self, now: Duration) {
        if !self.paused {
            self.catch_up(now);
        }
    }

    /// Take in what has arrived.
    pub fn catch_up(&mut self, now: Duration) {
        let now = now + self.offset;
        let Some(running) = &mut self.running else {
            return;
        };
        while let Ok(input) = running.inputs.try_recv() {
            let core = &mut running.core;
            match input {
                Input::Request(request) => core.request(request, now),
                Input::Message(message, _) => core.step(message, now),
                Input::Snapshot(message, store) => core.snapshot_received(message, store, now),
                Input::Persisted(number) => core.persisted(number),
                Input::SnapshotWritten(mark, bytes) => core.snapshot_written(mark, bytes),
                Input::Hashed(index, hash) => core.hashed(index, hash),
                Input::Unreachable(member) => core.unreachable(member),
                Input::SnapshotSent(member, ok) => core.snapshot_sent(member, ok),
                Input::HandOver => core.hand_over(),
                Input::Failed(_) | Input::Stop => {}
            }
        }
    }

    /// Do what there is to do: the messages to send, and when something else will be done.
    pub fn pump(&mut self, now: Duration, random: &mut Random) -> (Vec<Message>, Vec<Duration>) {
        let (mut messages, mut due) = (Vec::new(), Vec::new());
        if self.paused {
            return (messages, due);
        }
        self.catch_up(now);
        let here = now + self.offset;
        let sync_max = self.sync_max;
        let Some(running) = &mut self.running else {
            return (messages, due);
        };
        while let Some(work) = running.core.work(here) {
            let Work {
                messages: more,
                write,
                snapshot,
                hash,
                members: _,
            } = work;
            messages.extend(more);
            running.queue.extend(write);
            if let Some(job) = snapshot {
                let at = now + random.micros(100, 30_000);
                running.snapshots.push((at, job));
                due.push(at);
            }
            if let Some(job) = hash {
                let at = now + random.micros(100, 5_000);
                running.hashes.push((at, job));
                due.push(at);
            }
        }
        if running.writing.is_none()
            && let Some(first) = running.queue.pop_front()
        {
            let (number, batch) = gather(first, || running.queue.pop_front());
            let at = now + random.micros(80, sync_max);
            running.writing = Some((at, number, batch));
            due.push(at);
        }
        (messages, due)
    }

    /// Whatever the disk and the side threads were to have done by now.
    pub fn work_done(&mut self, now: Duration) -> Progress {
        if std::mem::take(&mut self.fail_next_write) {
            self.disk.plan(Operation::Change, 0, disk::Fault::Io);
        }
        let Some(running) = &mut self.running else {
            return Progress::Fine;
        };
        if let Some((_, number, batch)) = running.writing.take_if(|(at, ..)| *at <= now) {
            if commit(&mut running.wal, &batch).is_err() {
                return Progress::Died;
            }
            let _ = running.reports.send(Input::Persisted(number));
            if running.wal.tend().is_err() {
                return Progress::Died;
            }
        }
        for (_, job) in running.snapshots.extract_if(.., |(at, _)| *at <= now) {
            let bytes = write_snapshot(&self.disk, &job.mark, image::encode(&job.store)).ok();
            let _ = running
                .reports
                .send(Input::SnapshotWritten(job.mark, bytes));
        }
        for (_, job) in running.hashes.extract_if(.., |(at, _)| *at <= now) {
            let _ = running
                .reports
                .send(Input::Hashed(job.index, image::hash(&job.store)));
        }
        Progress::Fine
    }
}

impl Machine {
    /// Ask for a write; the answer comes later. None at a dead member.
    pub fn write(
        &mut self,
        command: Command,
    ) -> Option<oneshot::Receiver<Result<Written, Refused>>> {
        self.ask(|answer, permit| Request::Write {
            command,
            answer,
            permit,
        })
    }

    /// Ask for a linearizable look.
    pub fn barrier(&mut self) -> Option<oneshot::Receiver<Result<(), Refused>>> {
        self.ask(|answer, _| Request::Barrier(answer))
    }

    /// Watch the whole tree.
    pub fn watch(&mut self, since: Option<u64>) -> Option<oneshot::Receiver<Watching>> {
        let interest = Interest {
            path: Path::root(),
            recursive: true,
        };
        self.ask(|answer, _| Request::Watch {
            interest,
            stream: true,
            since,
            answer,
        })
    }

    fn ask<T>(
        &mut self,
        request: impl FnOnce(oneshot::Sender<T>, OwnedSemaphorePermit) -> Request,
    ) -> Option<oneshot::Receiver<T>> {
        let running = self.running.as_mut()?;
        let permit = running.permits.clone().try_acquire_owned().ok()?;
        let (answer, answered) = oneshot::channel();
        running
            .reports
            .send(Input::Request(request(answer, permit)))
            .ok()?;
        Some(answered)
    }

    /// What a key holds here and now, and the store's index. None at a dead or paused member.
    pub fn read(&self, path: &Path) -> Option<(u64, Option<Bytes>)> {
        let running = self.running.as_ref().filter(|_| !self.paused)?;
        let view = running.view();
        let found = view.store.get(path).ok();
        let value = found.and_then(|found| found.listing(false, view.store.clock()).node.value);
        Some((view.store.index(), value))
    }

    /// The index of the last applied entry, and whether nothing is under way.
    pub fn applied(&self) -> Option<u64> {
        self.running.as_ref().map(|running| running.core.applied())
    }

    /// The store's index.
    pub fn index(&self) -> u64 {
        self.running
            .as_ref()
            .map_or(0, |running| running.view().store.index())
    }

    /// All that ever happened, as this member tells it.
    pub fn history(&self) -> Vec<Arc<Event>> {
        let Some(running) = &self.running else {
            return Vec::new();
        };
        let interest = Interest {
            path: Path::root(),
            recursive: true,
        };
        let (mut events, mut since) = (Vec::new(), 1);
        while let Ok(past) = running
            .view()
            .store
            .history_since(&interest, since, usize::MAX)
        {
            events.extend(past.events);
            match past.again {
                Some(again) => since = again,
                None => break,
            }
        }
        events
    }

    /// What it shows; none when it is dead or shows nothing new.
    pub fn observe(&mut self) -> Option<Seen> {
        let running = self.running.as_mut()?;
        let (applied, term, leads) = (
            running.core.applied(),
            running.core.term(),
            running.core.leads(),
        );
        if running.shown == (applied, term, leads) {
            return None;
        }
        running.shown = (applied, term, leads);
        let (index, hash) = {
            let view = running.view();
            (view.store.index(), image::hash(&view.store))
        };
        Some(Seen {
            leads,
            term,
            applied,
            index,
            hash,
        })
    }

    /// Where it stands, for a person.
    pub fn describe(&self) -> String {
        let Some(running) = &self.running else {
            return format!("{} is dead", self.number);
        };
        let core = &running.core;
        let paused = if self.paused { ", paused" } else { "" };
        let role = if core.leads() { "leads" } else { "follows" };
        format!(
            "{} {role} in term {}, applied {}{paused}",
            self.number,
            core.term(),
            core.applied()
        )
    }
}

impl Running {
    fn view(&self) -> RwLockReadGuard<'_, View> {
        self.view.read().expect("one thread")
    }
}

fn log_options(life: u64) -> LogOptions {
    LogOptions {
        segment_bytes: 4 << 10,
        seed: life,
    }
}

/// What all members begin with: the same snapshot of an empty tree, and all of them in it.
fn found(disk: &SimDisk, members: usize) {
    let mut store = Store::new(HistoryLimits::default());
    let mut events = Vec::new();
    for number in 0..members {
        let member = Member {
            id: Machine::id(number),
            name: format!("m{number}"),
            client_url: format!("http://m{number}:4001"),
            peer_url: format!("http://m{number}:7001"),
        };
        let command = Command::PutMember(member);
        let stamped = Stamped {
            stamp: ClusterTime::ZERO,
            id: None,
            command,
        };
        store.apply(&stamped, &mut events).expect("a member");
    }
    let voters = (0..members)
        .map(|number| Machine::id(number).get())
        .collect();
    let configuration = Configuration {
        voters,
        ..Configuration::default()
    };
    let mark = SnapshotMark {
        index: 1,
        term: 1,
        configuration,
    };
    Wal::create(disk, log_options(0)).expect("a new log");
    let (mut wal, _) = Wal::open(disk.clone(), log_options(0)).expect("a new log");
    write_snapshot(disk, &mark, image::encode(&store)).expect("a snapshot");
    let hard_state = Some(HardState {
        term: 1,
        vote: 0,
        commit: 1,
    });
    let batch = Batch {
        hard_state,
        reset: Some(mark),
        ..Batch::default()
    };
    commit(&mut wal, &batch).expect("a healthy disk");
}

fn read_snapshot(disk: &SimDisk, mark: &SnapshotMark) -> Result<Bytes, String> {
    let snapshot = Snapshot::open(disk, mark).map_err(|error| error.to_string())?;
    snapshot
        .image()
        .map(Bytes::from)
        .map_err(|error| error.to_string())
}
