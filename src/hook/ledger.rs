//! Which changes of a watch are handled. Pure.
//!
//! The ledger has the index up to which every change is handled, the positions above it that are handled, and
//! the keys that existed at that point with the index of their last change. After a gap in the event history,
//! comparing these keys with the tree shows what changed and what was removed.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::client::watch::Change;

/// The keys that exist, each with the index of its last change.
pub(super) type KnownKeys = BTreeMap<String, u64>;

/// The handled changes of one watch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ledger {
    /// Every change up to this index is handled.
    handled: u64,
    /// Positions above `handled` that are handled.
    above: BTreeSet<u64>,
    /// Positions that are taken and not handled yet, with their number of changes: after a gap in the
    /// history several changes share one position.
    open: BTreeMap<u64, usize>,
    /// The last position that was taken or skipped.
    taken: u64,
    known: KnownKeys,
}

/// The effect of a change on the keys that exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum KeyUpdate {
    /// The key exists; the index of its last change.
    Set(String, u64),
    /// The key and all keys below it were removed.
    Removed(String),
}

impl KeyUpdate {
    /// The effect of a change.
    pub(super) fn from_change(change: &Change) -> Self {
        let event = &change.event;
        let key = event.node.key.clone();
        match event.action.as_str() {
            "delete" | "expire" | "compareAndDelete" => Self::Removed(key),
            _ => Self::Set(key, event.node.modified_index),
        }
    }
}

impl Ledger {
    /// A ledger where every change up to `handled` is handled and these keys exist.
    pub(super) fn new(
        handled: u64,
        above: impl IntoIterator<Item = u64>,
        known: KnownKeys,
    ) -> Self {
        let above: BTreeSet<u64> = above
            .into_iter()
            .filter(|position| *position > handled)
            .collect();
        Self {
            handled,
            above,
            open: BTreeMap::new(),
            taken: handled,
            known,
        }
    }

    /// Every change up to this index is handled.
    pub(super) fn handled(&self) -> u64 {
        self.handled
    }

    /// The positions above [`Ledger::handled`] that are handled.
    pub(super) fn above(&self) -> impl Iterator<Item = u64> + '_ {
        self.above.iter().copied()
    }

    /// The keys that exist.
    pub(super) fn known(&self) -> &KnownKeys {
        &self.known
    }

    /// The last position that was taken or skipped.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Take a change; false if it is already handled.
    pub(super) fn take(&mut self, position: u64) -> bool {
        let is_new = position > self.handled && !self.above.contains(&position);
        if is_new {
            *self.open.entry(position).or_default() += 1;
        }
        self.taken = self.taken.max(position);
        self.advance();
        is_new
    }

    /// There are no more changes up to this position.
    pub(super) fn skip_to(&mut self, position: u64) {
        self.taken = self.taken.max(position);
        self.advance();
    }

    /// The store was replaced by another one with its own indices: continue at `position` with the known keys.
    /// Every change that was taken must be handled.
    pub(super) fn restart_at(&mut self, position: u64) {
        self.handled = position;
        self.taken = position;
        self.above.clear();
        self.open.clear();
    }

    /// A change that was taken is handled.
    pub(super) fn complete(&mut self, position: u64, update: &KeyUpdate) {
        self.apply(update);
        match self.open.get_mut(&position) {
            Some(more) if *more > 1 => *more -= 1,
            _ => {
                self.open.remove(&position);
                if position > self.handled {
                    self.above.insert(position);
                }
            }
        }
        self.advance();
    }

    /// Update the keys that exist.
    pub(super) fn apply(&mut self, update: &KeyUpdate) {
        match update {
            KeyUpdate::Set(key, index) => {
                self.known.insert(key.clone(), *index);
            }
            KeyUpdate::Removed(key) => {
                self.known.remove(key);
                let prefix = format!("{}/", key.trim_end_matches('/'));
                let bounds = (Bound::Included(prefix.as_str()), Bound::Unbounded);
                let below = self.known.range::<str, _>(bounds);
                let below: Vec<String> = below
                    .map(|(key, _)| key)
                    .take_while(|key| key.starts_with(&prefix))
                    .cloned()
                    .collect();
                for key in below {
                    self.known.remove(&key);
                }
            }
        }
    }

    /// Raise `handled` as far as possible.
    fn advance(&mut self) {
        let first_open = self.open.keys().next();
        self.handled = match first_open {
            Some(position) => self.handled.max(position.saturating_sub(1)),
            None => self.handled.max(self.taken),
        };
        self.above = self.above.split_off(&self.handled.saturating_add(1));
    }
}
