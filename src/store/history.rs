//! What happened lately, for watchers that ask from an index on.

use std::sync::Arc;

use imbl::Vector;

use super::event_filter::EventFilter;
use super::{Code, Error, Event, Interest};

/// How many events one call of [`Store::history_since`](super::Store::history_since) looks at; after
/// that many it says where to go on.
pub const SCAN_MAX: usize = 25_000;

/// What an event counts for besides its texts and values, in bytes.
const EVENT_BYTES: usize = 256;

/// What a key that went with a directory counts for besides its text, in bytes.
const REMOVED_BYTES: usize = 40;

/// How much history is kept; when either is exceeded the oldest events go, even if none is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryLimits {
    /// At most so many events.
    pub events: usize,
    /// At most so many bytes, by the lengths of what the events hold.
    pub bytes: usize,
}

/// 100,000 events, 64 MiB.
impl Default for HistoryLimits {
    fn default() -> Self {
        Self {
            events: 100_000,
            bytes: 64 << 20,
        }
    }
}

/// A part of the past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// The events asked for, oldest first.
    pub events: Vec<Arc<Event>>,
    /// Where to ask again, if this is not all there is yet.
    pub again: Option<u64>,
}

/// The events of the past, oldest first. A clone costs next to nothing.
#[derive(Clone)]
pub(super) struct History {
    slots: Vector<Slot>,
    limits: HistoryLimits,
    /// What the events count for, in bytes.
    bytes: usize,
    /// The index of the youngest event that was dropped; 0 when none was.
    dropped: u64,
}

/// An event, with a mark that tells most of those nobody asked for without a look at them.
#[derive(Clone)]
struct Slot {
    event: Arc<Event>,
    mark: EventFilter,
}

impl History {
    /// No events; `dropped` is the index up to which nothing is known.
    pub(super) fn new(limits: HistoryLimits, dropped: u64) -> Self {
        Self {
            slots: Vector::new(),
            limits,
            bytes: 0,
            dropped,
        }
    }

    /// Add the youngest event.
    pub(super) fn push(&mut self, event: Arc<Event>) {
        self.bytes += cost(&event);
        let mark = EventFilter::of(&event);
        self.slots.push_back(Slot { event, mark });
        while self.slots.len() > self.limits.events || self.bytes > self.limits.bytes {
            let Some(oldest) = self.slots.pop_front() else {
                break;
            };
            self.bytes -= cost(&oldest.event);
            self.dropped = oldest.event.index();
        }
    }

    /// Up to which index events were dropped.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// How many events there are.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// All events, oldest first.
    pub(super) fn events(&self) -> impl Iterator<Item = &Arc<Event>> {
        self.slots.iter().map(|slot| &slot.event)
    }

    /// The events of `interest` from index `since` on, at most `limit` of them; `index` is the store's.
    ///
    /// # Errors
    ///
    /// [`Code::EventIndexCleared`] when some event from `since` on may have been dropped.
    pub(super) fn since(
        &self,
        interest: &Interest,
        since: u64,
        limit: usize,
        index: u64,
    ) -> Result<Past, Error> {
        if since <= self.dropped {
            let first = self.dropped + 1;
            return Err(Error {
                code: Code::EventIndexCleared,
                cause: format!("the requested history has been cleared [{first}/{since}]"),
                index,
            });
        }
        let from = self
            .slots
            .binary_search_by_key(&since, |slot| slot.event.index())
            .unwrap_or_else(|from| from);
        let wanted = EventFilter::wanted(interest);
        let mut events = Vec::new();
        for (looked, slot) in self.slots.focus().narrow(from..).into_iter().enumerate() {
            let again = Some(slot.event.index());
            if looked == SCAN_MAX {
                return Ok(Past { events, again });
            }
            if slot.mark.may_match(wanted, interest.recursive) && interest.hears(&slot.event) {
                if events.len() == limit {
                    return Ok(Past { events, again });
                }
                events.push(Arc::clone(&slot.event));
            }
        }
        Ok(Past {
            events,
            again: None,
        })
    }
}

/// What an event counts for, in bytes: the same on every member, whatever its allocator does.
fn cost(event: &Event) -> usize {
    let value = event.node.value.as_ref().map_or(0, |value| value.len());
    let before = event
        .prev_node
        .as_ref()
        .and_then(|node| node.value.as_ref());
    let removed = event
        .removed
        .iter()
        .map(|path| path.text().len() + REMOVED_BYTES);
    EVENT_BYTES
        + event.node.path.text().len()
        + value
        + before.map_or(0, |value| value.len())
        + removed.sum::<usize>()
}
