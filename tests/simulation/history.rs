//! What must hold of everything the clients saw.
//!
//! Every answer carries the store's index, so the check is exact and near linear: the final history gives
//! the state at each index, every answer is held against the state at its index, and real time against
//! the order of indices.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use oxetcd::store::{Action, Code, Command, Content, Event, Path};

use crate::client::{Kind, Operation};

/// The final history, replayable.
pub struct History {
    /// The events, by index; every index of the run is there.
    events: BTreeMap<u64, Arc<Event>>,
    /// For each key, its value from each index on.
    values: HashMap<Path, BTreeMap<u64, Option<Bytes>>>,
}

impl History {
    /// The history of a run, as one member tells it.
    pub fn new(events: Vec<Arc<Event>>) -> Self {
        let mut values: HashMap<Path, BTreeMap<u64, Option<Bytes>>> = HashMap::new();
        for event in &events {
            let gone = matches!(
                event.action,
                Action::Delete | Action::CompareAndDelete | Action::Expire
            );
            let value = if gone { None } else { event.node.value.clone() };
            values
                .entry(event.node.path.clone())
                .or_default()
                .insert(event.index(), value);
            for path in &event.removed {
                values
                    .entry(path.clone())
                    .or_default()
                    .insert(event.index(), None);
            }
        }
        let events = events
            .into_iter()
            .map(|event| (event.index(), event))
            .collect();
        Self { events, values }
    }

    /// How many events there are.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    fn value_at(&self, path: &Path, index: u64) -> Option<Bytes> {
        let values = self.values.get(path)?;
        values
            .range(..=index)
            .next_back()
            .and_then(|(_, value)| value.clone())
    }

    fn changed_at(&self, path: &Path, index: u64) -> u64 {
        let values = self.values.get(path);
        values
            .and_then(|values| values.range(..=index).next_back())
            .map_or(0, |(index, _)| *index)
    }

    /// Hold every answer against the history.
    ///
    /// # Errors
    ///
    /// The first thing that does not hold.
    pub fn check(&self, operations: &[Operation]) -> Result<(), String> {
        self.check_contiguous()?;
        for operation in operations {
            self.check_answer(operation)
                .map_err(|why| format!("{why}: {operation:?}"))?;
        }
        check_real_time(operations)?;
        self.check_once(operations)
    }

    fn check_contiguous(&self) -> Result<(), String> {
        for (before, after) in self.events.keys().zip(self.events.keys().skip(1)) {
            if before + 1 != *after {
                return Err(format!("the history jumps from {before} to {after}"));
            }
        }
        Ok(())
    }

    fn check_answer(&self, operation: &Operation) -> Result<(), String> {
        match &operation.kind {
            Kind::Write {
                outcome: Some((Ok(event), _)),
                ..
            } => match self.events.get(&event.index()) {
                Some(kept) if kept == event => Ok(()),
                Some(other) => Err(format!("an acknowledged write became {other:?}")),
                None => Err("an acknowledged write is lost".to_owned()),
            },
            Kind::Write {
                command,
                outcome: Some((Err(error), _)),
            } => self.check_refusal(command, error.code, error.index),
            Kind::Read {
                path,
                outcome: Some((index, value)),
            }
            | Kind::PlainRead {
                path,
                outcome: Some((index, value)),
            } => {
                let expected = self.value_at(path, *index);
                if *value == expected {
                    return Ok(());
                }
                Err(format!(
                    "read {value:?} at {index}, where it was {expected:?}"
                ))
            }
            Kind::Write { .. } | Kind::Read { .. } | Kind::PlainRead { .. } => Ok(()),
        }
    }

    /// A write that was refused must have had a reason at the index it was refused at.
    fn check_refusal(&self, command: &Command, code: Code, index: u64) -> Result<(), String> {
        let justified = match (command, code) {
            (Command::Create { path, .. }, Code::NodeExists) => {
                self.value_at(path, index).is_some()
            }
            (
                Command::CompareAndSwap {
                    path, condition, ..
                },
                Code::TestFailed,
            ) => {
                let value = self.value_at(path, index);
                let differs = condition.value.is_some() && condition.value != value;
                let moved = condition
                    .index
                    .is_some_and(|wanted| wanted != self.changed_at(path, index));
                value.is_some() && (differs || moved)
            }
            (
                Command::CompareAndSwap { path, .. }
                | Command::Delete {
                    path,
                    directory: false,
                    ..
                },
                Code::KeyNotFound,
            ) => self.value_at(path, index).is_none(),
            (
                Command::Delete {
                    directory: true, ..
                },
                Code::KeyNotFound,
            ) => true,
            _ => false,
        };
        if justified {
            Ok(())
        } else {
            Err(format!("refused with {code:?} at {index} for no reason"))
        }
    }

    /// Values are unique, so a write that was applied twice shows, answered or not.
    fn check_once(&self, operations: &[Operation]) -> Result<(), String> {
        let mut times: HashMap<&Bytes, usize> = HashMap::new();
        for event in self.events.values() {
            if let Some(value) = &event.node.value {
                *times.entry(value).or_default() += 1;
            }
        }
        for operation in operations {
            if let Kind::Write { command, .. } = &operation.kind
                && let Some(value) = written(command)
                && times.get(value).is_some_and(|times| *times > 1)
            {
                return Err(format!("applied more than once: {operation:?}"));
            }
        }
        Ok(())
    }

    /// A watcher from index `from` must have heard exactly this much of the history, in order.
    ///
    /// # Errors
    ///
    /// The first difference.
    pub fn check_watch(&self, from: u64, to: u64, heard: &[Arc<Event>]) -> Result<(), String> {
        let mut heard = heard.iter();
        for (index, event) in self.events.range(from..to) {
            match heard.next() {
                Some(next) if next == event => {}
                other => {
                    return Err(format!(
                        "a watch from {from} heard {other:?} instead of {index}: {event:?}"
                    ));
                }
            }
        }
        match heard.next() {
            Some(more) => Err(format!(
                "a watch from {from} heard {more:?}, which is not in the history"
            )),
            None => Ok(()),
        }
    }

    /// No key may be dropped before its time: `made` says when which index was first asked for.
    ///
    /// # Errors
    ///
    /// The first that was.
    pub fn check_expiry(
        &self,
        operations: &[Operation],
        seen: &BTreeMap<u64, Duration>,
    ) -> Result<(), String> {
        for operation in operations {
            let Kind::Write {
                command,
                outcome: Some((Ok(event), _)),
            } = &operation.kind
            else {
                continue;
            };
            let Command::Set {
                path,
                ttl: Some(ttl),
                ..
            } = command
            else {
                continue;
            };
            let after = self.events.range(event.index() + 1..);
            let next = after
                .map(|(_, event)| event)
                .find(|event| event.node.path == *path);
            if let Some(next) = next
                && next.action == Action::Expire
                && let Some(at) = seen.get(&next.index())
                && *at < operation.asked + *ttl
            {
                return Err(format!("dropped at {at:?}, too early: {operation:?}"));
            }
        }
        Ok(())
    }
}

