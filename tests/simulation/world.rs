//! The simulated world: members, network, clients and faults on one clock, in one thread, from one seed.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use bytes::Bytes;
use oxetcd::consensus::Input;
use oxetcd::consensus::message::{Body, Message, RaftKind};
use oxetcd::store::{ClusterTime, HistoryLimits};

use crate::client::{self, Client, Known, Operation};
use crate::faults::Fault;
use crate::founding::{FIRST, first_store, found};
use crate::lifetimes::Moment;
use crate::machine::{CLOCK_WRITTEN_EVERY, Machine, Progress};
use crate::network::Network;
use crate::promises::Promises;
use crate::random::{Random, Trace};
use crate::truth::Truth;
use crate::watcher::Watcher;

/// How many operations a run has at least.
pub const OPERATIONS: usize = 1_000;

/// How many faults a run has at least.
pub const FAULTS: usize = 24;

/// How many clients ask at once.
const CLIENTS: usize = 8;

/// How many watchers listen.
const WATCHERS: usize = 6;

/// How long after the last fault all must be well.
const RECOVERY_MAX: Duration = Duration::from_secs(20);

/// What lives longer than this is not waited for at the end.
const LIFETIME_MAX: Duration = Duration::from_secs(60);

/// What lasts longer keeps dead members dead: those who wait are refused.
const LONG: Duration = Duration::from_secs(1);

/// How many runs in a thousand end with a loss of power everywhere, after a silence.
const LOSSES: u64 = 100;

/// How long a key lives that lives through it.
const LAST_LIFETIME: Duration = Duration::from_millis(3_000);

/// How long the members take to have a leader again.
const RESTART_MAX: Duration = Duration::from_millis(600);

/// How many runs in a thousand look whether an idle cluster writes nothing.
const RESTS: u64 = 100;

/// After so long no member hands on a write any more that nobody waits for.
const CALM: Duration = Duration::from_millis(6_100);

/// How long nothing may be written when nothing is asked for and nothing expires.
const IDLE: Duration = Duration::from_millis(3_000);

/// What happens at some moment.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all that happens is a message"
)]
pub enum Happening {
    Tick {
        member: usize,
        life: u64,
    },
    Work {
        member: usize,
        life: u64,
    },
    Deliver {
        to: usize,
        message: Message,
        body: Option<Bytes>,
    },
    Ask {
        client: usize,
    },
    Fault,
    Mend(Fault),
    Start {
        member: usize,
    },
    Stop {
        member: usize,
        life: u64,
    },
}

struct Scheduled {
    at: Duration,
    number: u64,
    happening: Happening,
}

/// The world of one run.
pub struct World {
    pub now: Duration,
    pub random: Random,
    pub machines: Vec<Machine>,
    pub network: Network,
    pub clients: Vec<Client>,
    pub watchers: Vec<Watcher>,
    pub operations: Vec<Operation>,
    pub known: Known,
    pub truth: Truth,
    /// The highest entry an answer was about.
    pub answered_to: u64,
    /// The faults are over, and nobody asks for anything new.
    pub ends: bool,
    promises: Promises,
    queue: BinaryHeap<Scheduled>,
    scheduled: u64,
    /// What reached a paused member.
    postponed: Vec<(usize, Message, Option<Bytes>)>,
    faults: usize,
    /// Who led each term.
    leaders: BTreeMap<u64, usize>,
    counts: BTreeMap<&'static str, u64>,
    trace: Trace,
    wrong: Option<String>,
}

/// What became of a run.
pub struct Outcome {
    /// How often what happened.
    pub counts: BTreeMap<&'static str, u64>,
    /// All of it as one number.
    pub trace: u64,
}

