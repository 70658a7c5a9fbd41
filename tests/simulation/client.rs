//! The clients: their requests, and the checks of the answers.

use std::time::Duration;

use bytes::Bytes;
use oxetcd::consensus::{Refused, Written};
use oxetcd::store::{Action, Command, Condition, Content, Event, Path};
use tokio::sync::oneshot;

use crate::host::members;
use crate::random::Random;
use crate::world::{SimEvent, World};

/// Number of keys that the clients write.
const KEYS: u64 = 8;

/// Number of directories with a time to live.
const DIRECTORIES: u64 = 2;

/// Maximum pause of a client between requests, in microseconds.
const PAUSE_MAX_MICROS: u64 = 10_000;

/// An operation.
#[derive(Debug)]
pub struct Operation {
    pub member: usize,
    pub asked: Duration,
    /// Highest index in an answer before this request: the result must be later.
    pub index_min: u64,
    /// How long the client waits for the answer.
    pub timeout: Duration,
    pub kind: Kind,
}

/// The kind of an operation.
#[derive(Debug)]
pub enum Kind {
    Write(Command),
    /// A linearizable read.
    Read(Path),
    /// A read of the member's own store.
    PlainRead(Path),
}

/// A client with its pending request.
#[derive(Default)]
pub struct Client {
    waiting: Option<(u64, Waiting)>,
}

enum Waiting {
    Write(oneshot::Receiver<Result<Written, Refused>>),
    Read(oneshot::Receiver<Result<(), Refused>>),
}

/// The last known index and value of each key, for conditions that can succeed.
pub struct Known(Vec<(u64, Option<Bytes>)>);

/// The number of the operation that a command comes from, which is in its value or time to live.
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

