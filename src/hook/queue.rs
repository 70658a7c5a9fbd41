//! Which change is due: in order for each key, side by side for different ones. Pure: time is passed in.
//!
//! A change of a directory as a whole (made, removed, expired) also keeps its place among the changes of
//! what is below it.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::client::watch::Change;

/// How many changes may wait or run; then no more are taken until one is settled.
pub(super) const CHANGES_MAX: usize = 1024;

/// How many bytes of changes may; the last one taken may go beyond.
const BYTES_MAX: usize = 8 << 20;

/// A key that changes all the time is not put off for longer than this many times the debounce.
const DEBOUNCES_MAX: u32 = 10;

/// How long to wait before the first retry; the wait doubles with each.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The longest wait before a retry.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// How changes are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    /// How many commands may run at once.
    pub(crate) concurrency: usize,
    /// How long a key must be left alone before its latest change is run; zero to run each change.
    pub(crate) debounce: Duration,
    /// How often a command that failed is run again.
    pub(crate) retries: u32,
}

/// A change to be run for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// Its place in the order of all changes, in the store's index.
    pub(super) position: u64,
    pub(super) change: Arc<Change>,
}

/// What to run now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Job {
    /// Whose change it is; given back when it ended.
    pub(super) key: String,
    pub(super) change: Arc<Change>,
    /// How often it was run before.
    pub(super) failures: u32,
}

/// What becomes of a change whose command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is over: these were handled, the last one by the command. To be [settled](Queue::settle).
    Handled(Vec<Item>),
    /// It failed for good: as above, but it is for the caller to say whether these are handled.
    Failed(Vec<Item>),
    /// It is run again after this long.
    Again(Duration),
}

/// The changes that wait or run.
pub(super) struct Queue {
    rules: Rules,
    lanes: BTreeMap<String, VecDeque<Entry>>,
    /// The first of each lane that does not run, by age.
    fronts: BTreeMap<u64, String>,
    /// How many commands run, or ran and are not settled.
    running: usize,
    count: usize,
    bytes: usize,
    /// The age of the next one.
    next: u64,
}

/// A change, and those before it that it stands for.
struct Entry {
    age: u64,
    items: Vec<Item>,
    failures: u32,
    /// When it was first put in.
    since: Instant,
    not_before: Instant,
}

impl Queue {
    /// An empty queue. See [`Queue::has_room`] for its bound.
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

    /// Whether another change may be put in.
    pub(super) fn has_room(&self) -> bool {
        self.count < CHANGES_MAX && self.bytes < BYTES_MAX
    }

    /// Whether nothing waits or runs.
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Put a change in.
    pub(super) fn put(&mut self, item: Item, now: Instant) {
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

    /// The next change that may run now, if there is one and not too many run.
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

    /// When [`Queue::start`] may have something that it does not have now, if nothing ends before.
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

    /// The command that was started for `key` ended.
    pub(super) fn ended(&mut self, key: &str, succeeded: bool, now: Instant) -> Verdict {
        let retries = self.rules.retries;
        let Some(entry) = self.lanes.get_mut(key).and_then(VecDeque::front_mut) else {
            return Verdict::Handled(Vec::new());
        };
        if succeeded {
            return Verdict::Handled(entry.items.clone());
        }
        if entry.failures >= retries {
            return Verdict::Failed(entry.items.clone());
        }
        let doubled = RETRY_AFTER.saturating_mul(2_u32.saturating_pow(entry.failures));
        let pause = doubled.min(RETRY_AFTER_MAX);
        entry.failures += 1;
        entry.not_before = now + pause;
        self.fronts.insert(entry.age, key.to_owned());
        self.running -= 1;
        Verdict::Again(pause)
    }

    /// The change that ended for `key` needs no more attention: its place is free.
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

    /// Whether something older must end first: of a directory above, or, if this is of a directory, of
    /// anything below.
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

/// Whether a change is of a directory as a whole.
fn is_of_directory(change: &Change) -> bool {
    let event = &change.event;
    event.node.dir || event.prev_node.as_ref().is_some_and(|node| node.dir)
}
