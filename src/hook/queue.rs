//! Which change may run now: changes of one key in order, those of different keys concurrently. Pure: the time
//! is a parameter.
//!
//! A change of a whole directory (created, removed, expired) also stays in order with the changes below it.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::client::watch::Change;

/// The number of changes that may wait or run; then no more are taken until one is settled.
pub(super) const CHANGES_MAX: usize = 1024;

/// The same in bytes; the last change taken may exceed it.
const BYTES_MAX: usize = 8 << 20;

/// A key that changes all the time is delayed by at most this many times the debounce time.
const DEBOUNCES_MAX: u32 = 10;

/// The delay before the first retry; it doubles with each.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The longest delay before a retry.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// How commands run for changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    /// The number of commands that may run at once.
    pub(crate) concurrency: usize,
    /// The time without further changes of a key before its latest change runs; zero to run every change.
    pub(crate) debounce: Duration,
    /// The number of times a failed command is run again.
    pub(crate) retries: u32,
}

/// A change that waits for its command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// Its position in the order of all changes: the store's index.
    pub(super) position: u64,
    pub(super) change: Arc<Change>,
}

/// A change whose command is to run now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Job {
    /// The key of the change; passed to [`Queue::complete`] when the command has ended.
    pub(super) key: String,
    pub(super) change: Arc<Change>,
    /// The number of failed runs before this one.
    pub(super) failures: u32,
}

/// The result for a change whose command has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Completion {
    /// These changes are handled, the last one by the command. To be [settled](Queue::settle).
    Handled(Vec<Item>),
    /// The last attempt failed: as above, but the caller decides whether these changes are handled.
    Failed(Vec<Item>),
    /// The command runs again after this delay.
    Retry(Duration),
}

/// The changes that wait or run.
pub(super) struct Queue {
    rules: Rules,
    lanes: BTreeMap<String, VecDeque<Entry>>,
    /// The first change of each lane whose command is not running, by age.
    fronts: BTreeMap<u64, String>,
    /// The number of commands that run, or have ended and are not settled.
    running: usize,
    count: usize,
    bytes: usize,
    /// The age of the next change.
    next: u64,
}

/// A change, and the earlier ones of its key that it replaces.
struct Entry {
    age: u64,
    items: Vec<Item>,
    failures: u32,
    /// When the first of them was queued.
    since: Instant,
    not_before: Instant,
}

