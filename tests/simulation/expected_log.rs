//! The log of a member as it was given to its disk, kept apart from the disk.

use oxetcd::wal::{Batch, Entry};

/// The entries of a member since its start, on disk or not yet.
pub struct ExpectedLog {
    /// Index and term of the snapshot before the first entry.
    base: (u64, u64),
    entries: Vec<Entry>,
}

impl ExpectedLog {
    /// A log with entries after entry `base`.
    pub fn new(base: (u64, u64), entries: Vec<Entry>) -> Self {
        Self { base, entries }
    }

    /// Take a batch for the disk. Returns the first index that it replaced, if it replaced entries.
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

    /// The entry at an index, unless the snapshot covers it.
    pub fn entry(&self, index: u64) -> Option<&Entry> {
        let offset = index.checked_sub(self.base.0 + 1)?;
        self.entries.get(usize::try_from(offset).ok()?)
    }

    /// The term of the entry at an index.
    pub fn term(&self, index: u64) -> Option<u64> {
        if index == self.base.0 {
            return Some(self.base.1);
        }
        self.entry(index).map(|entry| entry.term)
    }

    /// Whether no entry follows the snapshot.
    pub fn is_bare(&self) -> bool {
        self.entries.is_empty()
    }
}