impl World {
    /// The world of this seed, at rest.
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let members = *random.pick(&[3, 3, 3, 3, 3, 5, 5, 1]);
        let limits = HistoryLimits {
            events: *random.pick(&[40, 100, 1_000]),
            bytes: 64 << 20,
        };
        let store = first_store(members, limits);
        let mut machines = Vec::new();
        for number in 0..members {
            let machine = Machine::new(number, limits, &mut random);
            found(&machine.disk, members, &store);
            machines.push(machine);
        }
        Self {
            now: Duration::from_secs(1),
            machines,
            network: Network::default(),
            clients: (0..CLIENTS).map(|_| Client::default()).collect(),
            watchers: (0..WATCHERS)
                .map(|number| Watcher::new(number, &mut random))
                .collect(),
            operations: Vec::new(),
            known: Known::new(),
            truth: Truth::new(limits, FIRST, store),
            answered_to: 0,
            ends: false,
            random,
            promises: Promises::default(),
            queue: BinaryHeap::new(),
            scheduled: 0,
            postponed: Vec::new(),
            faults: 0,
            leaders: BTreeMap::new(),
            counts: BTreeMap::new(),
            trace: Trace::default(),
            wrong: None,
        }
    }

    /// Run it to its end and check what must hold.
    ///
    /// # Errors
    ///
    /// The first property that does not hold.
    pub fn run(mut self) -> Result<Outcome, String> {
        (0..self.machines.len()).for_each(|member| self.start(member));
        for client in 0..CLIENTS {
            let after = self.random.micros(1_000, 10_000);
            self.at(after, Happening::Ask { client });
        }
        self.at(Duration::from_millis(300), Happening::Fault);
        while self.operations.len() < OPERATIONS || self.faults < FAULTS {
            self.step()?;
        }
        self.recover()?;
        if self.random.permille(LOSSES) {
            self.lose_time()?;
            self.recover()?;
        }
        if self.random.permille(RESTS) {
            self.rest()?;
        }
        Ok(self.sum_up())
    }

    /// Mend everything and wait until the members agree.
    fn recover(&mut self) -> Result<(), String> {
        self.ends = true;
        self.mend_all();
        let deadline = self.now + RECOVERY_MAX;
        while !self.is_settled() {
            self.step()?;
            if self.now > deadline {
                let standing: Vec<String> = self.machines.iter().map(Machine::describe).collect();
                let mut store = (self.truth.last(), self.truth.store().next_deadline(), 0);
                store.2 = self
                    .watchers
                    .iter()
                    .filter(|watcher| watcher.is_settled(&self.truth))
                    .count();
                return Err(format!(
                    "not well {RECOVERY_MAX:?} after the last fault: {standing:?}, {store:?}"
                ));
            }
        }
        for machine in &self.machines {
            if let Some(running) = &machine.running {
                self.truth
                    .compare_all(running.core.applied(), &running.view().store)?;
            }
        }
        Ok(())
    }

    /// Nobody waits, all members are at the same place, nothing is to go soon, and the watchers have heard
    /// all of it.
    fn is_settled(&self) -> bool {
        let store = self.truth.store();
        let soon = |deadline: ClusterTime| deadline.since(store.clock()) < LIFETIME_MAX;
        self.machines
            .iter()
            .all(|machine| machine.applied() == Some(self.truth.last()))
            && !store.next_deadline().is_some_and(soon)
            && !self.clients_wait()
            && self
                .watchers
                .iter()
                .all(|watcher| watcher.is_settled(&self.truth))
    }

    /// A key with a time to live, a long silence, and the power of all fails: the life gets no shorter, and
    /// no longer than by the time they were down and since the clock was last written.
    fn lose_time(&mut self) -> Result<(), String> {
        let asked = self.now;
        let Some(leader) = self
            .machines
            .iter()
            .position(|m| m.running.as_ref().is_some_and(|r| r.core.leads()))
        else {
            return Ok(());
        };
        let ttl = self.ask_last(leader, LAST_LIFETIME);
        let silence = self.random.micros(1_900_000, 2_400_000);
        self.pass(silence)?;
        let down = self.random.micros(50_000, 500_000);
        (0..self.machines.len()).for_each(|member| self.die(member, true, false));
        self.pass(down)?;
        (0..self.machines.len()).for_each(|member| self.start(member));
        let latest = asked + ttl + down + CLOCK_WRITTEN_EVERY + RESTART_MAX;
        while self.truth.store().get(&client::last()).is_ok() {
            self.step()?;
            if self.now > latest {
                return Err(format!(
                    "a life of {ttl:?} that began at {asked:?} has not ended"
                ));
            }
        }
        Ok(())
    }

    /// Nothing is written when there is nothing to write.
    fn rest(&mut self) -> Result<(), String> {
        if self.truth.store().next_deadline().is_some() {
            return Ok(());
        }
        self.pass(CALM)?;
        let (last, changes) = (self.truth.last(), self.disk_changes());
        self.pass(IDLE)?;
        if self.truth.last() != last || self.disk_changes() != changes {
            return Err("something was written, and nobody asked".to_owned());
        }
        Ok(())
    }

    /// Let so much time pass.
    fn pass(&mut self, time: Duration) -> Result<(), String> {
        let until = self.now + time;
        while self.now < until {
            self.step()?;
        }
        Ok(())
    }

    /// How often anything was done to the members' disks.
    fn disk_changes(&self) -> u64 {
        self.machines
            .iter()
            .map(|machine| machine.disk.changes())
            .sum()
    }

    fn sum_up(mut self) -> Outcome {
        for machine in &self.machines {
            let counts = machine.counts;
            for (name, count) in [
                ("(snapshots taken)", counts.taken),
                ("(snapshots received)", counts.installed),
                ("(snapshots received in a row)", counts.installed_in_a_row),
                ("(crashes at a snapshot)", counts.trapped),
                ("(ends by the disk)", counts.disk_failed),
                ("(lives)", machine.life.div_ceil(2)),
            ] {
                *self.counts.entry(name).or_default() += count;
            }
        }
        let seconds = self.now.as_secs();
        for (name, count) in [
            ("(operations)", self.operations.len() as u64),
            ("(entries)", self.truth.last()),
            ("(events)", self.truth.events() as u64),
            (
                "(events heard)",
                self.watchers.iter().map(Watcher::heard).sum(),
            ),
            (
                "(history cleared)",
                self.watchers.iter().map(Watcher::cleared).sum(),
            ),
            ("(terms)", self.leaders.len() as u64),
            ("(seconds)", seconds),
        ] {
            *self.counts.entry(name).or_default() += count;
        }
        Outcome {
            counts: self.counts,
            trace: self.trace.sum(),
        }
    }

    /// The next thing happens.
    fn step(&mut self) -> Result<(), String> {
        let Some(Scheduled { at, happening, .. }) = self.queue.pop() else {
            return Err("nothing happens any more".to_owned());
        };
        self.now = at;
        self.trace
            .add(u64::try_from(at.as_nanos()).expect("a short run"));
        self.happen(happening);
        match self.wrong.take() {
            Some(why) => Err(format!("at {:?}: {why}", self.now)),
            None => Ok(()),
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Tick { member, life } => {
                if self.machines[member].life == life {
                    self.at(Machine::tick_length(), Happening::Tick { member, life });
                    self.machines[member].tick(self.now);
                    self.pump(member);
                }
            }
            Happening::Work { member, life } => {
                if self.machines[member].life == life {
                    let progress = self.machines[member].work_done(self.now, &mut self.random);
                    self.fare(member, progress);
                    self.pump(member);
                }
            }
            Happening::Deliver { to, message, body } => self.deliver(to, message, body),
            Happening::Ask { client } => self.ask(client),
            Happening::Fault => self.fault(),
            Happening::Mend(fault) => self.mend(fault),
            Happening::Start { member } => self.start(member),
            Happening::Stop { member, life } => {
                if self.machines[member].life == life {
                    self.die(member, false, false);
                }
            }
        }
    }

    /// The next fault, if there is to be one; often two at once.
    fn fault(&mut self) {
        if self.ends {
            return;
        }
        let mut after = self.random.micros(20_000, 260_000);
        for _ in 0..1 + usize::from(self.random.permille(300)) {
            let fault = Fault::draw(self.machines.len(), &mut self.random);
            self.faults += 1;
            self.inflict(fault);
            let lasts = fault.duration(&mut self.random);
            if lasts > LONG {
                // Nothing else that is mended brings them back before, and whoever waits may wait.
                after = lasts;
                let dead = self
                    .machines
                    .iter_mut()
                    .filter(|machine| machine.running.is_none());
                dead.for_each(|machine| machine.dead_until = self.now + lasts);
            }
            self.at(lasts, Happening::Mend(fault));
        }
        self.at(after, Happening::Fault);
    }

    /// A member starts, if it isn't running.
    pub fn start(&mut self, member: usize) {
        if self.machines[member].running.is_some() || self.now < self.machines[member].dead_until {
            return;
        }
        let machine = &mut self.machines[member];
        let met = machine.disk.met();
        let recovered = machine.recover();
        if let Ok((_, recovered)) = &recovered
            && let Err(why) = self.promises.check(member, recovered)
        {
            self.note(Err(why));
            return;
        }
        let machine = &mut self.machines[member];
        let started = recovered
            .and_then(|(wal, recovered)| machine.start(wal, recovered, self.now, &mut self.random));
        if let Err(why) = started {
            if machine.disk.met() == met {
                self.note(Err(format!("member {member} does not start: {why}")));
                return;
            }
            // It was the disk's fault: the next life may have more luck.
            let power = machine.disk.is_down();
            self.die(member, power, false);
            self.start_later(member);
            return;
        }
        let life = self.machines[member].life;
        let after = self.random.micros(0, 10_000);
        self.at(after, Happening::Tick { member, life });
        self.truth.note_start(self.now);
        self.pump(member);
    }

    fn start_later(&mut self, member: usize) {
        let after = self.random.micros(1_000, 200_000);
        self.at(after, Happening::Start { member });
    }

    /// A member dies, perhaps in the middle of a write.
    pub fn die(&mut self, member: usize, power: bool, writing: bool) {
        self.machines[member].die(&mut self.random, power, writing);
        self.postponed.retain(|(to, ..)| *to != member);
        self.poll(member);
    }

    /// A paused member goes on; what reached it meanwhile is read in any order with what else it does.
    pub fn resume(&mut self, member: usize) {
        if !std::mem::take(&mut self.machines[member].paused) {
            return;
        }
        let (arrived, others) = std::mem::take(&mut self.postponed)
            .into_iter()
            .partition(|(to, ..)| *to == member);
        self.postponed = others;
        for (to, message, body) in arrived {
            let after = self.random.micros(0, 2_000);
            self.at(after, Happening::Deliver { to, message, body });
        }
        let life = self.machines[member].life;
        self.at(Duration::ZERO, Happening::Work { member, life });
    }

    /// A member has something new to look at, and will: with whatever else comes until then.
    pub fn wake(&mut self, member: usize) {
        let life = self.machines[member].life;
        if let Some(running) = &mut self.machines[member].running
            && !std::mem::replace(&mut running.woken, true)
        {
            let after = self.random.micros(1, 60);
            self.at(after, Happening::Work { member, life });
        }
    }

    /// Let a member do what there is to do, then look at what came of it.
    fn pump(&mut self, member: usize) {
        let doings = self.machines[member].pump(self.now, &mut self.random);
        let life = self.machines[member].life;
        for at in doings.due {
            self.at(
                at.saturating_sub(self.now),
                Happening::Work { member, life },
            );
        }
        if let Some(first) = doings.replaced {
            self.promises.replaced(member, first);
        }
        for message in doings.messages {
            self.send(member, message);
        }
        let observed = self.observe(member);
        self.note(observed);
        self.poll(member);
    }

    /// Its disk failed, or did not.
    fn fare(&mut self, member: usize, progress: Progress) {
        match progress {
            Progress::Fine => {}
            Progress::Wrong(why) => self.note(Err(format!("member {member} fails: {why}"))),
            Progress::Died | Progress::Crashed => {
                self.die(member, progress == Progress::Crashed, false);
                self.start_later(member);
            }
        }
    }

    fn send(&mut self, from: usize, message: Message) {
        self.trace_message(&message);
        if let Some(running) = &self.machines[from].running {
            let said = self.promises.said(from, &message, &running.shadow);
            self.note(said);
        }
        let to = Machine::number_of(message.to);
        let is_snapshot =
            matches!(&message.body, Body::Raft(raft) if raft.kind == RaftKind::Snapshot);
        let body = if is_snapshot {
            self.machines[from].snapshot_body(&message)
        } else {
            None
        };
        let mut deliveries = self.network.deliveries(from, to, &mut self.random);
        if is_snapshot && body.is_none() {
            deliveries = [None, None];
        }
        if deliveries[0].is_none() {
            self.undelivered(from, &message, is_snapshot);
        }
        for delay in deliveries.into_iter().flatten() {
            let happening = Happening::Deliver {
                to,
                message: message.clone(),
                body: body.clone(),
            };
            self.at(delay, happening);
        }
    }

    /// A message is lost; its sender may learn of it.
    fn undelivered(&mut self, from: usize, message: &Message, is_snapshot: bool) {
        if is_snapshot {
            self.machines[from].tell(Input::SnapshotSent(message.to, false));
        } else if self.random.permille(100) {
            self.machines[from].tell(Input::Unreachable(message.to));
        }
    }

    fn deliver(&mut self, to: usize, message: Message, body: Option<Bytes>) {
        let from = Machine::number_of(message.from);
        if self.machines[to].paused {
            self.postponed.push((to, message, body));
            return;
        }
        if self.machines[to].running.is_none() {
            self.undelivered(from, &message, body.is_some());
            return;
        }
        let Some(body) = body else {
            self.machines[to].tell(Input::Message(message, None));
            self.wake(to);
            return;
        };
        let (ok, progress) = self.machines[to].receive_snapshot(message, &body, &mut self.random);
        self.fare(to, progress);
        self.wake(to);
        self.machines[from].tell(Input::SnapshotSent(Machine::id(to), ok));
        self.wake(from);
    }

    /// Hold what a member shows now against what the others showed.
    fn observe(&mut self, member: usize) -> Result<(), String> {
        let Some(running) = &mut self.machines[member].running else {
            return Ok(());
        };
        let (applied, term) = (running.core.applied(), running.core.term());
        if running.core.leads() {
            let leader = *self.leaders.entry(term).or_insert(member);
            if leader != member {
                return Err(format!("{leader} and {member} both lead in term {term}"));
            }
        }
        if running.view().standing.diverged {
            return Err(format!(
                "member {member} says that its store differs from another's"
            ));
        }
        if running.compared == applied && !running.image_is_new {
            return Ok(());
        }
        let moment = Moment {
            now: self.now,
            term,
            operations: &self.operations,
        };
        for index in running.compared + 1..=applied {
            if let Some(entry) = running.shadow.entry(index) {
                self.truth
                    .learn(entry, &moment)
                    .map_err(|why| format!("member {member}: {why}"))?;
            }
        }
        running.compared = applied;
        let store = &running.view().store;
        self.truth
            .compare(applied, store)
            .map_err(|why| format!("member {member}: {why}"))?;
        if running.image_is_new {
            self.truth
                .compare_all(applied, store)
                .map_err(|why| format!("member {member}: {why}"))?;
        }
        Ok(())
    }

    /// See whether anyone got an answer from `member`.
    fn poll(&mut self, member: usize) {
        if let Some(running) = &mut self.machines[member].running {
            running.image_is_new = false;
        }
        self.poll_clients(member);
        self.poll_watchers(member);
    }

    /// What does not hold ends the run.
    pub fn note(&mut self, checked: Result<(), String>) {
        if let Err(why) = checked {
            self.wrong.get_or_insert(why);
        }
    }

    pub fn count(&mut self, name: &'static str) {
        *self.counts.entry(name).or_default() += 1;
    }

    pub fn at(&mut self, after: Duration, happening: Happening) {
        self.scheduled += 1;
        self.queue.push(Scheduled {
            at: self.now + after,
            number: self.scheduled,
            happening,
        });
    }

    fn trace_message(&mut self, message: &Message) {
        self.trace.add(message.from.get() << 32 | message.to.get());
        match &message.body {
            Body::Raft(raft) => {
                let kind = raft.kind as u64;
                let clock = raft.clock.map_or(0, |clock| clock.as_nanos());
                for word in [
                    kind,
                    raft.term,
                    raft.index,
                    raft.commit,
                    raft.entries.len() as u64,
                    clock,
                ] {
                    self.trace.add(word);
                }
            }
            Body::Forward(forwarded) => {
                forwarded
                    .iter()
                    .for_each(|forwarded| self.trace.add(forwarded.id.sequence));
            }
            Body::StoreHash { index, hash } => self.trace.add(index ^ hash),
        }
    }
}

impl Ord for Scheduled {
    /// The earliest is the greatest, as the heap wants it.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Scheduled {}
