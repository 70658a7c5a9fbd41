//! The latest events, for watchers that start at a past index.

use std::sync::Arc;

use imbl::Vector;

use super::event_filter::EventFilter;
use super::{Code, Error, Event, Interest};

/// How many events one call of [`Store::history_since`](super::Store::history_since) examines; after that it
/// returns the index to continue from.
pub const SCAN_MAX: usize = 25_000;

/// The size of an event besides its keys and values, in bytes.
const EVENT_BYTES: usize = 256;

/// The size of a key that was removed with a directory, besides its text, in bytes.
const REMOVED_BYTES: usize = 40;

/// The limits of the history. If either is exceeded the oldest events are dropped, even the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryLimits {
    /// The largest number of events.
    pub events: usize,
    /// The largest size, in bytes, computed from the lengths of keys and values.
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

/// A part of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastEvents {
    /// The matching events, oldest first.
    pub events: Vec<Arc<Event>>,
    /// The index to continue from, if there may be more.
    pub resume_at: Option<u64>,
}

/// The past events, oldest first. A clone is cheap.
#[derive(Clone)]
pub(super) struct History {
    slots: Vector<Slot>,
    limits: HistoryLimits,
    /// The size of the events, in bytes.
    bytes: usize,
    /// The index of the newest event that was dropped; 0 if none was.
    dropped: u64,
}

/// An event, with a filter that rejects most events that do not match without examining them.
#[derive(Clone)]
struct Slot {
    event: Arc<Event>,
    filter: EventFilter,
}

impl History {
    /// An empty history; `dropped` is the index up to which events are missing.
    pub(super) fn new(limits: HistoryLimits, dropped: u64) -> Self {
        Self {
            slots: Vector::new(),
            limits,
            bytes: 0,
            dropped,
        }
    }

    /// Add the newest event.
    pub(super) fn push(&mut self, event: Arc<Event>) {
        self.bytes += cost(&event);
        let filter = EventFilter::from_event(&event);
        self.slots.push_back(Slot { event, filter });
        while self.slots.len() > self.limits.events || self.bytes > self.limits.bytes {
            let Some(oldest) = self.slots.pop_front() else {
                break;
            };
            self.bytes -= cost(&oldest.event);
            self.dropped = oldest.event.index();
        }
    }

    /// The index up to which events were dropped.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The number of events.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// All events, oldest first.
    pub(super) fn events(&self) -> impl Iterator<Item = &Arc<Event>> {
        self.slots.iter().map(|slot| &slot.event)
    }

    /// The events that match `interest`, from index `since`, at most `limit`; `index` is the store's.
    ///
    /// # Errors
    ///
    /// [`Code::EventIndexCleared`]: an event from index `since` may have been dropped.
    pub(super) fn since(
        &self,
        interest: &Interest,
        since: u64,
        limit: usize,
        index: u64,
    ) -> Result<PastEvents, Error> {
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
            let resume_at = Some(slot.event.index());
            if looked == SCAN_MAX {
                return Ok(PastEvents { events, resume_at });
            }
            if slot.filter.may_match(wanted, interest.recursive) && interest.matches(&slot.event) {
                if events.len() == limit {
                    return Ok(PastEvents { events, resume_at });
                }
                events.push(Arc::clone(&slot.event));
            }
        }
        Ok(PastEvents {
            events,
            resume_at: None,
        })
    }
}

/// The size of an event in bytes, computed the same way on every member, independent of the allocator.
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
