//! The clients: what they ask for, and how they look for the answer.

use std::time::Duration;

use bytes::Bytes;
use oxetcd::consensus::{Refused, Written};
use oxetcd::store::{Action, Command, Condition, Content, Event, Path};
use tokio::sync::oneshot;

use crate::machine::members;
use crate::random::Random;
use crate::world::{Happening, World};

/// How many keys the clients fight over.
const KEYS: u64 = 8;

/// How many directories with a time to live.
const DIRECTORIES: u64 = 2;

/// The longest a client waits before it asks for something, in microseconds.
const THINK_MAX: u64 = 10_000;

/// One operation, from the moment it was asked.
#[derive(Debug)]
pub struct Operation {
    pub member: usize,
    pub asked: Duration,
    /// The entry that some answer was about, before this was asked: this must come after it.
    pub floor: u64,
    /// How long the client waits.
    pub patience: Duration,
    pub kind: Kind,
}

/// What is asked.
#[derive(Debug)]
pub enum Kind {
    Write(Command),
    /// A linearizable look.
    Read(Path),
    /// A look at whatever the member has.
    PlainRead(Path),
}

/// A client, and what it waits for.
#[derive(Default)]
pub struct Client {
    waiting: Option<(u64, Waiting)>,
}

enum Waiting {
    Write(oneshot::Receiver<Result<Written, Refused>>),
    Read(oneshot::Receiver<Result<(), Refused>>),
}

/// What the clients know of the keys, for conditions that have a chance: index and value.
pub struct Known(Vec<(u64, Option<Bytes>)>);

/// The number of the operation a command comes from, which its value or time to live tells.
pub fn number_of(command: &Command) -> Option<u64> {
    let (value, ttl) = match command {
        Command::Set { content, ttl, .. }
        | Command::Create { content, ttl, .. }
        | Command::CreateInOrder { content, ttl, .. } => match content {
            Content::Value(value) => (Some(value), ttl),
            Content::Directory => (None, ttl),
        },
        Command::Update { value, ttl, .. } => (value.as_ref(), ttl),
        Command::CompareAndSwap { value, ttl, .. } => (Some(value), ttl),
        Command::Refresh { ttl, .. } => (None, ttl),
        Command::Delete { .. }
        | Command::CompareAndDelete { .. }
        | Command::Expire
        | Command::Tick
        | Command::PutMember(_)
        | Command::RemoveMember { .. }
        | Command::PutSettings(_) => return None,
    };
    let in_value = value.and_then(|value| {
        let digits = value.split(|byte| *byte == b':').next()?;
        str::from_utf8(digits).ok()?.parse().ok()
    });
    in_value.or(ttl.map(|ttl| u64::from(ttl.subsec_nanos() % 1_000_000)))
}

/// The time to live a command gives.
pub fn ttl_of(command: &Command) -> Option<Duration> {
    match command {
        Command::Set { ttl, .. }
        | Command::Create { ttl, .. }
        | Command::CreateInOrder { ttl, .. }
        | Command::Update { ttl, .. }
        | Command::Refresh { ttl, .. }
        | Command::CompareAndSwap { ttl, .. } => *ttl,
        Command::Delete { .. }
        | Command::CompareAndDelete { .. }
        | Command::Expire
        | Command::Tick
        | Command::PutMember(_)
        | Command::RemoveMember { .. }
        | Command::PutSettings(_) => None,
    }
}

impl World {
    /// A client asks for something, unless it still waits.
    pub fn ask(&mut self, client: usize) {
        let after = self.random.micros(200, THINK_MAX);
        self.at(after, Happening::Ask { client });
        if let Some((number, _)) = self.clients[client].waiting {
            let operation = &self.operations[place(number)];
            if self.now > operation.asked + operation.patience {
                // It hangs up: whether it happens stays unknown.
                self.clients[client].waiting = None;
                self.count("(given up)");
            }
            return;
        }
        let member = *self.random.pick(&members(&self.machines));
        if self.ends || self.machines[member].running.is_none() {
            return;
        }
        let number = self.operations.len() as u64;
        let kind = draw(&mut self.random, number, &self.known);
        let patience = match self.random.below(20) {
            0..3 => Duration::from_secs(7),
            3..6 => self.random.micros(1_000_000, 3_000_000),
            _ => self.random.micros(50_000, 600_000),
        };
        let (asked, floor) = (self.now, self.answered_to);
        self.operations.push(Operation {
            member,
            asked,
            floor,
            patience,
            kind,
        });
        self.hand_in(client, number);
    }

