//! What was handled. Pure.
//!
//! The index below which everything is handled, what is handled above it, and the keys that were there as
//! far as was handled, each with the index of its last change: after a gap in the history these tell what
//! changed and what is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::client::watch::Change;

/// The keys that are there, with the index of the last change of each.
pub(super) type Known = BTreeMap<String, u64>;

/// The account of one watch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ledger {
    /// Everything up to here is handled.
    handled: u64,
    /// Positions above `handled` that are.
    above: BTreeSet<u64>,
    /// Positions that are taken and not handled yet, and how many changes each has: after a gap in the
    /// history several share one.
    open: BTreeMap<u64, usize>,
    /// The last position that was taken or skipped.
    taken: u64,
    known: Known,
}

/// What is known of keys after a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// This key is there since this index.
    Set(String, u64),
    /// This key and all below it are gone.
    Gone(String),
}

impl Effect {
    /// What a change does.
    pub(super) fn of(change: &Change) -> Self {
        let event = &change.event;
        let key = event.node.key.clone();
        match event.action.as_str() {
            "delete" | "expire" | "compareAndDelete" => Self::Gone(key),
            _ => Self::Set(key, event.node.modified_index),
        }
    }
}

impl Ledger {
    /// All up to `handled` is, and these keys are there.
    pub(super) fn new(handled: u64, above: impl IntoIterator<Item = u64>, known: Known) -> Self {
        let above: BTreeSet<u64> = above.into_iter().filter(|place| *place > handled).collect();
        Self {
            handled,
            above,
            open: BTreeMap::new(),
            taken: handled,
            known,
        }
    }

    /// Everything up to here is handled.
    pub(super) fn handled(&self) -> u64 {
        self.handled
    }

    /// What is handled above that.
    pub(super) fn above(&self) -> impl Iterator<Item = u64> + '_ {
        self.above.iter().copied()
    }

    /// The keys that are there.
    pub(super) fn known(&self) -> &Known {
        &self.known
    }

    /// The last position that was taken or skipped.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Take a change; false if it is handled already.
    pub(super) fn take(&mut self, position: u64) -> bool {
        let fresh = position > self.handled && !self.above.contains(&position);
        if fresh {
            *self.open.entry(position).or_default() += 1;
        }
        self.taken = self.taken.max(position);
        self.advance();
        fresh
    }

    /// Up to this position there was nothing more.
    pub(super) fn skip_to(&mut self, position: u64) {
        self.taken = self.taken.max(position);
        self.advance();
    }

    /// The store is another one than that of the positions so far; only what is known of keys remains. All
    /// that was taken must be handled.
    pub(super) fn restart_at(&mut self, position: u64) {
        self.handled = position;
        self.taken = position;
        self.above.clear();
        self.open.clear();
    }

    /// A change that was taken is handled.
    pub(super) fn done(&mut self, position: u64, effect: &Effect) {
        self.apply(effect);
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

    pub(super) fn apply(&mut self, effect: &Effect) {
        match effect {
            Effect::Set(key, index) => {
                self.known.insert(key.clone(), *index);
            }
            Effect::Gone(key) => {
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

    /// Move up as far as all is handled.
    fn advance(&mut self) {
        let first_open = self.open.keys().next();
        self.handled = match first_open {
            Some(position) => self.handled.max(position.saturating_sub(1)),
            None => self.handled.max(self.taken),
        };
        self.above = self.above.split_off(&self.handled.saturating_add(1));
    }
}
