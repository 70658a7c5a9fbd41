//! The simulated world: members, network, clients and faults on one clock, in one thread, from one seed.

mod final_checks;
mod messages;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use bytes::Bytes;
use oxetcd::consensus::Input;
use oxetcd::consensus::message::{Body, Message, RaftKind};
use oxetcd::store::{ClusterTime, HistoryLimits};

use crate::bootstrap::{FIRST_INDEX, create_member_disk, initial_store};
use crate::client::{self, Client, Known, Operation};
use crate::expiry::Moment;
use crate::faults::Fault;
use crate::host::{CLOCK_WRITTEN_EVERY, Host, MemberState, Progress, members};
use crate::membership::{MembershipPlan, PendingChange};
use crate::network::Network;
use crate::promises::Promises;
use crate::random::{Random, Trace};
use crate::reference::Reference;
use crate::watcher::Watcher;

/// Minimum number of operations of a run.
pub const OPERATIONS: usize = 1_000;

/// Minimum number of faults of a run.
pub const FAULTS: usize = 24;

/// Number of clients.
const CLIENTS: usize = 8;

/// Number of watchers.
const WATCHERS: usize = 6;

/// Maximum time to recover after the last fault.
const RECOVERY_MAX: Duration = Duration::from_secs(20);

/// Keys with a longer time to live are not waited for at the end.
const TTL_WAIT_MAX: Duration = Duration::from_secs(60);

/// A longer fault keeps stopped members down, so that pending requests time out.
const LONG_FAULT_MIN: Duration = Duration::from_secs(1);

/// Runs per thousand that end with an idle time and a power failure of all members.
const POWER_LOSSES_PERMILLE: u64 = 100;

/// Time to live of the key that is written before the power failure.
const LAST_KEY_TTL: Duration = Duration::from_millis(3_000);

/// Maximum time to elect a leader after a start of all members.
const RESTART_MAX: Duration = Duration::from_millis(600);

/// Runs per thousand that check that an idle cluster writes nothing.
const IDLE_CHECKS_PERMILLE: u64 = 100;

/// Maximum time for which a member repeats a proposal whose client has gone.
const RETRIES_MAX: Duration = Duration::from_millis(6_100);

/// Length of the idle check.
const IDLE: Duration = Duration::from_millis(3_000);

/// An event of the simulation.
#[expect(clippy::large_enum_variant, reason = "nearly all events are messages")]
pub enum SimEvent {
    Tick {
        member: usize,
        incarnation: u64,
    },
    Work {
        member: usize,
        incarnation: u64,
    },
    Deliver {
        to: usize,
        message: Message,
        body: Option<Bytes>,
    },
    ClientRequest {
        client: usize,
    },
    Fault,
    ChangeMembership,
    Repair(Fault),
    Start {
        member: usize,
    },
    Stop {
        member: usize,
        incarnation: u64,
    },
}

struct Scheduled {
    at: Duration,
    number: u64,
    event: SimEvent,
}

/// The simulated cluster of one run.
pub struct World {
    pub now: Duration,
    pub random: Random,
    pub hosts: Vec<Host>,
    pub network: Network,
    pub clients: Vec<Client>,
    pub watchers: Vec<Watcher>,
    pub operations: Vec<Operation>,
    pub known: Known,
    pub reference: Reference,
    /// Highest index of an entry in an answer.
    pub answered_to: u64,
    /// No more faults and no more client requests.
    pub is_ending: bool,
    pub membership_plan: MembershipPlan,
    /// The membership change in progress.
    pub pending_change: Option<PendingChange>,
    promises: Promises,
    queue: BinaryHeap<Scheduled>,
    scheduled: u64,
    /// Messages to a paused member.
    postponed: Vec<(usize, Message, Option<Bytes>)>,
    faults: usize,
    /// The leader of each term.
    leaders: BTreeMap<u64, usize>,
    counts: BTreeMap<&'static str, u64>,
    trace: Trace,
    failure: Option<String>,
}

/// The result of a run.
pub struct Outcome {
    /// Counters by name.
    pub counts: BTreeMap<&'static str, u64>,
    /// Hash of all events.
    pub trace: u64,
}

