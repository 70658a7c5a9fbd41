//! The clients: what they do, and what they saw.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use oxetcd::consensus::Position;
use oxetcd::store::{Command, Condition, Content, Error, Event, Path};

use crate::random::Random;

/// How many keys the clients fight over.
const KEYS: u64 = 8;

/// One operation, from the moment it was asked to the moment it was answered.
#[derive(Debug)]
pub struct Operation {
    pub client: usize,
    pub member: usize,
    pub asked: Duration,
    pub answered: Option<Duration>,
    pub kind: Kind,
}

/// What was asked and what came of it.
#[derive(Debug)]
pub enum Kind {
    /// A write. With no outcome it may or may not have happened.
    Write {
        command: Command,
        outcome: Option<(Result<Arc<Event>, Error>, Position)>,
    },
    /// A linearizable read of a key: the index it was read at, and the value then.
    Read {
        path: Path,
        outcome: Option<(u64, Option<Bytes>)>,
    },
    /// A read of whatever the member has.
    PlainRead {
        path: Path,
        outcome: Option<(u64, Option<Bytes>)>,
    },
}

/// The key of this number.
pub fn key(number: u64) -> Path {
    path(&format!("/k{}/v{number}", number % 3))
}

/// What a client does next. Values are unique, so that a write that happened twice shows.
pub fn draw(random: &mut Random, unique: u64, known: &mut [(u64, Option<Bytes>)]) -> Kind {
    let number = random.below(KEYS);
    let path = key(number);
    let value = Bytes::from(format!("{unique}"));
    let (index, held) = known[number as usize].clone();
    let content = Content::Value(value.clone());
    match random.below(100) {
        0..35 => write(Command::Set {
            path,
            content,
            ttl: None,
        }),
        35..40 => {
            let ttl = Some(Duration::from_secs(1 + random.below(3)));
            write(Command::Set { path, content, ttl })
        }
        40..45 => write(Command::Create {
            path,
            content,
            ttl: None,
        }),
        45..55 => {
            let condition = if random.permille(500) {
                Condition {
                    value: held.filter(|held| !held.is_empty()),
                    index: None,
                }
            } else {
                Condition {
                    value: None,
                    index: Some(index.max(1)),
                }
            };
            write(Command::CompareAndSwap {
                path,
                condition,
                value,
                ttl: None,
            })
        }
        55..60 => write(Command::Delete {
            path,
            directory: false,
            recursive: false,
        }),
        60..62 => {
            let path = self::path(&format!("/k{}", random.below(3)));
            write(Command::Delete {
                path,
                directory: true,
                recursive: true,
            })
        }
        62..66 => {
            let directory = self::path("/queue");
            write(Command::CreateInOrder {
                directory,
                content,
                ttl: None,
            })
        }
        66..88 => Kind::Read {
            path,
            outcome: None,
        },
        _ => Kind::PlainRead {
            path,
            outcome: None,
        },
    }
}

fn write(command: Command) -> Kind {
    Kind::Write {
        command,
        outcome: None,
    }
}

fn path(text: &str) -> Path {
    Path::parse(text).expect("a clean key")
}