impl Queue {
    /// An empty queue. Its bound is [`Queue::has_room`]: the caller stops reading events when it is full.
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            rules,
            lanes: BTreeMap::new(),
            fronts: BTreeMap::new(),
            running: 0,
            count: 0,
            bytes: 0,
            next: 0,
        }
    }

    /// Whether another change may be queued.
    pub(super) fn has_room(&self) -> bool {
        self.count < CHANGES_MAX && self.bytes < BYTES_MAX
    }

    /// Whether nothing waits or runs.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Queue a change.
    pub(super) fn push(&mut self, item: Item, now: Instant) {
        self.count += 1;
        self.bytes += item.change.json.len();
        let key = item.change.event.node.key.clone();
        let debounce = self.rules.debounce;
        let lane = self.lanes.entry(key.clone()).or_default();
        let waits = lane.back().is_some_and(|last| {
            self.fronts.contains_key(&last.age) && last.failures == 0 || lane.len() > 1
        });
        if let Some(last) = lane.back_mut()
            && waits
            && !debounce.is_zero()
            && !(last.is_of_directory() || is_of_directory(&item.change))
        {
            last.items.push(item);
            last.not_before = (now + debounce).min(last.since + debounce * DEBOUNCES_MAX);
            return;
        }
        let age = self.next;
        self.next += 1;
        if lane.is_empty() {
            self.fronts.insert(age, key);
        }
        lane.push_back(Entry {
            age,
            items: vec![item],
            failures: 0,
            since: now,
            not_before: now + debounce,
        });
    }

    /// The next change that may run now, unless the maximum of commands is running.
    pub(super) fn start(&mut self, now: Instant) -> Option<Job> {
        if self.running >= self.rules.concurrency {
            return None;
        }
        let due = self.fronts.iter().find(|(_, key)| {
            self.front(key)
                .is_some_and(|entry| entry.not_before <= now && !self.is_behind(key, entry))
        });
        let (age, key) = due.map(|(age, key)| (*age, key.clone()))?;
        let entry = self.front(&key)?;
        let job = Job {
            change: Arc::clone(&entry.items.last()?.change),
            failures: entry.failures,
            key,
        };
        self.fronts.remove(&age);
        self.running += 1;
        Some(job)
    }

    /// The time at which [`Queue::start`] may return a job, if no command ends before.
    pub(super) fn due_at(&self, now: Instant) -> Option<Instant> {
        if self.running >= self.rules.concurrency {
            return None;
        }
        let fronts = self.fronts.values().filter_map(|key| self.front(key));
        fronts
            .map(|entry| entry.not_before)
            .filter(|at| *at > now)
            .min()
    }

    /// The command that was started for `key` has ended.
    pub(super) fn complete(&mut self, key: &str, succeeded: bool, now: Instant) -> Completion {
        let retries = self.rules.retries;
        let Some(entry) = self.lanes.get_mut(key).and_then(VecDeque::front_mut) else {
            return Completion::Handled(Vec::new());
        };
        if succeeded {
            return Completion::Handled(entry.items.clone());
        }
        if entry.failures >= retries {
            return Completion::Failed(entry.items.clone());
        }
        let doubled = RETRY_AFTER.saturating_mul(2_u32.saturating_pow(entry.failures));
        let pause = doubled.min(RETRY_AFTER_MAX);
        entry.failures += 1;
        entry.not_before = now + pause;
        self.fronts.insert(entry.age, key.to_owned());
        self.running -= 1;
        Completion::Retry(pause)
    }

    /// The completed change of `key` is done with: remove it.
    pub(super) fn settle(&mut self, key: &str) {
        let Some(lane) = self.lanes.get_mut(key) else {
            return;
        };
        if let Some(entry) = lane.pop_front() {
            self.running -= 1;
            self.count -= entry.items.len();
            let bytes = entry.items.iter().map(|item| item.change.json.len());
            self.bytes -= bytes.sum::<usize>();
        }
        match lane.front() {
            Some(next) => {
                self.fronts.insert(next.age, key.to_owned());
            }
            None => {
                self.lanes.remove(key);
            }
        }
    }

    fn front(&self, key: &str) -> Option<&Entry> {
        self.lanes.get(key)?.front()
    }

    /// Whether an older change must end first: one of a directory above, or, if this change is of a directory,
    /// any change below it.
    fn is_behind(&self, key: &str, entry: &Entry) -> bool {
        let above = key.match_indices('/').skip(1).map(|(end, _)| &key[..end]);
        let is_older =
            |other: &&VecDeque<Entry>| other.front().is_some_and(|front| front.age < entry.age);
        if above
            .filter_map(|directory| self.lanes.get(directory))
            .any(|lane| is_older(&lane))
        {
            return true;
        }
        if !entry.is_of_directory() {
            return false;
        }
        let prefix = format!("{}/", key.trim_end_matches('/'));
        let bounds = (Bound::Included(prefix.as_str()), Bound::Unbounded);
        let from = self.lanes.range::<str, _>(bounds);
        from.take_while(|(other, _)| other.starts_with(&prefix))
            .any(|(_, lane)| is_older(&lane))
    }
}

impl Entry {
    fn is_of_directory(&self) -> bool {
        self.items.iter().any(|item| is_of_directory(&item.change))
    }
}

/// Whether a change is of a whole directory.
fn is_of_directory(change: &Change) -> bool {
    let event = &change.event;
    event.node.dir || event.prev_node.as_ref().is_some_and(|node| node.dir)
}
