//! What really happened: the committed log, replayed by a store of its own.
//!
//! The first member to apply an entry tells it here; all others must apply the same, and come to the same
//! store. Every answer names the entry it is about, so each is held against the store as of that entry.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use oxetcd::cluster::Settings;
use oxetcd::consensus::Position;
use oxetcd::store::{
    Command, CommandId, Error, Event, HistoryLimits, Interest, Listing, Path, Stamped, Store,
    codec, image,
};
use oxetcd::wal::{Configuration, Entry, EntryKind};

use crate::client::{self, Operation};
use crate::lifetimes::{Lifetimes, Moment};

/// The log as it was committed.
pub struct Truth {
    limits: HistoryLimits,
    /// The store after the entry `base + i`.
    places: Vec<Place>,
    base: u64,
    /// All that watchers may hear, in order.
    events: Vec<Arc<Event>>,
    ids: HashSet<CommandId>,
    /// Operations that changed something.
    done: HashSet<u64>,
    /// Operations whose client was told that they will not happen.
    never: HashSet<u64>,
    lifetimes: Lifetimes,
}

struct Place {
    entry: Option<Entry>,
    command: Option<Command>,
    outcome: Result<Option<Arc<Event>>, Error>,
    store: Store,
    shape: Shape,
    hash: Option<u64>,
}

/// Who votes, and who learns.
pub type Shape = (BTreeSet<u64>, BTreeSet<u64>);

impl Truth {
    /// What all members begin with: `store`, as of the entry `index`.
    /// There are so `many` members, and all of them vote.
    pub fn new(limits: HistoryLimits, index: u64, store: Store, many: usize) -> Self {
        let voters = (1..=many as u64).collect();
        let first = Place {
            entry: None,
            command: None,
            outcome: Ok(None),
            store,
            shape: (voters, BTreeSet::new()),
            hash: None,
        };
        Self {
            limits,
            places: vec![first],
            base: index,
            events: Vec::new(),
            ids: HashSet::new(),
            done: HashSet::new(),
            never: HashSet::new(),
            lifetimes: Lifetimes::default(),
        }
    }

    /// The last entry known to be committed.
    pub fn last(&self) -> u64 {
        self.base + self.places.len() as u64 - 1
    }

    /// The store as of it.
    pub fn store(&self) -> &Store {
        &self.places[self.places.len() - 1].store
    }

    /// Who votes and who learns as of it.
    pub fn configuration(&self) -> &Shape {
        &self.places[self.places.len() - 1].shape
    }

    /// What the cluster is set to as of it.
    pub fn settings(&self) -> Settings {
        let text = self.store().settings();
        text.map_or_else(Settings::default, |text| Settings::parse(&text))
    }

    /// How much history there is at the most.
    pub fn limits(&self) -> HistoryLimits {
        self.limits
    }

    /// How many events there were.
    pub fn events(&self) -> usize {
        self.events.len()
    }

    /// A member applied `entry`.
    ///
    /// # Errors
    ///
    /// Another member applied something else there, or what it does must not be.
    pub fn learn(&mut self, entry: &Entry, moment: &Moment<'_>) -> Result<(), String> {
        if entry.index <= self.last() {
            let known = self.place(entry.index)?;
            return match &known.entry {
                Some(known) if known != entry => Err(format!(
                    "{entry:?} was applied where another member applied {known:?}"
                )),
                Some(_) | None => Ok(()),
            };
        }
        if entry.index != self.last() + 1 {
            return Err(format!(
                "entry {} was applied, the last before was {}",
                entry.index,
                self.last()
            ));
        }
        let mut store = self.store().clone();
        let mut shape = self.configuration().clone();
        let command = match entry.kind {
            EntryKind::Command => entry.data.clone(),
            EntryKind::Membership => change_shape(&mut shape, &entry.data)?,
        };
        let (command, outcome) = if command.is_empty() {
            (None, Ok(None))
        } else {
            let stamped = codec::decode_stamped(&command).map_err(|error| error.to_string())?;
            let first = self.events.len();
            let outcome = store.apply(&stamped, &mut self.events);
            self.judge(&stamped, &outcome, first, moment)?;
            if store.clock() < self.store().clock() {
                return Err(format!("the clock runs backwards at entry {}", entry.index));
            }
            (Some(stamped.command), outcome)
        };
        self.places.push(Place {
            entry: Some(entry.clone()),
            command,
            outcome,
            store,
            shape,
            hash: None,
        });
        Ok(())
    }

