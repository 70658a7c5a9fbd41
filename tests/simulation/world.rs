//! The simulated world: members, network, clients and faults on one clock, in one thread, from one seed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use oxetcd::consensus::message::{Body, Message, RaftKind};
use oxetcd::consensus::{Live, Next, Refused, Watching, Written};
use oxetcd::store::Event;
use tokio::sync::oneshot;

use crate::client::{self, Kind, Operation};
use crate::faults::{Fault, Faults};
use crate::history::History;
use crate::machine::{Machine, Progress};
use crate::network::Network;
use crate::random::Random;

/// How many operations a run has at least.
pub const OPERATIONS: usize = 1_000;

/// How many clients ask at once.
const CLIENTS: usize = 4;

/// How many watchers listen, each moving on to another member when its own is gone.
const WATCHERS: usize = 2;

/// How long a client waits before it gives an operation up.
const PATIENCE: Duration = Duration::from_secs(6);

/// How long after the last fault all must be well.
const RECOVERY_MAX: Duration = Duration::from_secs(30);

/// What happens at some moment.
enum Happening {
    Tick {
        member: usize,
        life: u64,
    },
    Deliver {
        to: usize,
        message: Message,
        body: Option<Bytes>,
    },
    Work {
        member: usize,
        life: u64,
    },
    Ask {
        client: usize,
    },
    Fault,
    Mend(Fault),
}

/// A client, and what it waits for.
struct Client {
    waiting: Option<(usize, Waiting)>,
}

enum Waiting {
    Write(oneshot::Receiver<Result<Written, Refused>>),
    Read(oneshot::Receiver<Result<(), Refused>>),
}

/// A watcher of the whole tree.
struct Watcher {
    member: usize,
    from: u64,
    next: u64,
    heard: Vec<Arc<Event>>,
    asked: Option<oneshot::Receiver<Watching>>,
    live: Option<Live>,
}

/// The world of one run.
pub struct World {
    pub now: Duration,
    pub random: Random,
    pub machines: Vec<Machine>,
    pub network: Network,
    queue: BinaryHeap<Reverse<(Duration, u64, usize)>>,
    happenings: Vec<Option<Happening>>,
    clients: Vec<Client>,
    watchers: Vec<Watcher>,
    operations: Vec<Operation>,
    faults: Faults,
    known: Vec<(u64, Option<Bytes>)>,
    /// Who led each term.
    leaders: BTreeMap<u64, usize>,
    /// The hash of every store seen at an applied index.
    hashes: BTreeMap<u64, u64>,
    /// When each index of the store was first seen.
    seen: BTreeMap<u64, Duration>,
    wrong: Option<String>,
}

