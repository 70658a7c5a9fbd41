//! The simulated world: members, network, clients and faults on one clock, in one thread, from one seed.

mod ending;
mod mail;

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
use crate::machine::{CLOCK_WRITTEN_EVERY, Machine, Progress, RaftStatus, members};
use crate::network::Network;
use crate::promises::Promises;
use crate::random::{Random, Trace};
use crate::reshape::{Project, Shaping};
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
    Reshape,
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
    pub shaping: Shaping,
    /// The change of the membership that is under way.
    pub project: Option<Project>,
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
            truth: Truth::new(limits, FIRST, store, members),
            answered_to: 0,
            ends: false,
            shaping: Shaping::draw(&mut random),
            project: None,
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
        self.at(Duration::from_millis(350), Happening::Reshape);
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
                    self.call_all(member);
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
            Happening::Reshape => self.reshape(),
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
            let members = members(&self.machines);
            let fault = Fault::draw(&members, &mut self.random);
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
        let machine = &self.machines[member];
        let may = machine.standing == RaftStatus::Member && self.now >= machine.dead_until;
        if machine.running.is_some() || !may {
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
        let (lost, others) = std::mem::take(&mut self.postponed)
            .into_iter()
            .partition(|(to, ..)| *to == member);
        self.postponed = others;
        for (_, message, body) in lost {
            let from = Machine::number_of(message.from);
            self.undelivered(from, &message, body.is_some());
        }
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
        let running = self.machines[member].running.as_ref();
        if running.is_some_and(|running| running.core.is_removed()) {
            self.machines[member].standing = RaftStatus::Gone;
            self.die(member, false, false);
        }
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

    /// Hold what a member shows now against what the others showed.
    fn observe(&mut self, member: usize) -> Result<(), String> {
        let Some(running) = &mut self.machines[member].running else {
            return Ok(());
        };
        let (applied, term) = (running.core.applied_index(), running.core.term());
        if running.core.leads() {
            let leader = *self.leaders.entry(term).or_insert(member);
            if leader != member {
                return Err(format!("{leader} and {member} both lead in term {term}"));
            }
        }
        if running.view().raft_status.diverged {
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
        if applied == 0 {
            return Ok(());
        }
        let store = &running.view().store;
        self.truth
            .compare(applied, store)
            .map_err(|why| format!("member {member}: {why}"))?;
        self.truth
            .compare_configuration(applied, &running.view().configuration)
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