    /// Whether what an entry did may be.
    fn judge(
        &mut self,
        stamped: &Stamped,
        outcome: &Result<Option<Arc<Event>>, Error>,
        first: usize,
        moment: &Moment<'_>,
    ) -> Result<(), String> {
        let command = &stamped.command;
        let again = stamped.id.is_some_and(|id| !self.ids.insert(id));
        let changed = matches!(outcome, Ok(Some(_))) || self.events.len() > first;
        let before = self.places.last().map(|place| &place.store);
        if let Some(id) = stamped.id
            && changed
            && before.is_some_and(|store| store.is_removed(id.member))
        {
            return Err(format!("a removed member's write was applied: {command:?}"));
        }
        if again && changed {
            return Err(format!("applied again: {command:?}"));
        }
        if changed && let Some(number) = client::number_of(command) {
            if !self.done.insert(number) {
                return Err(format!("happened twice: {command:?}"));
            }
            if self.never.contains(&number) {
                return Err(format!("was said not to happen, and did: {command:?}"));
            }
        }
        if let Ok(answer) = outcome {
            self.lifetimes
                .note(command, answer.as_deref(), &self.events[first..], moment)?;
        }
        Ok(())
    }

    /// A client was told that its operation will not happen.
    ///
    /// # Errors
    ///
    /// It has.
    pub fn never(&mut self, number: u64) -> Result<(), String> {
        self.never.insert(number);
        if self.done.contains(&number) {
            return Err("refused as not done, and it was".to_owned());
        }
        Ok(())
    }

    /// A member's store as of the entry `index` must be this.
    ///
    /// # Errors
    ///
    /// It is not.
    pub fn compare(&mut self, index: u64, store: &Store) -> Result<(), String> {
        let place = self.place_mut(index)?;
        let hash = *place.hash.get_or_insert_with(|| image::hash(&place.store));
        if image::hash(store) != hash {
            let (is, was) = (
                (store.index(), store.clock()),
                (place.store.index(), place.store.clock()),
            );
            return Err(format!(
                "the store differs at entry {index}: {is:?} instead of {was:?}"
            ));
        }
        Ok(())
    }

    /// A member's configuration as of the entry `index` must be this.
    ///
    /// # Errors
    ///
    /// It is not.
    pub fn compare_configuration(
        &self,
        index: u64,
        configuration: &Configuration,
    ) -> Result<(), String> {
        let ids = |ids: &[u64]| ids.iter().copied().collect::<BTreeSet<_>>();
        let shape = (ids(&configuration.voters), ids(&configuration.learners));
        let expected = &self.place(index)?.shape;
        if shape == *expected {
            return Ok(());
        }
        Err(format!(
            "the configuration at entry {index} is {shape:?} instead of {expected:?}"
        ))
    }

    /// The same, history and all.
    ///
    /// # Errors
    ///
    /// It is not.
    pub fn compare_all(&self, index: u64, store: &Store) -> Result<(), String> {
        if image::encode(store).eq(image::encode(&self.place(index)?.store)) {
            return Ok(());
        }
        Err(format!("the store or its history differs at entry {index}"))
    }

    /// A write was answered so.
    ///
    /// # Errors
    ///
    /// That is not what happened.
    pub fn check_write(
        &self,
        operation: &Operation,
        command: &Command,
        result: &Result<Arc<Event>, Error>,
        position: Position,
    ) -> Result<(), String> {
        let place = self.place(position.raft_index)?;
        if place.command.as_ref() != Some(command) {
            return Err(format!(
                "answered for entry {}, which is {:?}",
                position.raft_index, place.command
            ));
        }
        let same = match (result, &place.outcome) {
            (Ok(event), Ok(Some(outcome))) => event == outcome,
            (Err(error), Err(outcome)) => error == outcome,
            (Ok(_) | Err(_), Ok(_) | Err(_)) => false,
        };
        if !same || position.index != place.store.index() {
            return Err(format!(
                "answered {result:?} at {position:?}, and it was {:?}",
                place.outcome
            ));
        }
        if position.raft_index <= operation.floor {
            return Err(format!(
                "written before entry {}, which was answered before",
                operation.floor
            ));
        }
        Ok(())
    }