impl World {
    /// The world of this seed, at rest.
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let members = *random.pick(&[3, 3, 3, 5, 1]);
        let machines = (0..members)
            .map(|number| Machine::new(number, members, &mut random))
            .collect();
        let watcher = |number: usize| Watcher {
            member: number % members,
            from: 0,
            next: 0,
            heard: Vec::new(),
            asked: None,
            live: None,
        };
        Self {
            now: Duration::from_secs(1),
            random,
            machines,
            network: Network::new(),
            queue: BinaryHeap::new(),
            happenings: Vec::new(),
            clients: (0..CLIENTS).map(|_| Client { waiting: None }).collect(),
            watchers: (0..WATCHERS).map(watcher).collect(),
            operations: Vec::new(),
            faults: Faults::new(20),
            known: vec![(0, None); 8],
            leaders: BTreeMap::new(),
            hashes: BTreeMap::new(),
            seen: BTreeMap::new(),
            wrong: None,
        }
    }

    /// Run it to its end and check what must hold; how often each fault happened.
    ///
    /// # Errors
    ///
    /// The first property that does not hold.
    pub fn run(mut self) -> Result<BTreeMap<&'static str, u64>, String> {
        for member in 0..self.machines.len() {
            self.start(member);
        }
        for client in 0..CLIENTS {
            let after = self.random.micros(1_000, 10_000);
            self.at(after, Happening::Ask { client });
        }
        self.at(Duration::from_millis(500), Happening::Fault);
        while self.operations.len() < OPERATIONS || !self.faults.over() {
            self.step()?;
        }
        self.recover()?;
        self.check()
    }

    /// Mend everything and wait until the members agree.
    fn recover(&mut self) -> Result<(), String> {
        self.network.heal();
        for member in 0..self.machines.len() {
            self.machines[member].sync_max = crate::machine::SYNC_MAX;
            self.machines[member].fail_next_write = false;
            self.resume(member);
            self.start(member);
        }
        let deadline = self.now + RECOVERY_MAX;
        while !self.settled() {
            self.step()?;
            if self.now > deadline {
                let standing: Vec<String> = self.machines.iter().map(Machine::describe).collect();
                return Err(format!(
                    "not well {RECOVERY_MAX:?} after the last fault: {standing:?}"
                ));
            }
        }
        Ok(())
    }

    /// Nobody waits, all members are at the same place, and the watchers have heard all of it.
    fn settled(&self) -> bool {
        let places: Vec<_> = self.machines.iter().map(Machine::applied).collect();
        let agree = places.windows(2).all(|pair| pair[0] == pair[1]) && places[0].is_some();
        let index = self.machines[0].index();
        agree
            && self.clients.iter().all(|client| client.waiting.is_none())
            && self
                .watchers
                .iter()
                .all(|watcher| watcher.next == index + 1)
    }

    fn check(self) -> Result<BTreeMap<&'static str, u64>, String> {
        let histories: Vec<_> = self.machines.iter().map(Machine::history).collect();
        let Some((first, others)) = histories.split_first() else {
            return Err("no members".to_owned());
        };
        for (number, other) in others.iter().enumerate() {
            if other != first {
                return Err(format!(
                    "members 0 and {} tell different histories",
                    number + 1
                ));
            }
        }
        let history = History::new(first.clone());
        history.check(&self.operations)?;
        history.check_expiry(&self.operations, &self.seen)?;
        for watcher in &self.watchers {
            history.check_watch(watcher.from, watcher.next, &watcher.heard)?;
        }
        let mut counts = self.faults.counts().clone();
        let answered = self
            .operations
            .iter()
            .filter(|operation| operation.answered.is_some())
            .count();
        let heard: usize = self
            .watchers
            .iter()
            .map(|watcher| watcher.heard.len())
            .sum();
        let lives: u64 = self.machines.iter().map(|machine| machine.life).sum();
        let installed: u64 = self.machines.iter().map(|machine| machine.installed).sum();
        for (name, count) in [
            ("(operations)", self.operations.len() as u64),
            ("(answered)", answered as u64),
            ("(changes)", history.len() as u64),
            ("(events heard)", heard as u64),
            ("(terms)", self.leaders.len() as u64),
            ("(starts and deaths)", lives),
            ("(snapshots received)", installed),
        ] {
            counts.insert(name, count);
        }
        Ok(counts)
    }

    /// The next thing happens.
    fn step(&mut self) -> Result<(), String> {
        let Some(Reverse((at, _, slot))) = self.queue.pop() else {
            return Err("nothing happens any more".to_owned());
        };
        self.now = at;
        if let Some(happening) = self.happenings[slot].take() {
            self.happen(happening);
        }
        self.wrong.take().map_or(Ok(()), Err)
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Tick { member, life } => {
                if self.machines[member].life == life {
                    let tick = self.machines[member].tick_length();
                    self.at(tick, Happening::Tick { member, life });
                    self.machines[member].tick(self.now);
                    self.pump(member);
                }
            }
            Happening::Deliver { to, message, body } => self.deliver(to, message, body),
            Happening::Work { member, life } => {
                if self.machines[member].life == life && !self.machines[member].paused {
                    if self.machines[member].work_done(self.now) == Progress::Died {
                        self.machines[member].die(&mut self.random, false);
                    }
                    self.pump(member);
                }
            }
            Happening::Ask { client } => self.ask(client),
            Happening::Fault => {
                if let Some((fault, lasts)) =
                    self.faults.draw(self.machines.len(), &mut self.random)
                {
                    self.inflict(fault);
                    self.at(lasts, Happening::Mend(fault));
                    let after = self.random.micros(100_000, 2_000_000);
                    self.at(after, Happening::Fault);
                }
            }
            Happening::Mend(fault) => self.mend(fault),
        }
    }

    /// A member starts, if it isn't running.
    pub fn start(&mut self, member: usize) {
        if self.machines[member].running.is_some() {
            return;
        }
        if let Err(why) = self.machines[member].start(self.now) {
            self.wrong = Some(format!("member {member} does not start: {why}"));
            return;
        }
        let life = self.machines[member].life;
        let after = self.random.micros(0, 25_000);
        self.at(after, Happening::Tick { member, life });
        self.pump(member);
    }

    /// A member dies, perhaps in the middle of a write.
    pub fn crash(&mut self, member: usize, writing: bool) {
        self.machines[member].die(&mut self.random, writing);
        self.poll();
    }

    /// A paused member goes on.
    pub fn resume(&mut self, member: usize) {
        if std::mem::take(&mut self.machines[member].paused) {
            self.machines[member].catch_up(self.now);
            self.pump(member);
            let life = self.machines[member].life;
            self.at(Duration::ZERO, Happening::Work { member, life });
        }
    }

    /// Let a member do what there is to do, then look at what came of it.
    fn pump(&mut self, member: usize) {
        let (messages, due) = self.machines[member].pump(self.now, &mut self.random);
        let life = self.machines[member].life;
        for at in due {
            self.at(
                at.saturating_sub(self.now),
                Happening::Work { member, life },
            );
        }
        for message in messages {
            self.send(member, message);
        }
        self.observe(member);
        self.poll();
    }

    fn send(&mut self, from: usize, message: Message) {
        let to = Machine::number_of(message.to);
        let is_snapshot =
            matches!(&message.body, Body::Raft(raft) if raft.kind == RaftKind::Snapshot);
        let body = if is_snapshot {
            self.machines[from].snapshot_body(&message)
        } else {
            None
        };
        let deliveries = self.network.deliveries(from, to, &mut self.random);
        if is_snapshot && (deliveries.is_empty() || body.is_none()) {
            self.machines[from].snapshot_sent(message.to, false);
            return;
        }
        for delay in deliveries {
            let happening = Happening::Deliver {
                to,
                message: message.clone(),
                body: body.clone(),
            };
            self.at(delay, happening);
        }
    }

    fn deliver(&mut self, to: usize, message: Message, body: Option<Bytes>) {
        let from = message.from;
        let Some(body) = body else {
            self.machines[to].receive(message, self.now);
            self.pump(to);
            return;
        };
        let ok = self.machines[to].receive_snapshot(message, &body, self.now);
        self.pump(to);
        let from = Machine::number_of(from);
        self.machines[from].snapshot_sent(Machine::id(to), ok);
        self.pump(from);
    }

    /// Hold what a member shows now against what the others showed.
    fn observe(&mut self, member: usize) {
        let Some(seen) = self.machines[member].observe() else {
            return;
        };
        if seen.leads {
            let leader = *self.leaders.entry(seen.term).or_insert(member);
            if leader != member {
                self.wrong = Some(format!(
                    "{leader} and {member} both lead in term {}",
                    seen.term
                ));
            }
        }
        self.seen.entry(seen.index).or_insert(self.now);
        let hash = *self.hashes.entry(seen.applied).or_insert(seen.hash);
        if hash != seen.hash {
            self.wrong = Some(format!(
                "member {member}'s store differs at entry {}",
                seen.applied
            ));
        }
    }

    fn ask(&mut self, client: usize) {
        let after = self.random.micros(200, 20_000);
        self.at(after, Happening::Ask { client });
        if let Some((operation, _)) = &self.clients[client].waiting {
            // Its member died or is too slow: whether it happened stays unknown.
            if self.now > self.operations[*operation].asked + PATIENCE {
                self.clients[client].waiting = None;
            }
            return;
        }
        let member = self.random.below(self.machines.len() as u64) as usize;
        if self.faults.over() && self.operations.len() >= OPERATIONS * 2 {
            return;
        }
        let unique = self.operations.len() as u64;
        let kind = client::draw(&mut self.random, unique, &mut self.known);
        let number = self.operations.len();
        let mut operation = Operation {
            client,
            member,
            asked: self.now,
            answered: None,
            kind,
        };
        let machine = &mut self.machines[member];
        let waiting = match &mut operation.kind {
            Kind::Write { command, .. } => machine.write(command.clone()).map(Waiting::Write),
            Kind::Read { .. } => machine.barrier().map(Waiting::Read),
            Kind::PlainRead { path, outcome } => {
                *outcome = machine.read(path);
                operation.answered = outcome.is_some().then_some(self.now);
                None
            }
        };
        self.operations.push(operation);
        if let Some(waiting) = waiting {
            self.clients[client].waiting = Some((number, waiting));
            self.machines[member].catch_up_unless_paused(self.now);
            self.pump(member);
        }
    }

    /// Look whether anyone got an answer.
    fn poll(&mut self) {
        for client in 0..self.clients.len() {
            let Some((number, waiting)) = self.clients[client].waiting.take() else {
                continue;
            };
            if let Some(waiting) = self.poll_one(number, waiting) {
                self.clients[client].waiting = Some((number, waiting));
            }
        }
        for watcher in 0..self.watchers.len() {
            self.poll_watcher(watcher);
        }
    }

    fn poll_one(&mut self, number: usize, waiting: Waiting) -> Option<Waiting> {
        use oneshot::error::TryRecvError::Empty;
        let operation = &mut self.operations[number];
        match (waiting, &mut operation.kind) {
            (Waiting::Write(mut answer), Kind::Write { outcome, .. }) => match answer.try_recv() {
                Err(Empty) => return Some(Waiting::Write(answer)),
                Ok(Ok(written)) => {
                    if let Ok(event) = &written.result {
                        remember(&mut self.known, event);
                    }
                    *outcome = Some((written.result, written.position));
                    operation.answered = Some(self.now);
                }
                Ok(Err(_)) | Err(_) => {}
            },
            (Waiting::Read(mut answer), Kind::Read { path, outcome }) => match answer.try_recv() {
                Err(Empty) => return Some(Waiting::Read(answer)),
                Ok(Ok(())) => {
                    *outcome = self.machines[operation.member].read(path);
                    operation.answered = outcome.is_some().then_some(self.now);
                }
                Ok(Err(_)) | Err(_) => {}
            },
            _ => {}
        }
        None
    }

    fn poll_watcher(&mut self, number: usize) {
        use oneshot::error::TryRecvError::Empty;
        let watcher = &mut self.watchers[number];
        if let Some(mut answer) = watcher.asked.take() {
            match answer.try_recv() {
                Err(Empty) => watcher.asked = Some(answer),
                Ok(watching) => watcher.begin(watching),
                Err(_) => {}
            }
        }
        watcher.listen();
        if watcher.asked.is_none() && watcher.live.is_none() {
            let members = self.machines.len() as u64;
            watcher.member = self.random.below(members) as usize;
            let since = (watcher.next != 0).then_some(watcher.next);
            watcher.asked = self.machines[watcher.member].watch(since);
        }
    }

    fn at(&mut self, after: Duration, happening: Happening) {
        let slot = self.happenings.len();
        self.happenings.push(Some(happening));
        self.queue
            .push(Reverse((self.now + after, slot as u64, slot)));
    }
}

