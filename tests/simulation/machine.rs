//! One machine: a member's real consensus and storage code on a simulated disk and clock.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use oxetcd::cluster::{Member, MemberId};
use oxetcd::consensus::clock::Clock;
use oxetcd::consensus::core::{Core, Recovered, Work, Write};
use oxetcd::consensus::message::{Body, Message};
use oxetcd::consensus::snapshots::{HashJob, SnapshotJob};
use oxetcd::consensus::{Handle, Input, Inputs, Role, Settings, Standing, View, gather};
use oxetcd::store::{HistoryLimits, Stamped, Store, image};
use oxetcd::store::{ClusterTime, Command};
use oxetcd::wal::{Batch, Configuration, SnapshotMark, Wal, snapshot};

use crate::disk::SimDisk;
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
    pub running: Option<Running>,
    members: usize,
    /// What its monotonic clock reads more than the world's.
    offset: Duration,
}

/// A life of a member.
pub struct Running {
    pub core: Core,
    pub handle: Handle,
    wal: Wal<SimDisk>,
    inputs: Receiver<Input>,
    reports: Inputs,
    queue: VecDeque<Write>,
    writing: Option<(Duration, u64, Batch)>,
    snapshots: Vec<(Duration, SnapshotJob)>,
    hashes: Vec<(Duration, HashJob)>,
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
            running: None,
            members,
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
        let (wal, recovered) = Wal::open(self.disk.clone()).map_err(|error| error.to_string())?;
        let mark = recovered.snapshot.ok_or("no snapshot")?;
        let store = load(&self.disk, &mark)?;
        let recovered =
            Recovered { hard_state: recovered.hard_state, snapshot: mark, entries: recovered.entries };
        let (reports, inputs) = channel();
        let view = Arc::new(RwLock::new(View {
            raft_index: recovered.snapshot.index,
            configuration: recovered.snapshot.configuration.clone(),
            standing: Standing {
                term: 0,
                role: Role::Follower,
                leader: None,
                led_since: Duration::ZERO,
                clock: Clock::new(store.clock(), now),
                diverged: false,
            },
            origin: Instant::now(),
            store,
        }));
        let handle = Handle::new(reports.clone(), view.clone());
        let now = now + self.offset;
        let mut core = Core::start(self.settings(), recovered, view, reports.clone(), now)?;
        core.campaign_if_alone();
        self.running = Some(Running {
            core,
            handle,
            wal,
            inputs,
            reports,
            queue: VecDeque::new(),
            writing: None,
            snapshots: Vec::new(),
            hashes: Vec::new(),
        });
        Ok(())
    }

    /// It dies: what its disk was not made to keep may be gone. With `writing`, in the middle of the
    /// write under way, if there is one.
    pub fn die(&mut self, random: &mut Random, writing: bool) {
        self.paused = false;
        self.life += 1;
        let Some(mut running) = self.running.take() else { return };
        if writing && let Some((_, _, batch)) = running.writing.take() {
            self.disk.fail_after(random.below(6));
            // Fails, or not, wherever the disk gave up.
            let _ = running.wal.write(&batch);
        }
        drop(running);
        self.disk.crash();
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
        let Body::Raft(raft) = &message.body else { return false };
        let Some(mark) = raft.snapshot.clone() else { return false };
        let Ok(store) = image::decode(body, HistoryLimits::default()) else { return false };
        if save(&self.disk, &mark, &mut std::iter::once(body.clone())).is_err() {
            return false;
        }
        if let Some(running) = &mut self.running {
            let _ = running.reports.send(Input::Snapshot(message, store));
        }
        self.catch_up_unless_paused(now);
        true
    }

    /// The bytes of the snapshot this message announces; none if they are gone.
    pub fn snapshot_body(&self, message: &Message) -> Option<Bytes> {
        let Body::Raft(raft) = &message.body else { return None };
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
        let Some(running) = &mut self.running else { return };
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
        let Some(running) = &mut self.running else { return (messages, due) };
        while let Some(work) = running.core.work(here) {
            let Work { messages: more, write, snapshot, hash, members: _ } = work;
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
            self.disk.fail_after(0);
        }
        let Some(running) = &mut self.running else { return Progress::Fine };
        if let Some((_, number, batch)) = running.writing.take_if(|(at, ..)| *at <= now) {
            if running.wal.write(&batch).is_err() {
                return Progress::Died;
            }
            let _ = running.reports.send(Input::Persisted(number));
        }
        for (_, job) in running.snapshots.extract_if(.., |(at, _)| *at <= now) {
            let bytes = save(&self.disk, &job.mark, &mut image::encode(&job.store)).ok();
            let _ = running.reports.send(Input::SnapshotWritten(job.mark, bytes));
        }
        for (_, job) in running.hashes.extract_if(.., |(at, _)| *at <= now) {
            let _ = running.reports.send(Input::Hashed(job.index, image::hash(&job.store)));
        }
        Progress::Fine
    }
}