    fn hand_in(&mut self, client: usize, number: u64) {
        let operation = &self.operations[place(number)];
        let member = operation.member;
        let machine = &mut self.machines[member];
        let waiting = match &operation.kind {
            Kind::Write(command) => machine.write(command.clone()).map(Waiting::Write),
            Kind::Read(_) => machine.barrier().map(Waiting::Read),
            Kind::PlainRead(_) => {
                self.look(number);
                return;
            }
        };
        if let Some(waiting) = waiting {
            self.clients[client].waiting = Some((number, waiting));
            self.wake(member);
        }
    }

    /// Write a key that lives for `lifetime` at `member`, and ask for no answer; how long it lives exactly.
    pub fn ask_last(&mut self, member: usize, lifetime: Duration) -> Duration {
        let number = self.operations.len() as u64;
        let ttl = lifetime + Duration::from_nanos(number);
        let content = Content::Value(Bytes::from(format!("{number}:")));
        let command = Command::Set {
            path: last(),
            content,
            ttl: Some(ttl),
        };
        self.machines[member].write(command.clone());
        let (asked, floor) = (self.now, self.answered_to);
        let kind = Kind::Write(command);
        self.operations.push(Operation {
            member,
            asked,
            floor,
            patience: Duration::ZERO,
            kind,
        });
        self.wake(member);
        ttl
    }

    /// See whether anyone at `member` got an answer.
    pub fn poll_clients(&mut self, member: usize) {
        for client in 0..self.clients.len() {
            let Some((number, _)) = self.clients[client].waiting else {
                continue;
            };
            if self.operations[place(number)].member == member
                && let Some((number, waiting)) = self.clients[client].waiting.take()
                && let Some(waiting) = self.poll_client(number, waiting)
            {
                self.clients[client].waiting = Some((number, waiting));
            }
        }
    }

    /// Whether anyone still waits.
    pub fn clients_wait(&self) -> bool {
        self.clients.iter().any(|client| client.waiting.is_some())
    }

    fn poll_client(&mut self, number: u64, waiting: Waiting) -> Option<Waiting> {
        use oneshot::error::TryRecvError::Empty;
        match waiting {
            Waiting::Write(mut answer) => match answer.try_recv() {
                Err(Empty) => return Some(Waiting::Write(answer)),
                Ok(Ok(written)) => self.written(number, &written),
                Ok(Err(refused)) => self.refused(number, refused),
                Err(_) => {}
            },
            Waiting::Read(mut answer) => match answer.try_recv() {
                Err(Empty) => return Some(Waiting::Read(answer)),
                Ok(Ok(())) => self.look(number),
                Ok(Err(refused)) => self.refused(number, refused),
                Err(_) => {}
            },
        }
        None
    }

    fn written(&mut self, number: u64, written: &Written) {
        let operation = &self.operations[place(number)];
        let Kind::Write(command) = &operation.kind else {
            return;
        };
        let checked = self
            .truth
            .check_write(operation, command, &written.result, written.position);
        let checked = checked.map_err(|why| format!("{why}: {operation:?}"));
        if let Ok(event) = &written.result {
            self.known.note(event);
        }
        self.answered_to = self.answered_to.max(written.position.raft_index);
        self.count("(answered)");
        self.note(checked);
    }

    fn refused(&mut self, number: u64, refused: Refused) {
        match refused {
            Refused::NoLeader | Refused::Busy => {
                self.count("(refused)");
                let told = self.truth.never(number);
                self.note(
                    told.map_err(|why| format!("{why}: {:?}", self.operations[place(number)])),
                );
            }
            Refused::Unanswered | Refused::Stopping => self.count("(left open)"),
        }
    }

