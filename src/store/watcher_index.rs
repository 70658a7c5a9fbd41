//! Who waits for what.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included};
use std::sync::Arc;

use super::{Event, Interest, Path};

/// The live watchers, by key. No part of the store: each member has its own, and numbers them as it
/// likes. It holds as many as it is given; whoever adds them bounds them.
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
    /// A hub without watchers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Add watcher `id`, which hears of events from index `since` on (0 for any that come), of all of
    /// them if it is a `stream`, else of one. An `id` that is there already is replaced.
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

    /// Forget watcher `id`; whether it was there.
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

    /// How many there are.
    pub fn len(&self) -> usize {
        self.paths.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// Append to `matches` every watcher that is to hear `event`, each once, and forget those of them
    /// that wait for one event only. What [`Interest::hears`] says of one, this finds for all.
    pub fn matches(&mut self, event: &Event, matches: &mut Vec<u64>) {
        if self.is_empty() {
            return;
        }
        let first = matches.len();
        let mut heard = Hearing {
            index: event.index(),
            matches,
            once: Vec::new(),
        };
        self.at_and_above(event, &mut heard);
        self.below(event, &mut heard);
        let once = heard.once;
        debug_assert!(once.len() <= matches.len() - first);
        for id in once {
            self.remove(id);
        }
    }

    /// Those at the event's key, and those above who hear of what is below.
    fn at_and_above(&self, event: &Event, heard: &mut Hearing<'_>) {
        let key = &event.node.path;
        if let Some(here) = self.watchers.get(key.text()) {
            heard.add(here, |_| true);
        }
        let text = key.text();
        // From the nearest up; what is hidden from one directory is hidden from all above it.
        for (slash, _) in text.rmatch_indices('/') {
            if key.is_root() || text[slash..].starts_with("/_") {
                break;
            }
            let above = if slash == 0 { "/" } else { &text[..slash] };
            if let Some(here) = self.watchers.get(above) {
                heard.add(here, |watcher| watcher.recursive);
            }
        }
    }

    /// Those below, at keys that went with the event's key.
    fn below(&self, event: &Event, heard: &mut Hearing<'_>) {
        if event.removed.is_empty() {
            return;
        }
        let prefix = event.node.path.prefix();
        let (from, to) = (format!("{prefix}/"), format!("{prefix}0"));
        let range = (Included(from.as_str()), Excluded(to.as_str()));
        for (path, here) in self.watchers.range::<str, _>(range) {
            let gone =
                Path::parse(path).is_ok_and(|path| event.removed.binary_search(&path).is_ok());
            if gone {
                heard.add(here, |_| true);
            }
        }
    }
}

/// Who hears one event, while it is found out.
struct Hearing<'a> {
    index: u64,
    matches: &'a mut Vec<u64>,
    once: Vec<u64>,
}

impl Hearing<'_> {
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
