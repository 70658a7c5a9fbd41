//! The watchers of this member: who they are is the store's business, delivering is this file's.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;

use super::driver::Inputs;
use super::handle::{LIVE_MAX, Live, Next, Position, WatcherId, Watching};
use crate::store::{Event, Interest, Store, WatcherIndex};

/// How many past events one answer brings; a stream asks again for more.
const PAST_MAX: usize = 1_000;

/// The live watches.
pub(super) struct Watches {
    hub: WatcherIndex,
    live: HashMap<u64, Subscriber>,
    next: u64,
    inputs: Inputs,
    /// How many there are, for whoever wants to know.
    count: Arc<AtomicUsize>,
    matches: Vec<u64>,
}

struct Subscriber {
    events: mpsc::Sender<Arc<Event>>,
    stream: bool,
}

impl Watches {
    /// None yet; `inputs` is how a dropped watch is told, `count` how many there are.
    pub(super) fn new(inputs: Inputs, count: Arc<AtomicUsize>) -> Self {
        let (hub, live, matches) = (WatcherIndex::new(), HashMap::new(), Vec::new());
        Self {
            hub,
            live,
            next: 0,
            inputs,
            count,
            matches,
        }
    }

    /// Begin a watch: what has happened since, and a place for what will. Nothing can slip between the
    /// two, since the caller is the one that applies.
    pub(super) fn begin(
        &mut self,
        store: &Store,
        position: Position,
        interest: Interest,
        stream: bool,
        since: Option<u64>,
    ) -> Watching {
        let after = store.index() + 1;
        let from = since.filter(|&since| since != 0).unwrap_or(after);
        let limit = if stream { PAST_MAX } else { 1 };
        let past = match store.history_since(&interest, from, limit) {
            Ok(past) => past,
            Err(error) => {
                return Watching {
                    position,
                    past: Err(error),
                    next: Next::Done,
                };
            }
        };
        let next = if !stream && !past.events.is_empty() {
            Next::Done
        } else if let Some(again) = past.again {
            Next::Again(again)
        } else {
            Next::Live(self.join(interest, stream, from.max(after)))
        };
        Watching {
            position,
            past: Ok(past.events),
            next,
        }
    }

    /// An event happened: tell those who want to hear it.
    pub(super) fn tell(&mut self, event: &Arc<Event>) {
        self.hub.matches(event, &mut self.matches);
        for id in self.matches.drain(..) {
            let Some(ear) = self.live.get(&id) else {
                continue;
            };
            // One whose queue is full lagged too far behind: dropping its sender ends it, after what is
            // queued. One that is gone says so itself.
            let lagged = ear.events.try_send(event.clone()).is_err();
            if lagged || !ear.stream {
                self.hub.remove(id);
                self.live.remove(&id);
            }
        }
        self.tell_count();
    }

    /// A watch is over.
    pub(super) fn end(&mut self, id: WatcherId) {
        self.hub.remove(id.0);
        self.live.remove(&id.0);
        self.tell_count();
    }

    /// The tree was replaced as a whole: all watches end, and resume from the new history.
    pub(super) fn end_all(&mut self) {
        for (id, _) in self.live.drain() {
            self.hub.remove(id);
        }
        self.tell_count();
    }

    fn tell_count(&self) {
        self.count.store(self.live.len(), Ordering::Relaxed);
    }

    fn join(&mut self, interest: Interest, stream: bool, since: u64) -> Live {
        let id = self.next;
        self.next += 1;
        let (sender, receiver) = mpsc::channel(if stream { LIVE_MAX } else { 1 });
        self.hub.add(id, &interest, since, stream);
        self.live.insert(
            id,
            Subscriber {
                events: sender,
                stream,
            },
        );
        self.tell_count();
        Live::new(WatcherId(id), receiver, self.inputs.clone(), since)
    }
}
