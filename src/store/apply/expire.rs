//! Expiry of nodes.

use std::sync::Arc;

use super::super::counters::Counter;
use super::super::{Action, Event, Store};

/// How many nodes one entry removes at most; the leader proposes another entry while more are due.
pub const EXPIRE_MAX: usize = 1000;

impl Store {
    /// Remove the nodes whose deadline has passed, the earliest first, each as a separate change.
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
            let event = self.remove_node(Action::Expire, &path, &node);
            self.counters.count(Counter::ExpireCount);
            self.publish(event, events);
        }
    }
}
