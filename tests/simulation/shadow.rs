//! A member's log as it was handed to its disk, kept outside of it.

use oxetcd::wal::{Batch, Entry};

/// The entries a member has had since it started, whether they are on disk or not.
pub struct Shadow {
    /// The index and term of the snapshot it began with.
    base: (u64, u64),
    entries: Vec<Entry>,
}

impl Shadow {
    /// What a member starts with: entries after the entry `base`.
    pub fn new(base: (u64, u64), entries: Vec<Entry>) -> Self {
        Self { base, entries }
    }

    /// A batch for the disk; from which index on it replaced what was there, if it did.
    pub fn take(&mut self, batch: &Batch) -> Option<u64> {
        let reset = batch.reset.as_ref().map(|meta| {
            self.base = (meta.index, meta.term);
            self.entries.clear();
            meta.index + 1
        });
        let Some(first) = batch.entries.first() else {
            return reset;
        };
        let kept = usize::try_from(first.index - self.base.0 - 1).expect("a short log");
        let replaced = kept < self.entries.len();
        self.entries.truncate(kept);
        self.entries.extend(batch.entries.iter().cloned());
        reset.or(replaced.then_some(first.index))
    }

    /// The entry with this index, unless it is older than the snapshot.
    pub fn entry(&self, index: u64) -> Option<&Entry> {
        let place = index.checked_sub(self.base.0 + 1)?;
        self.entries.get(usize::try_from(place).ok()?)
    }

    /// Its term.
    pub fn term(&self, index: u64) -> Option<u64> {
        if index == self.base.0 {
            return Some(self.base.1);
        }
        self.entry(index).map(|entry| entry.term)
    }

    /// Whether nothing came after the snapshot it began with.
    pub fn is_bare(&self) -> bool {
        self.entries.is_empty()
    }
}