impl World {
    /// The cluster of a seed, not started.
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let members = *random.pick(&[3, 3, 3, 3, 3, 5, 5, 1]);
        let limits = HistoryLimits {
            events: *random.pick(&[40, 100, 1_000]),
            bytes: 64 << 20,
        };
        let store = initial_store(members, limits);
        let mut hosts = Vec::new();
        for number in 0..members {
            let host = Host::new(number, limits, &mut random);
            create_member_disk(&host.disk, members, &store);
            hosts.push(host);
        }
        Self {
            now: Duration::from_secs(1),
            hosts,
            network: Network::default(),
            clients: (0..CLIENTS).map(|_| Client::default()).collect(),
            watchers: (0..WATCHERS)
                .map(|number| Watcher::new(number, &mut random))
                .collect(),
            operations: Vec::new(),
            known: Known::new(),
            reference: Reference::new(limits, FIRST_INDEX, store, members),
            answered_to: 0,
            is_ending: false,
            membership_plan: MembershipPlan::draw(&mut random),
            pending_change: None,
            random,
            promises: Promises::default(),
            queue: BinaryHeap::new(),
            scheduled: 0,
            postponed: Vec::new(),
            faults: 0,
            leaders: BTreeMap::new(),
            counts: BTreeMap::new(),
            trace: Trace::default(),
            failure: None,
        }
    }

    /// Run to the end and check all properties.
    ///
    /// # Errors
    ///
    /// The first property that was violated.
    pub fn run(mut self) -> Result<Outcome, String> {
        (0..self.hosts.len()).for_each(|member| self.start(member));
        for client in 0..CLIENTS {
            let after = self.random.micros(1_000, 10_000);
            self.schedule(after, SimEvent::ClientRequest { client });
        }
        self.schedule(Duration::from_millis(300), SimEvent::Fault);
        self.schedule(Duration::from_millis(350), SimEvent::ChangeMembership);
        while self.operations.len() < OPERATIONS || self.faults < FAULTS {
            self.step()?;
        }
        self.recover()?;
        if self.random.permille(POWER_LOSSES_PERMILLE) {
            self.check_ttl_over_power_loss()?;
            self.recover()?;
        }
        if self.random.permille(IDLE_CHECKS_PERMILLE) {
            self.check_idle()?;
        }
        Ok(self.into_outcome())
    }

    /// Process the next event.
    fn step(&mut self) -> Result<(), String> {
        let Some(Scheduled { at, event, .. }) = self.queue.pop() else {
            return Err("no more events".to_owned());
        };
        self.now = at;
        self.trace
            .add(u64::try_from(at.as_nanos()).expect("a run of less than 584 years"));
        self.handle(event);
        match self.failure.take() {
            Some(why) => Err(format!("at {:?}: {why}", self.now)),
            None => Ok(()),
        }
    }

    fn handle(&mut self, event: SimEvent) {
        match event {
            SimEvent::Tick {
                member,
                incarnation,
            } => {
                if self.hosts[member].incarnation == incarnation {
                    self.schedule(
                        Host::tick_length(),
                        SimEvent::Tick {
                            member,
                            incarnation,
                        },
                    );
                    self.hosts[member].tick(self.now);
                    self.notify_if_removed(member);
                    self.run_core(member);
                }
            }
            SimEvent::Work {
                member,
                incarnation,
            } => {
                if self.hosts[member].incarnation == incarnation {
                    let progress = self.hosts[member].work_done(self.now, &mut self.random);
                    self.handle_progress(member, progress);
                    self.run_core(member);
                }
            }
            SimEvent::Deliver { to, message, body } => self.deliver(to, message, body),
            SimEvent::ClientRequest { client } => self.start_operation(client),
            SimEvent::Fault => self.fault(),
            SimEvent::ChangeMembership => self.change_membership(),
            SimEvent::Repair(fault) => self.repair(fault),
            SimEvent::Start { member } => self.start(member),
            SimEvent::Stop {
                member,
                incarnation,
            } => {
                if self.hosts[member].incarnation == incarnation {
                    self.terminate(member, false, false);
                }
            }
        }
    }

    /// Start the next fault, often two at once.
    fn fault(&mut self) {
        if self.is_ending {
            return;
        }
        let mut after = self.random.micros(20_000, 260_000);
        for _ in 0..1 + usize::from(self.random.permille(300)) {
            let members = members(&self.hosts);
            let fault = Fault::draw(&members, &mut self.random);
            self.faults += 1;
            self.inflict(fault);
            let lasts = fault.duration(&mut self.random);
            if lasts > LONG_FAULT_MIN {
                // No repair of another fault starts them earlier.
                after = lasts;
                let dead = self.hosts.iter_mut().filter(|host| host.running.is_none());
                dead.for_each(|host| host.down_until = self.now + lasts);
            }
            self.schedule(lasts, SimEvent::Repair(fault));
        }
        self.schedule(after, SimEvent::Fault);
    }

    /// Start a member if it is not running.
    pub fn start(&mut self, member: usize) {
        let host = &self.hosts[member];
        let may = host.member_state == MemberState::Member && self.now >= host.down_until;
        if host.running.is_some() || !may {
            return;
        }
        let host = &mut self.hosts[member];
        let met = host.disk.met();
        let recovered = host.recover();
        if let Ok((_, recovered)) = &recovered
            && let Err(why) = self.promises.check(member, recovered)
        {
            self.record(Err(why));
            return;
        }
        let host = &mut self.hosts[member];
        let started = recovered
            .and_then(|(wal, recovered)| host.start(wal, recovered, self.now, &mut self.random));
        if let Err(why) = started {
            if host.disk.met() == met {
                self.record(Err(format!("member {member} does not start: {why}")));
                return;
            }
            // Caused by a disk fault: the next start may succeed.
            let power = host.disk.is_down();
            self.terminate(member, power, false);
            self.start_later(member);
            return;
        }
        let incarnation = self.hosts[member].incarnation;
        let after = self.random.micros(0, 10_000);
        self.schedule(
            after,
            SimEvent::Tick {
                member,
                incarnation,
            },
        );
        self.reference.note_start(self.now);
        self.run_core(member);
    }

    fn start_later(&mut self, member: usize) {
        let after = self.random.micros(1_000, 200_000);
        self.schedule(after, SimEvent::Start { member });
    }

    /// Terminate a member, possibly in the middle of a write.
    pub fn terminate(&mut self, member: usize, power: bool, writing: bool) {
        self.hosts[member].terminate(&mut self.random, power, writing);
        let (lost, others) = std::mem::take(&mut self.postponed)
            .into_iter()
            .partition(|(to, ..)| *to == member);
        self.postponed = others;
        for (_, message, body) in lost {
            let from = Host::number_of(message.from);
            self.undelivered(from, &message, body.is_some());
        }
        self.poll_answers(member);
    }

    /// Resume a paused member. It receives the postponed messages in any order.
    pub fn resume(&mut self, member: usize) {
        if !std::mem::take(&mut self.hosts[member].paused) {
            return;
        }
        let (arrived, others) = std::mem::take(&mut self.postponed)
            .into_iter()
            .partition(|(to, ..)| *to == member);
        self.postponed = others;
        for (to, message, body) in arrived {
            let after = self.random.micros(0, 2_000);
            self.schedule(after, SimEvent::Deliver { to, message, body });
        }
        let incarnation = self.hosts[member].incarnation;
        self.schedule(
            Duration::ZERO,
            SimEvent::Work {
                member,
                incarnation,
            },
        );
    }

    /// Schedule a `Work` event for a member with new inputs.
    pub fn wake(&mut self, member: usize) {
        let incarnation = self.hosts[member].incarnation;
        if let Some(running) = &mut self.hosts[member].running
            && !std::mem::replace(&mut running.woken, true)
        {
            let after = self.random.micros(1, 60);
            self.schedule(
                after,
                SimEvent::Work {
                    member,
                    incarnation,
                },
            );
        }
    }

    /// Run the core of a member, send its output and check its state.
    fn run_core(&mut self, member: usize) {
        let output = self.hosts[member].run_core(self.now, &mut self.random);
        let incarnation = self.hosts[member].incarnation;
        for at in output.due {
            self.schedule(
                at.saturating_sub(self.now),
                SimEvent::Work {
                    member,
                    incarnation,
                },
            );
        }
        if let Some(first) = output.replaced {
            self.promises.forget_replaced(member, first);
        }
        for message in output.messages {
            self.send(member, message);
        }
        let observed = self.check_member(member);
        self.record(observed);
        self.poll_answers(member);
        let running = self.hosts[member].running.as_ref();
        if running.is_some_and(|running| running.core.is_removed()) {
            self.hosts[member].member_state = MemberState::Former;
            self.terminate(member, false, false);
        }
    }

    /// Terminate a member whose step failed.
    fn handle_progress(&mut self, member: usize, progress: Progress) {
        match progress {
            Progress::Fine => {}
            Progress::Wrong(why) => self.record(Err(format!("member {member} fails: {why}"))),
            Progress::Stopped | Progress::Crashed => {
                self.terminate(member, progress == Progress::Crashed, false);
                self.start_later(member);
            }
        }
    }

    /// Compare the state of a member with the reference.
    fn check_member(&mut self, member: usize) -> Result<(), String> {
        let Some(running) = &mut self.hosts[member].running else {
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
                "member {member} found that its store differs from another one"
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
            if let Some(entry) = running.expected_log.entry(index) {
                self.reference
                    .learn(entry, &moment)
                    .map_err(|why| format!("member {member}: {why}"))?;
            }
        }
        running.compared = applied;
        if applied == 0 {
            return Ok(());
        }
        let store = &running.view().store;
        self.reference
            .compare(applied, store)
            .map_err(|why| format!("member {member}: {why}"))?;
        self.reference
            .compare_configuration(applied, &running.view().configuration)
            .map_err(|why| format!("member {member}: {why}"))?;
        if running.image_is_new {
            self.reference
                .compare_all(applied, store)
                .map_err(|why| format!("member {member}: {why}"))?;
        }
        Ok(())
    }

    /// Collect the answers of `member`.
    fn poll_answers(&mut self, member: usize) {
        if let Some(running) = &mut self.hosts[member].running {
            running.image_is_new = false;
        }
        self.poll_clients(member);
        self.poll_watchers(member);
    }

    /// Record a violated property, which ends the run.
    pub fn record(&mut self, checked: Result<(), String>) {
        if let Err(why) = checked {
            self.failure.get_or_insert(why);
        }
    }

    pub fn count(&mut self, name: &'static str) {
        *self.counts.entry(name).or_default() += 1;
    }

    pub fn schedule(&mut self, after: Duration, event: SimEvent) {
        self.scheduled += 1;
        self.queue.push(Scheduled {
            at: self.now + after,
            number: self.scheduled,
            event,
        });
    }
}

impl Ord for Scheduled {
    /// Reversed, since the heap returns the greatest.
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
