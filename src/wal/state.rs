//! Where the log stands, and what a batch may do to it.
//!
//! The same rules hold when a batch is written and when it is read again, so nothing is ever written that
//! would be refused after a restart, and nothing reaches Raft that it would stop at.

use super::batch::Part;
use super::entry::{HardState, SnapshotMeta};

/// Where the log stands after some record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// Term, vote and commit mark.
    pub(super) hard_state: HardState,
    /// The snapshot the log begins with.
    pub(super) snapshot: Option<SnapshotMeta>,
    /// The last entry's index; the snapshot's when there is none, 0 when there is neither.
    pub(super) last_index: u64,
    /// Where the terms change: the first index known of each term, and the term; of the entries that
    /// are still there, and were written or read since some segment began.
    terms: Vec<(u64, u64)>,
}

impl State {
    /// The state a segment's header tells of.
    pub(super) fn new(
        hard_state: HardState,
        snapshot: Option<SnapshotMeta>,
        last_index: u64,
        last_term: u64,
    ) -> Self {
        Self {
            hard_state,
            snapshot,
            last_index,
            terms: vec![(last_index, last_term)],
        }
    }

    /// The state after `part`, or why that can't be.
    pub(super) fn after(&self, part: &Part<'_>) -> Result<Self, String> {
        let mut next = self.clone();
        next.vote(part.hard_state)?;
        if let Some(mark) = part.reset {
            next.reset(mark)?;
        } else if let Some(first) = part.entries.first()
            && first.index <= self.hard_state.commit
        {
            return Err(format!(
                "entry {} is replaced, and entries up to {} are committed",
                first.index, self.hard_state.commit
            ));
        }
        next.append(part)?;
        if let Some(mark) = part.compact {
            next.compact(mark)?;
        }
        let (commit, last) = (next.hard_state.commit, next.last_index);
        if commit > last {
            return Err(format!(
                "the commit mark {commit} is above the last entry, {last}"
            ));
        }
        Ok(next)
    }

    /// The term of the last entry.
    pub(super) fn last_term(&self) -> u64 {
        self.terms.last().map_or(0, |(_, term)| *term)
    }

    /// The index before the first entry.
    pub(super) fn base(&self) -> u64 {
        self.snapshot.as_ref().map_or(0, |mark| mark.index)
    }

    fn vote(&mut self, new: HardState) -> Result<(), String> {
        let old = self.hard_state;
        if new.term < old.term {
            return Err(format!("the term falls from {} to {}", old.term, new.term));
        }
        if new.term == old.term && old.vote != 0 && new.vote != old.vote {
            return Err(format!(
                "a second vote in term {}: {:x} after {:x}",
                new.term, new.vote, old.vote
            ));
        }
        if new.commit < old.commit {
            return Err(format!(
                "the commit mark falls from {} to {}",
                old.commit, new.commit
            ));
        }
        self.hard_state = new;
        Ok(())
    }

    fn reset(&mut self, mark: &SnapshotMeta) -> Result<(), String> {
        let base = self.base();
        if mark.index < base {
            return Err(format!(
                "a snapshot of entry {} replaces one of entry {base}",
                mark.index
            ));
        }
        if mark.term > self.hard_state.term {
            return Err(format!(
                "a snapshot of term {} in term {}",
                mark.term, self.hard_state.term
            ));
        }
        self.last_index = mark.index;
        self.terms = vec![(mark.index, mark.term)];
        self.snapshot = Some(mark.clone());
        Ok(())
    }

    fn append(&mut self, part: &Part<'_>) -> Result<(), String> {
        let Some(first) = part.entries.first() else {
            return Ok(());
        };
        if first.index > self.last_index.saturating_add(1) {
            return Err(format!(
                "entry {} follows entry {}",
                first.index, self.last_index
            ));
        }
        if first.index <= self.base() {
            return Err(format!(
                "entry {} lies before the snapshot of entry {}",
                first.index,
                self.base()
            ));
        }
        let mut index = first.index - 1;
        let mut term = self.term_at(index).unwrap_or(0);
        self.terms.retain(|(start, _)| *start < first.index);
        for entry in part.entries {
            if Some(entry.index) != index.checked_add(1) {
                return Err(format!("entry {} follows entry {index}", entry.index));
            }
            if entry.term < term || entry.term > self.hard_state.term {
                return Err(format!(
                    "entry {} is of term {}, the one before of {term}, the member in {}",
                    entry.index, entry.term, self.hard_state.term
                ));
            }
            if entry.term != term || self.terms.is_empty() {
                self.terms.push((entry.index, entry.term));
            }
            (index, term) = (entry.index, entry.term);
        }
        self.last_index = index;
        Ok(())
    }

    fn compact(&mut self, mark: &SnapshotMeta) -> Result<(), String> {
        if self.snapshot.is_some() && mark.index <= self.base() {
            return Ok(());
        }
        if mark.index > self.last_index {
            return Err(format!(
                "a snapshot of entry {}, above the last one, {}",
                mark.index, self.last_index
            ));
        }
        if let Some(term) = self.term_at(mark.index)
            && term != mark.term
        {
            return Err(format!(
                "a snapshot of entry {} of term {}, which is of term {term}",
                mark.index, mark.term
            ));
        }
        self.snapshot = Some(mark.clone());
        let begun = self
            .terms
            .partition_point(|(start, _)| *start <= mark.index);
        self.terms.drain(..begun.saturating_sub(1));
        Ok(())
    }

    /// The term of an entry, if it is known.
    fn term_at(&self, index: u64) -> Option<u64> {
        if index > self.last_index {
            return None;
        }
        let begun = self.terms.partition_point(|(start, _)| *start <= index);
        let (_, term) = self.terms.get(begun.checked_sub(1)?)?;
        Some(*term)
    }
}
