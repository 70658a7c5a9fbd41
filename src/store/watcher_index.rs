//! The live watchers by key, and which of them an event matches.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included};
use std::sync::Arc;

use super::{Event, Interest, Path};

/// The live watchers, by key. They are not part of the store: each member has its own, with its own ids. The
/// number is not limited here; the caller limits it.
#[derive(Debug, Default)]
pub struct WatcherIndex {
    watchers: BTreeMap<Arc<str>, BTreeMap<u64, Watcher>>,
    paths: BTreeMap<u64, Arc<str>>,
}

#[derive(Debug)]
struct Watcher {
    recursive: bool,
    since: u64,
    stream: bool,
}

impl WatcherIndex {
    /// An index without watchers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Add watcher `id` for events from index `since` (0 for any): for all of them if it is a `stream`, otherwise
    /// for one. An existing watcher with that id is replaced.
    pub fn add(&mut self, id: u64, interest: &Interest, since: u64, stream: bool) {
        self.remove(id);
        let path = interest.path.shared_text();
        let watcher = Watcher {
            recursive: interest.recursive,
            since,
            stream,
        };
        self.paths.insert(id, Arc::clone(&path));
        self.watchers.entry(path).or_default().insert(id, watcher);
    }

    /// Remove watcher `id`. Returns whether there was one.
    pub fn remove(&mut self, id: u64) -> bool {
        let Some(path) = self.paths.remove(&id) else {
            return false;
        };
        if let Some(here) = self.watchers.get_mut(&path) {
            here.remove(&id);
            if here.is_empty() {
                self.watchers.remove(&path);
            }
        }
        true
    }

    /// The number of watchers.
    pub fn len(&self) -> usize {
        self.paths.len()
    }

    /// Whether there are no watchers.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// Append to `matches` the id of each watcher that `event` matches, each once, and remove those that wait
    /// for one event only. The result is the same as that of [`Interest::matches`] for each watcher.
    pub fn matches(&mut self, event: &Event, matches: &mut Vec<u64>) {
        if self.is_empty() {
            return;
        }
        let first = matches.len();
        let mut matching = Matching {
            index: event.index(),
            matches,
            once: Vec::new(),
        };
        self.at_and_above(event, &mut matching);
        self.below(event, &mut matching);
        let once = matching.once;
        debug_assert!(once.len() <= matches.len() - first);
        for id in once {
            self.remove(id);
        }
    }

    /// Add the watchers of the event's key, and the recursive ones of the directories above.
    fn at_and_above(&self, event: &Event, matching: &mut Matching<'_>) {
        let key = &event.node.path;
        if let Some(here) = self.watchers.get(key.text()) {
            matching.add(here, |_| true);
        }
        let text = key.text();
        // From the nearest directory up: a key that is hidden from one is hidden from all above it.
        for (slash, _) in text.rmatch_indices('/') {
            if key.is_root() || text[slash..].starts_with("/_") {
                break;
            }
            let above = if slash == 0 { "/" } else { &text[..slash] };
            if let Some(here) = self.watchers.get(above) {
                matching.add(here, |watcher| watcher.recursive);
            }
        }
    }

    /// Add the watchers of keys that were removed with the event's key.
    fn below(&self, event: &Event, matching: &mut Matching<'_>) {
        if event.removed.is_empty() {
            return;
        }
        let prefix = event.node.path.prefix();
        let (from, to) = (format!("{prefix}/"), format!("{prefix}0"));
        let range = (Included(from.as_str()), Excluded(to.as_str()));
        for (path, here) in self.watchers.range::<str, _>(range) {
            let is_removed =
                Path::parse(path).is_ok_and(|path| event.removed.binary_search(&path).is_ok());
            if is_removed {
                matching.add(here, |_| true);
            }
        }
    }
}

/// The watchers of one event, while they are collected.
struct Matching<'a> {
    index: u64,
    matches: &'a mut Vec<u64>,
    once: Vec<u64>,
}

impl Matching<'_> {
    fn add(&mut self, here: &BTreeMap<u64, Watcher>, wants: impl Fn(&Watcher) -> bool) {
        for (&id, watcher) in here {
            if wants(watcher) && self.index >= watcher.since {
                self.matches.push(id);
                if !watcher.stream {
                    self.once.push(id);
                }
            }
        }
    }
}