/// If one operation was answered before another was asked, its index is not above the other's.
fn check_real_time(operations: &[Operation]) -> Result<(), String> {
    // Sorted by the moment of the answer, the highest index answered so far is a bound from below for
    // every operation asked later.
    let mut answered: Vec<(Duration, u64)> = operations
        .iter()
        .filter_map(|operation| Some((operation.answered?, index_of(operation)?)))
        .collect();
    answered.sort_unstable();
    let mut highest = 0;
    let bounds: Vec<(Duration, u64)> = answered
        .into_iter()
        .map(|(at, index)| {
            highest = highest.max(index);
            (at, highest)
        })
        .collect();
    for operation in operations {
        let Some(index) = linearizable_index_of(operation) else {
            continue;
        };
        let before = bounds.partition_point(|(at, _)| *at < operation.asked);
        if before > 0 && index < bounds[before - 1].1 {
            return Err(format!(
                "an answer at index {} was given before this was asked: {operation:?}",
                bounds[before - 1].1
            ));
        }
    }
    Ok(())
}

/// The index up to which an answer proves the log was applied somewhere.
fn index_of(operation: &Operation) -> Option<u64> {
    match &operation.kind {
        Kind::Write {
            outcome: Some((_, position)),
            ..
        } => Some(position.index),
        Kind::Read {
            outcome: Some((index, _)),
            ..
        }
        | Kind::PlainRead {
            outcome: Some((index, _)),
            ..
        } => Some(*index),
        Kind::Write { .. } | Kind::Read { .. } | Kind::PlainRead { .. } => None,
    }
}

fn linearizable_index_of(operation: &Operation) -> Option<u64> {
    match &operation.kind {
        Kind::PlainRead { .. } => None,
        Kind::Write { .. } | Kind::Read { .. } => index_of(operation),
    }
}

fn written(command: &Command) -> Option<&Bytes> {
    match command {
        Command::Set {
            content: Content::Value(value),
            ..
        }
        | Command::Create {
            content: Content::Value(value),
            ..
        }
        | Command::CreateInOrder {
            content: Content::Value(value),
            ..
        }
        | Command::CompareAndSwap { value, .. } => Some(value),
        _ => None,
    }
}
