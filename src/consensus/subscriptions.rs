//! The live watches of this member. The store's [`WatcherIndex`] finds the watchers of an event; this file
//! delivers it to them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;

use super::answer::Position;
use super::input::{Inputs, LiveWatch, StartedWatch, WatchRest, WatcherId};
use crate::store::{Event, Interest, Store, WatcherIndex};

/// How many events of the history one answer carries at most; a stream asks again for more.
const PAST_EVENTS_MAX: usize = 1_000;

/// How many events a live watch may lag behind before it is ended; its client resumes at the next index.
const LIVE_EVENTS_MAX: usize = 1024;

/// The live watches.
pub(super) struct Subscriptions {
    index: WatcherIndex,
    live: HashMap<u64, Subscriber>,
    next_id: u64,
    inputs: Inputs,
    /// The number of live watches, for [`AppliedState`](super::AppliedState).
    count: Arc<AtomicUsize>,
    /// The watchers of one event; kept for its capacity.
    matches: Vec<u64>,
}

struct Subscriber {
    events: mpsc::Sender<Arc<Event>>,
    stream: bool,
}

impl Subscriptions {
    /// No watches yet. A dropped watch reports itself to `inputs`; `count` is kept at the number of live
    /// watches.
    pub(super) fn new(inputs: Inputs, count: Arc<AtomicUsize>) -> Self {
        Self {
            index: WatcherIndex::new(),
            live: HashMap::new(),
            next_id: 0,
            inputs,
            count,
            matches: Vec::new(),
        }
    }

    /// Start a watch: the events of the history since `since`, and a queue for later ones. No event can
    /// be missed between the two, because the caller is the thread that applies.
    pub(super) fn subscribe(
        &mut self,
        store: &Store,
        position: Position,
        interest: Interest,
        stream: bool,
        since: Option<u64>,
    ) -> StartedWatch {
        let after = store.index() + 1;
        let from = since.filter(|&since| since != 0).unwrap_or(after);
        let limit = if stream { PAST_EVENTS_MAX } else { 1 };
        let past = match store.history_since(&interest, from, limit) {
            Ok(past) => past,
            Err(error) => {
                return StartedWatch {
                    position,
                    past: Err(error),
                    rest: WatchRest::Done,
                };
            }
        };
        let rest = if !stream && !past.events.is_empty() {
            WatchRest::Done
        } else if let Some(since) = past.resume_at {
            WatchRest::MoreHistory(since)
        } else {
            WatchRest::Live(self.add_live(interest, stream, from.max(after)))
        };
        StartedWatch {
            position,
            past: Ok(past.events),
            rest,
        }
    }

    /// Deliver an event to the watches that it matches.
    pub(super) fn deliver(&mut self, event: &Arc<Event>) {
        self.index.matches(event, &mut self.matches);
        for id in self.matches.drain(..) {
            let Some(subscriber) = self.live.get(&id) else {
                continue;
            };
            // A full queue means that the watch lagged too far behind: dropping its sender ends it after
            // the queued events. A dropped receiver reports itself by `Request::Unwatch`.
            let lagged = subscriber.events.try_send(event.clone()).is_err();
            if lagged || !subscriber.stream {
                self.index.remove(id);
                self.live.remove(&id);
            }
        }
        self.publish_count();
    }

    /// End a watch.
    pub(super) fn remove(&mut self, id: WatcherId) {
        self.index.remove(id.0);
        self.live.remove(&id.0);
        self.publish_count();
    }

    /// End all watches, because the tree was replaced; their clients resume from the new history.
    pub(super) fn remove_all(&mut self) {
        for (id, _) in self.live.drain() {
            self.index.remove(id);
        }
        self.publish_count();
    }

    fn publish_count(&self) {
        self.count.store(self.live.len(), Ordering::Relaxed);
    }

    fn add_live(&mut self, interest: Interest, stream: bool, since: u64) -> LiveWatch {
        let id = self.next_id;
        self.next_id += 1;
        let (sender, receiver) = mpsc::channel(if stream { LIVE_EVENTS_MAX } else { 1 });
        self.index.add(id, &interest, since, stream);
        self.live.insert(
            id,
            Subscriber {
                events: sender,
                stream,
            },
        );
        self.publish_count();
        LiveWatch::new(WatcherId(id), receiver, self.inputs.clone(), since)
    }
}
