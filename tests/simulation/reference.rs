//! The reference: the committed log, and the state of a store after each of its entries.
//!
//! The first member that applies an entry adds it here. Every other member must apply the same entry and have the
//! same store afterwards. An answer names the entry it was made at, so it is compared with the store as of that
//! entry.

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
use crate::expiry::{ExpiryCheck, Moment};

/// The committed log with the expected states.
pub struct Reference {
    limits: HistoryLimits,
    /// The state after entry `base + i`.
    states: Vec<State>,
    base: u64,
    /// All events, in order.
    events: Vec<Arc<Event>>,
    ids: HashSet<CommandId>,
    /// Operations that changed the store.
    done: HashSet<u64>,
    /// Operations that were refused: they must not be applied.
    never: HashSet<u64>,
    expiry: ExpiryCheck,
}

struct State {
    entry: Option<Entry>,
    command: Option<Command>,
    outcome: Result<Option<Arc<Event>>, Error>,
    store: Store,
    sets: MemberSets,
    hash: Option<u64>,
}

/// Ids of the voters and of the learners.
pub type MemberSets = (BTreeSet<u64>, BTreeSet<u64>);

impl Reference {
    /// The state that all members start with: `store` as of entry `index`, with `many` voters.
    pub fn new(limits: HistoryLimits, index: u64, store: Store, many: usize) -> Self {
        let voters = (1..=many as u64).collect();
        let first = State {
            entry: None,
            command: None,
            outcome: Ok(None),
            store,
            sets: (voters, BTreeSet::new()),
            hash: None,
        };
        Self {
            limits,
            states: vec![first],
            base: index,
            events: Vec::new(),
            ids: HashSet::new(),
            done: HashSet::new(),
            never: HashSet::new(),
            expiry: ExpiryCheck::default(),
        }
    }

    /// Index of the last committed entry.
    pub fn last(&self) -> u64 {
        self.base + self.states.len() as u64 - 1
    }

    /// The store after the last committed entry.
    pub fn store(&self) -> &Store {
        &self.states[self.states.len() - 1].store
    }

    /// The voters and learners after the last committed entry.
    pub fn configuration(&self) -> &MemberSets {
        &self.states[self.states.len() - 1].sets
    }

    /// The cluster settings after the last committed entry.
    pub fn settings(&self) -> Settings {
        let text = self.store().settings();
        text.map_or_else(Settings::default, |text| Settings::parse(&text))
    }

    /// The limits of the event history.
    pub fn limits(&self) -> HistoryLimits {
        self.limits
    }

    /// Number of events.
    pub fn events(&self) -> usize {
        self.events.len()
    }

    /// Add an entry that a member applied.
    ///
    /// # Errors
    ///
    /// If another member applied a different entry at this index, or the result breaks a rule.
    pub fn learn(&mut self, entry: &Entry, moment: &Moment<'_>) -> Result<(), String> {
        if entry.index <= self.last() {
            let known = self.state(entry.index)?;
            return match &known.entry {
                Some(known) if known != entry => Err(format!(
                    "{entry:?} was applied where another member applied {known:?}"
                )),
                Some(_) | None => Ok(()),
            };
        }
        if entry.index != self.last() + 1 {
            return Err(format!(
                "entry {} was applied after entry {}",
                entry.index,
                self.last()
            ));
        }
        let mut store = self.store().clone();
        let mut sets = self.configuration().clone();
        let command = match entry.kind {
            EntryKind::Command => entry.data.clone(),
            EntryKind::Membership => change_members(&mut sets, &entry.data)?,
        };
        let (command, outcome) = if command.is_empty() {
            (None, Ok(None))
        } else {
            let stamped = codec::decode_stamped(&command).map_err(|error| error.to_string())?;
            let first = self.events.len();
            let outcome = store.apply(&stamped, &mut self.events);
            self.judge(&stamped, &outcome, first, moment)?;
            if store.clock() < self.store().clock() {
                return Err(format!(
                    "the cluster clock went back at entry {}",
                    entry.index
                ));
            }
            (Some(stamped.command), outcome)
        };
        self.states.push(State {
            entry: Some(entry.clone()),
            command,
            outcome,
            store,
            sets,
            hash: None,
        });
        Ok(())
    }