/// The time to live that a command sets.
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
    /// Start an operation of a client, unless it waits for an answer.
    pub fn start_operation(&mut self, client: usize) {
        let after = self.random.micros(200, PAUSE_MAX_MICROS);
        self.schedule(after, SimEvent::ClientRequest { client });
        if let Some((number, _)) = self.clients[client].waiting {
            let operation = &self.operations[to_usize(number)];
            if self.now > operation.asked + operation.timeout {
                // The client disconnects: the operation may be applied or not.
                self.clients[client].waiting = None;
                self.count("(timed out)");
            }
            return;
        }
        let member = *self.random.pick(&members(&self.hosts));
        if self.is_ending || self.hosts[member].running.is_none() {
            return;
        }
        let number = self.operations.len() as u64;
        let kind = draw_operation(&mut self.random, number, &self.known);
        let timeout = match self.random.below(20) {
            0..3 => Duration::from_secs(7),
            3..6 => self.random.micros(1_000_000, 3_000_000),
            _ => self.random.micros(50_000, 600_000),
        };
        let (asked, index_min) = (self.now, self.answered_to);
        self.operations.push(Operation {
            member,
            asked,
            index_min,
            timeout,
            kind,
        });
        self.send_operation(client, number);
    }

    fn send_operation(&mut self, client: usize, number: u64) {
        let operation = &self.operations[to_usize(number)];
        let member = operation.member;
        let host = &mut self.hosts[member];
        let waiting = match &operation.kind {
            Kind::Write(command) => host.write(command.clone()).map(Waiting::Write),
            Kind::Read(_) => host.barrier().map(Waiting::Read),
            Kind::PlainRead(_) => {
                self.read_now(number);
                return;
            }
        };
        if let Some(waiting) = waiting {
            self.clients[client].waiting = Some((number, waiting));
            self.wake(member);
        }
    }

    /// Write a key with a time to live at `member` and ignore the answer. Returns the exact time to live.
    pub fn write_last_key(&mut self, member: usize, lifetime: Duration) -> Duration {
        let number = self.operations.len() as u64;
        let ttl = lifetime + Duration::from_nanos(number);
        let content = Content::Value(Bytes::from(format!("{number}:")));
        let command = Command::Set {
            path: last_key(),
            content,
            ttl: Some(ttl),
        };
        self.hosts[member].write(command.clone());
        let (asked, index_min) = (self.now, self.answered_to);
        let kind = Kind::Write(command);
        self.operations.push(Operation {
            member,
            asked,
            index_min,
            timeout: Duration::ZERO,
            kind,
        });
        self.wake(member);
        ttl
    }

    /// Collect the answers of `member` to clients.
    pub fn poll_clients(&mut self, member: usize) {
        for client in 0..self.clients.len() {
            let Some((number, _)) = self.clients[client].waiting else {
                continue;
            };
            if self.operations[to_usize(number)].member == member
                && let Some((number, waiting)) = self.clients[client].waiting.take()
                && let Some(waiting) = self.poll_client(number, waiting)
            {
                self.clients[client].waiting = Some((number, waiting));
            }
        }
    }

    /// Whether a client waits for an answer.
    pub fn is_client_waiting(&self) -> bool {
        self.clients.iter().any(|client| client.waiting.is_some())
    }

    fn poll_client(&mut self, number: u64, waiting: Waiting) -> Option<Waiting> {
        use oneshot::error::TryRecvError::Empty;
        match waiting {
            Waiting::Write(mut answer) => match answer.try_recv() {
                Err(Empty) => return Some(Waiting::Write(answer)),
                Ok(Ok(written)) => self.check_written(number, &written),
                Ok(Err(refused)) => self.handle_refusal(number, refused),
                Err(_) => {}
            },
            Waiting::Read(mut answer) => match answer.try_recv() {
                Err(Empty) => return Some(Waiting::Read(answer)),
                Ok(Ok(())) => self.read_now(number),
                Ok(Err(refused)) => self.handle_refusal(number, refused),
                Err(_) => {}
            },
        }
        None
    }

    fn check_written(&mut self, number: u64, written: &Written) {
        let operation = &self.operations[to_usize(number)];
        let Kind::Write(command) = &operation.kind else {
            return;
        };
        let checked =
            self.reference
                .check_write(operation, command, &written.result, written.position);
        let checked = checked.map_err(|why| format!("{why}: {operation:?}"));
        if let Ok(event) = &written.result {
            self.known.note(event);
        }
        self.answered_to = self.answered_to.max(written.position.raft_index);
        self.count("(answered)");
        self.record(checked);
    }

    fn handle_refusal(&mut self, number: u64, refused: Refused) {
        match refused {
            Refused::NoLeader | Refused::Busy => {
                self.count("(refused)");
                let told = self.reference.never(number);
                self.record(
                    told.map_err(|why| format!("{why}: {:?}", self.operations[to_usize(number)])),
                );
            }
            Refused::Unanswered | Refused::Stopping => self.count("(unknown result)"),
        }
    }

    /// Read the store of the member and check the result.
    fn read_now(&mut self, number: u64) {
        let operation = &self.operations[to_usize(number)];
        let (path, index_min) = match &operation.kind {
            Kind::Read(path) => (path, operation.index_min),
            Kind::PlainRead(path) => (path, 0),
            Kind::Write(_) => return,
        };
        let Some((index, found)) = self.hosts[operation.member].read(path) else {
            return;
        };
        let mut checked = self.reference.check_read(index, path, found.as_ref());
        if index < index_min {
            checked = Err(format!(
                "read at entry {index}, but entry {index_min} was answered before"
            ));
        }
        let checked = checked.map_err(|why| format!("{why}: {operation:?}"));
        self.answered_to = self.answered_to.max(index);
        self.count("(answered)");
        self.record(checked);
    }
}

impl Known {
    pub fn new() -> Self {
        Self(vec![(0, None); to_usize(KEYS)])
    }

    fn note(&mut self, event: &Event) {
        for (number, known) in self.0.iter_mut().enumerate() {
            if event.action != Action::Get && key(number as u64) == event.node.path {
                *known = (event.index(), event.node.value.clone());
            }
        }
    }
}

/// The key with this number.
fn key(number: u64) -> Path {
    path(&format!("/k{}/v{number}", number % 3))
}

/// The key that is written once, at the end.
pub fn last_key() -> Path {
    path("/last")
}

/// Draw the next operation of a client.
fn draw_operation(random: &mut Random, unique: u64, known: &Known) -> Kind {
    let number = random.below(KEYS);
    let path = key(number);
    let value = value(random, unique);
    let (index, held) = known.0[to_usize(number)].clone();
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

/// A value that is unique to an operation.
fn value(random: &mut Random, unique: u64) -> Bytes {
    let filling = if random.permille(100) {
        to_usize(random.below(600))
    } else {
        to_usize(random.below(20))
    };
    Bytes::from(format!("{unique}:{}", "x".repeat(filling)))
}

/// A time to live that is unique to an operation: mostly short, sometimes longer than the run.
fn lifetime(random: &mut Random, unique: u64) -> Duration {
    let millis = if random.permille(50) {
        3_600_000
    } else {
        50 + random.below(2_000)
    };
    Duration::from_millis(millis) + Duration::from_nanos(unique)
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).expect("a small number")
}

fn path(text: &str) -> Path {
    Path::parse(text).expect("a clean key")
}
