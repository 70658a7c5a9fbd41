//! What has outlived its time.

use std::sync::Arc;

use super::super::counters::Counter;
use super::super::{Action, Event, Store};

/// How many keys and directories one entry drops; the leader proposes another while more are due.
pub const EXPIRE_MAX: usize = 1000;

impl Store {
    /// Drop what is due, the longest overdue first, each as a change of its own.
    pub(super) fn expire(&mut self, events: &mut Vec<Arc<Event>>) {
        for _ in 0..EXPIRE_MAX {
            let due = self.tree.next_deadline();
            let Some((_, path)) = due.filter(|(deadline, _)| *deadline <= self.clock).cloned()
            else {
                break;
            };
            let Some(node) = self.tree.get(&path).cloned() else {
                break;
            };
            let event = self.take_away(Action::Expire, &path, &node);
            self.counters.count(Counter::ExpireCount);
            self.publish(event, events);
        }
    }
}