    /// Check the result of an applied entry against the rules that hold for every entry.
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
        let before = self.states.last().map(|state| &state.store);
        if let Some(id) = stamped.id
            && changed
            && before.is_some_and(|store| store.is_removed(id.member))
        {
            return Err(format!("a removed member's write was applied: {command:?}"));
        }
        if again && changed {
            return Err(format!(
                "a repeated proposal changed the store: {command:?}"
            ));
        }
        if changed && let Some(number) = client::number_of(command) {
            if !self.done.insert(number) {
                return Err(format!("applied twice: {command:?}"));
            }
            if self.never.contains(&number) {
                return Err(format!("refused, but applied: {command:?}"));
            }
        }
        if let Ok(answer) = outcome {
            self.expiry
                .note(command, answer.as_deref(), &self.events[first..], moment)?;
        }
        Ok(())
    }

    /// Note that an operation was refused.
    ///
    /// # Errors
    ///
    /// If it was applied.
    pub fn never(&mut self, number: u64) -> Result<(), String> {
        self.never.insert(number);
        if self.done.contains(&number) {
            return Err("refused, but applied".to_owned());
        }
        Ok(())
    }

    /// Compare the store of a member with the expected one as of entry `index`.
    ///
    /// # Errors
    ///
    /// If they differ.
    pub fn compare(&mut self, index: u64, store: &Store) -> Result<(), String> {
        let state = self.state_mut(index)?;
        let hash = *state.hash.get_or_insert_with(|| image::hash(&state.store));
        if image::hash(store) != hash {
            let (is, was) = (
                (store.index(), store.clock()),
                (state.store.index(), state.store.clock()),
            );
            return Err(format!(
                "the store differs at entry {index}: {is:?} instead of {was:?}"
            ));
        }
        Ok(())
    }

    /// Compare the configuration of a member with the expected one as of entry `index`.
    ///
    /// # Errors
    ///
    /// If they differ.
    pub fn compare_configuration(
        &self,
        index: u64,
        configuration: &Configuration,
    ) -> Result<(), String> {
        let ids = |ids: &[u64]| ids.iter().copied().collect::<BTreeSet<_>>();
        let sets = (ids(&configuration.voters), ids(&configuration.learners));
        let expected = &self.state(index)?.sets;
        if sets == *expected {
            return Ok(());
        }
        Err(format!(
            "the configuration at entry {index} is {sets:?} instead of {expected:?}"
        ))
    }

    /// Compare the store and its event history with the expected ones.
    ///
    /// # Errors
    ///
    /// If they differ.
    pub fn compare_all(&self, index: u64, store: &Store) -> Result<(), String> {
        if image::encode(store).eq(image::encode(&self.state(index)?.store)) {
            return Ok(());
        }
        Err(format!("the store or its history differs at entry {index}"))
    }

    /// Check the answer to a write.
    ///
    /// # Errors
    ///
    /// If the entry, its result or its order is a different one.
    pub fn check_write(
        &self,
        operation: &Operation,
        command: &Command,
        result: &Result<Arc<Event>, Error>,
        position: Position,
    ) -> Result<(), String> {
        let state = self.state(position.raft_index)?;
        if state.command.as_ref() != Some(command) {
            return Err(format!(
                "answered with entry {}, which is {:?}",
                position.raft_index, state.command
            ));
        }
        let same = match (result, &state.outcome) {
            (Ok(event), Ok(Some(outcome))) => event == outcome,
            (Err(error), Err(outcome)) => error == outcome,
            (Ok(_) | Err(_), Ok(_) | Err(_)) => false,
        };
        if !same || position.index != state.store.index() {
            return Err(format!(
                "answered {result:?} at {position:?}, expected {:?}",
                state.outcome
            ));
        }
        if position.raft_index <= operation.index_min {
            return Err(format!(
                "committed before entry {}, which was answered earlier",
                operation.index_min
            ));
        }
        Ok(())
    }

    /// Check the result of a read at entry `index`.
    ///
    /// # Errors
    ///
    /// If the store had another value at that entry.
    pub fn check_read(
        &self,
        index: u64,
        path: &Path,
        found: Option<&Listing>,
    ) -> Result<(), String> {
        let store = &self.state(index)?.store;
        let expected = store
            .get(path)
            .ok()
            .map(|found| found.listing(true, store.clock()));
        if found == expected.as_ref() {
            return Ok(());
        }
        Err(format!(
            "read {found:?} at entry {index}, expected {expected:?}"
        ))
    }

    /// The next event that a watcher has to receive, from index `next` on.
    pub fn next_event(&self, interest: &Interest, next: u64) -> Option<&Arc<Event>> {
        let from = self.events.partition_point(|event| event.index() < next);
        self.events[from..]
            .iter()
            .find(|event| interest.matches(event))
    }

    /// Check the answer 401 (event index cleared) to a watch from index `since`.
    ///
    /// # Errors
    ///
    /// If the history has to hold these events.
    pub fn check_cleared(&self, since: u64, position: Position) -> Result<(), String> {
        let from = self.events.partition_point(|event| event.index() < since);
        let to = self
            .events
            .partition_point(|event| event.index() <= position.index);
        // Before the first command, each index is that of a member that was added.
        let arrivals = (self.states[0].store.index() + 1).saturating_sub(since);
        let count = to - from + usize::try_from(arrivals).unwrap_or(usize::MAX);
        if count > self.limits.events {
            return Ok(());
        }
        Err(format!(
            "only {count} events since {since}, but the history was answered as cleared"
        ))
    }

    /// Check that a position names the store index and the raft index of the same entry.
    ///
    /// # Errors
    ///
    /// If they differ.
    pub fn check_position(&self, position: Position) -> Result<(), String> {
        if self.state(position.raft_index)?.store.index() == position.index {
            return Ok(());
        }
        Err(format!("indexes of different entries: {position:?}"))
    }

    /// Note the start of a member, which may cost some of the cluster time.
    pub fn note_start(&mut self, now: Duration) {
        self.expiry.note_start(now);
    }

    fn state(&self, index: u64) -> Result<&State, String> {
        let state = index
            .checked_sub(self.base)
            .and_then(|state| self.states.get(usize::try_from(state).ok()?));
        state.ok_or_else(|| {
            format!(
                "entry {index} is not committed, the last is {}",
                self.last()
            )
        })
    }

    fn state_mut(&mut self, index: u64) -> Result<&mut State, String> {
        let last = self.last();
        let state = index
            .checked_sub(self.base)
            .and_then(|state| usize::try_from(state).ok());
        let state = state.and_then(|state| self.states.get_mut(state));
        state.ok_or_else(|| format!("entry {index} is not committed, the last is {last}"))
    }
}

/// Apply a membership entry to the sets and return the command in it. An entry has a number of steps, each a kind
/// and an id, then the command.
fn change_members((voters, learners): &mut MemberSets, entry: &Bytes) -> Result<Bytes, String> {
    let mut rest = entry.clone();
    let count = rest.try_get_u8().map_err(|error| error.to_string())?;
    if count != 1 {
        return Err(format!("a membership entry with {count} steps"));
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
        "step {kind} for {id} is not valid with voters {voters:?} and learners {learners:?}"
    ))
}
