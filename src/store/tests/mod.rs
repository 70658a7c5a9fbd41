//! The store as a whole.

mod arbitrary;
mod commands;
mod images;
mod membership;
mod model;
mod verbs;
mod watching;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::*;

/// A store, the events for its watchers, and a clock that the test advances.
struct Run {
    store: Store,
    events: Vec<Arc<Event>>,
    clock: ClusterTime,
}

type Answer = Result<Option<Arc<Event>>, Error>;

impl Run {
    fn new() -> Self {
        Self::with(HistoryLimits::default())
    }

    fn with(limits: HistoryLimits) -> Self {
        Self {
            store: Store::new(limits),
            events: Vec::new(),
            clock: ClusterTime::ZERO,
        }
    }

    fn wait(&mut self, time: Duration) {
        self.clock = self.clock.plus(time);
    }

    fn apply(&mut self, command: Command) -> Answer {
        let entry = Stamped {
            stamp: self.clock,
            id: None,
            command,
        };
        self.store.apply(&entry, &mut self.events)
    }

    /// Apply a command that must succeed with an event.
    fn done(&mut self, command: Command) -> Arc<Event> {
        let answer = self.apply(command.clone());
        answer
            .expect("it is valid")
            .unwrap_or_else(|| panic!("{command:?} has no answer"))
    }

    /// Apply a command that must fail. Returns the code and the cause.
    fn refused(&mut self, command: Command) -> (Code, String) {
        let index = self.store.index();
        let error = self.apply(command).expect_err("it is not valid");
        assert_eq!((error.index, self.store.index()), (index, index));
        (error.code, error.cause)
    }

    fn get(&self, key: &str) -> Result<Listing, Error> {
        let found = self.store.get(&path(key))?;
        Ok(found.listing(true, self.clock))
    }

    /// All keys in a recursive listing of the root.
    fn keys(&self) -> Vec<String> {
        fn gather(listing: &Listing, keys: &mut Vec<String>) {
            for below in &listing.nodes {
                keys.push(below.node.path.to_string());
                gather(below, keys);
            }
        }
        let mut keys = Vec::new();
        gather(&self.get("/").expect("the root is there"), &mut keys);
        keys
    }
}

fn path(text: &str) -> Path {
    Path::parse(text).expect("a key")
}

fn value(text: &str) -> Content {
    Content::Value(Bytes::copy_from_slice(text.as_bytes()))
}

fn set(key: &str, text: &str) -> Command {
    Command::Set {
        path: path(key),
        content: value(text),
        ttl: None,
    }
}

fn set_for(key: &str, text: &str, seconds: u64) -> Command {
    Command::Set {
        path: path(key),
        content: value(text),
        ttl: Some(Duration::from_secs(seconds)),
    }
}

fn make_directory(key: &str, ttl: Option<Duration>) -> Command {
    Command::Set {
        path: path(key),
        content: Content::Directory,
        ttl,
    }
}

fn create(key: &str, text: &str) -> Command {
    Command::Create {
        path: path(key),
        content: value(text),
        ttl: None,
    }
}

fn post(directory: &str) -> Command {
    Command::CreateInOrder {
        directory: path(directory),
        content: value("job"),
        ttl: None,
    }
}

fn update(key: &str, text: Option<&str>, ttl: Option<u64>) -> Command {
    Command::Update {
        path: path(key),
        value: text.map(|text| Bytes::copy_from_slice(text.as_bytes())),
        directory: false,
        ttl: ttl.map(Duration::from_secs),
    }
}

fn delete(key: &str) -> Command {
    Command::Delete {
        path: path(key),
        directory: false,
        recursive: false,
    }
}

fn delete_all(key: &str) -> Command {
    Command::Delete {
        path: path(key),
        directory: false,
        recursive: true,
    }
}

fn condition(text: &str, index: u64) -> Condition {
    Condition {
        value: Some(Bytes::copy_from_slice(text.as_bytes())),
        index: Some(index),
    }
}

fn swap(key: &str, before: &str, index: u64, text: &str) -> Command {
    Command::CompareAndSwap {
        path: path(key),
        condition: condition(before, index),
        value: Bytes::copy_from_slice(text.as_bytes()),
        ttl: None,
    }
}

fn compare_and_delete(key: &str, before: &str, index: u64) -> Command {
    Command::CompareAndDelete {
        path: path(key),
        condition: condition(before, index),
    }
}