    /// A read looks at what the member has now.
    fn look(&mut self, number: u64) {
        let operation = &self.operations[place(number)];
        let (path, floor) = match &operation.kind {
            Kind::Read(path) => (path, operation.floor),
            Kind::PlainRead(path) => (path, 0),
            Kind::Write(_) => return,
        };
        let Some((index, found)) = self.machines[operation.member].read(path) else {
            return;
        };
        let mut checked = self.truth.check_read(index, path, found.as_ref());
        if index < floor {
            checked = Err(format!(
                "read at entry {index}, and {floor} was answered before"
            ));
        }
        let checked = checked.map_err(|why| format!("{why}: {operation:?}"));
        self.answered_to = self.answered_to.max(index);
        self.count("(answered)");
        self.note(checked);
    }
}

impl Known {
    pub fn new() -> Self {
        Self(vec![(0, None); place(KEYS)])
    }

    fn note(&mut self, event: &Event) {
        for (number, known) in self.0.iter_mut().enumerate() {
            if event.action != Action::Get && key(number as u64) == event.node.path {
                *known = (event.index(), event.node.value.clone());
            }
        }
    }
}

/// The key of this number.
fn key(number: u64) -> Path {
    path(&format!("/k{}/v{number}", number % 3))
}

/// A key that is written once, at the end.
pub fn last() -> Path {
    path("/last")
}

/// What a client does next.
fn draw(random: &mut Random, unique: u64, known: &Known) -> Kind {
    let number = random.below(KEYS);
    let path = key(number);
    let value = value(random, unique);
    let (index, held) = known.0[place(number)].clone();
    let content = Content::Value(value.clone());
    let condition = if random.permille(500) {
        Condition {
            value: held,
            index: None,
        }
    } else {
        Condition {
            value: None,
            index: Some(index),
        }
    };
    let ttl = Some(lifetime(random, unique));
    Kind::Write(match random.below(100) {
        0..20 => Command::Set {
            path,
            content,
            ttl: None,
        },
        20..28 => Command::Set { path, content, ttl },
        28..31 => Command::Create {
            path,
            content,
            ttl: None,
        },
        31..33 => Command::Update {
            path,
            value: Some(value),
            directory: false,
            ttl,
        },
        33..37 => Command::Refresh {
            path,
            condition: Condition::default(),
            ttl,
        },
        37..45 => Command::CompareAndSwap {
            path,
            condition,
            value,
            ttl: None,
        },
        45..47 => Command::CompareAndSwap {
            path,
            condition,
            value,
            ttl,
        },
        47..50 => Command::Delete {
            path,
            directory: false,
            recursive: false,
        },
        50..52 => Command::CompareAndDelete { path, condition },
        52..54 => {
            let directories = ["/k0", "/k1", "/k2", "/queue"];
            let directory = *random.pick(&directories);
            let path = self::path(directory);
            Command::Delete {
                path,
                directory: true,
                recursive: true,
            }
        }
        54..57 => Command::CreateInOrder {
            directory: self::path("/queue"),
            content,
            ttl: None,
        },
        57..59 => Command::CreateInOrder {
            directory: self::path("/queue"),
            content,
            ttl,
        },
        59..61 => {
            let path = self::path(&format!("/d{}", random.below(DIRECTORIES)));
            Command::Set {
                path,
                content: Content::Directory,
                ttl,
            }
        }
        61..65 => {
            let (directory, name) = (random.below(DIRECTORIES), random.below(3));
            Command::Set {
                path: self::path(&format!("/d{directory}/{name}")),
                content,
                ttl: None,
            }
        }
        65..84 => return Kind::Read(path),
        84..88 => return Kind::Read(self::path("/queue")),
        _ => return Kind::PlainRead(path),
    })
}

/// A value that no other operation writes.
fn value(random: &mut Random, unique: u64) -> Bytes {
    let filling = if random.permille(100) {
        place(random.below(600))
    } else {
        place(random.below(20))
    };
    Bytes::from(format!("{unique}:{}", "x".repeat(filling)))
}

/// A time to live that no other operation gives: mostly short, some beyond the run's end.
fn lifetime(random: &mut Random, unique: u64) -> Duration {
    let millis = if random.permille(50) {
        3_600_000
    } else {
        50 + random.below(2_000)
    };
    Duration::from_millis(millis) + Duration::from_nanos(unique)
}

fn place(number: u64) -> usize {
    usize::try_from(number).expect("a small number")
}

fn path(text: &str) -> Path {
    Path::parse(text).expect("a clean key")
}