impl Watcher {
    fn begin(&mut self, watching: Watching) {
        let Ok(past) = watching.past else { return };
        if self.next == 0 {
            self.from = watching.position.index + 1;
            self.next = self.from;
        }
        self.hear(past);
        match watching.next {
            Next::Live(live) => self.live = Some(live),
            Next::Again(from) => self.next = self.next.max(from),
            Next::Done => {}
        }
    }

    fn listen(&mut self) {
        let Some(mut live) = self.live.take() else {
            return;
        };
        loop {
            let polled = {
                let next = std::pin::pin!(live.next());
                next.poll(&mut Context::from_waker(Waker::noop()))
            };
            match polled {
                Poll::Ready(Some(event)) => self.hear(vec![event]),
                Poll::Ready(None) => {
                    self.next = self.next.max(live.resume_at());
                    return;
                }
                Poll::Pending => break,
            }
        }
        self.live = Some(live);
    }

    fn hear(&mut self, events: Vec<Arc<Event>>) {
        if let Some(last) = events.last() {
            self.next = last.index() + 1;
        }
        self.heard.extend(events);
    }
}

/// What a client knows of the keys, for conditions that have a chance.
fn remember(known: &mut [(u64, Option<Bytes>)], event: &Event) {
    for (number, place) in known.iter_mut().enumerate() {
        if client::key(number as u64) == event.node.path {
            *place = (event.index(), event.node.value.clone());
        }
    }
}