    /// A read at the entry `index` found this.
    ///
    /// # Errors
    ///
    /// It was not so then.
    pub fn check_read(
        &self,
        index: u64,
        path: &Path,
        found: Option<&Listing>,
    ) -> Result<(), String> {
        let store = &self.place(index)?.store;
        let expected = store
            .get(path)
            .ok()
            .map(|found| found.listing(true, store.clock()));
        if found == expected.as_ref() {
            return Ok(());
        }
        Err(format!(
            "read {found:?} at entry {index}, where it was {expected:?}"
        ))
    }

    /// What a watcher that has heard all before the index `next` hears then.
    pub fn next_event(&self, interest: &Interest, next: u64) -> Option<&Arc<Event>> {
        let from = self.events.partition_point(|event| event.index() < next);
        self.events[from..]
            .iter()
            .find(|event| interest.matches(event))
    }

    /// A watch from the index `since` was told at this position that the history is gone.
    ///
    /// # Errors
    ///
    /// It should be there.
    pub fn check_cleared(&self, since: u64, position: Position) -> Result<(), String> {
        let from = self.events.partition_point(|event| event.index() < since);
        let to = self
            .events
            .partition_point(|event| event.index() <= position.index);
        // Before the first command, each index is that of a member's arrival.
        let arrivals = (self.places[0].store.index() + 1).saturating_sub(since);
        let count = to - from + usize::try_from(arrivals).unwrap_or(usize::MAX);
        if count > self.limits.events {
            return Ok(());
        }
        Err(format!(
            "only {count} events since {since}, and they are said to be cleared"
        ))
    }

    /// The store's index after the entry of this position must be the position's.
    ///
    /// # Errors
    ///
    /// It is not.
    pub fn check_position(&self, position: Position) -> Result<(), String> {
        if self.place(position.raft_index)?.store.index() == position.index {
            return Ok(());
        }
        Err(format!("no such place: {position:?}"))
    }

    /// When the last entry was learnt of is what outages are told by.
    pub fn note_start(&mut self, now: Duration) {
        self.lifetimes.note_start(now);
    }

    fn place(&self, index: u64) -> Result<&Place, String> {
        let place = index
            .checked_sub(self.base)
            .and_then(|place| self.places.get(usize::try_from(place).ok()?));
        place.ok_or_else(|| {
            format!(
                "entry {index} is not committed, the last is {}",
                self.last()
            )
        })
    }

    fn place_mut(&mut self, index: u64) -> Result<&mut Place, String> {
        let last = self.last();
        let place = index
            .checked_sub(self.base)
            .and_then(|place| usize::try_from(place).ok());
        let place = place.and_then(|place| self.places.get_mut(place));
        place.ok_or_else(|| format!("entry {index} is not committed, the last is {last}"))
    }
}

/// What a membership entry does to the configuration, and the command that is in it: a number of steps,
/// each a kind and an id, then the command.
fn change_shape((voters, learners): &mut Shape, entry: &Bytes) -> Result<Bytes, String> {
    let mut rest = entry.clone();
    let count = rest.try_get_u8().map_err(|error| error.to_string())?;
    if count != 1 {
        return Err(format!("a membership entry of {count} steps at once"));
    }
    let kind = rest.try_get_u8().map_err(|error| error.to_string())?;
    let id = rest.try_get_u64().map_err(|error| error.to_string())?;
    let done = match kind {
        1 => learners.remove(&id) && voters.insert(id),
        2 => !voters.contains(&id) && learners.insert(id),
        3 => voters.remove(&id) || learners.remove(&id),
        _ => false,
    };
    if done && !voters.is_empty() {
        return Ok(rest);
    }
    Err(format!(
        "step {kind} for {id} makes no sense, of {voters:?} and {learners:?}"
    ))
}
