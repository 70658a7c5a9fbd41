//! The state of the log, and what a batch may change about it.
//!
//! The same rules are checked when a batch is written and when it is read, so a batch that would be refused
//! after a restart is never written, and nothing reaches Raft at which it would panic.

use std::fmt;

use super::batch::Part;
use super::entry::{HardState, SnapshotMeta};

/// The state of the log after a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// Term, vote and commit index.
    pub(super) hard_state: HardState,
    /// The snapshot the log begins with.
    pub(super) snapshot: Option<SnapshotMeta>,
    /// The last entry's index; the snapshot's if there is no entry, 0 if there is neither.
    pub(super) last_index: u64,
    /// Where the terms change: the first known index of each term, and the term. It covers the entries that
    /// are still in the log and were written or read since the header of some segment.
    terms: Vec<(u64, u64)>,
}

/// Why a batch cannot follow the state of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StateError {
    /// The term decreases.
    TermDecreases { old: u64, new: u64 },
    /// A second vote in the same term.
    SecondVote { term: u64, old: u64, new: u64 },
    /// The commit index decreases.
    CommitDecreases { old: u64, new: u64 },
    /// The commit index is above the last entry.
    CommitAboveLast { commit: u64, last: u64 },
    /// A committed entry is replaced.
    ReplacesCommitted { index: u64, commit: u64 },
    /// A snapshot replaces a newer one.
    OlderSnapshot { index: u64, base: u64 },
    /// A snapshot is of a later term than the member.
    SnapshotOfLaterTerm { snapshot: u64, term: u64 },
    /// A snapshot is above the last entry.
    SnapshotAboveLast { index: u64, last: u64 },
    /// A snapshot has another term than its entry.
    SnapshotTerm {
        index: u64,
        snapshot: u64,
        entry: u64,
    },
    /// There is a gap between two entries.
    Gap { index: u64, before: u64 },
    /// An entry is not above the snapshot.
    BelowSnapshot { index: u64, base: u64 },
    /// The term of an entry is below that of the entry before it, or above that of the member.
    EntryTerm {
        index: u64,
        entry: u64,
        before: u64,
        term: u64,
    },
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TermDecreases { old, new } => {
                write!(f, "the term decreases from {old} to {new}")
            }
            Self::SecondVote { term, old, new } => {
                write!(f, "second vote in term {term}: for {new:x} after {old:x}")
            }
            Self::CommitDecreases { old, new } => {
                write!(f, "the commit index decreases from {old} to {new}")
            }
            Self::CommitAboveLast { commit, last } => {
                write!(
                    f,
                    "the commit index {commit} is above the last entry {last}"
                )
            }
            Self::ReplacesCommitted { index, commit } => write!(
                f,
                "entry {index} is replaced although entries up to {commit} are committed"
            ),
            Self::OlderSnapshot { index, base } => write!(
                f,
                "the snapshot at entry {index} replaces a newer one at entry {base}"
            ),
            Self::SnapshotOfLaterTerm { snapshot, term } => {
                write!(f, "snapshot of term {snapshot} in term {term}")
            }
            Self::SnapshotAboveLast { index, last } => write!(
                f,
                "the snapshot at entry {index} is above the last entry {last}"
            ),
            Self::SnapshotTerm {
                index,
                snapshot,
                entry,
            } => write!(
                f,
                "the snapshot at entry {index} is of term {snapshot}, the entry of term {entry}"
            ),
            Self::Gap { index, before } => write!(f, "entry {index} follows entry {before}"),
            Self::BelowSnapshot { index, base } => {
                write!(f, "entry {index} is not above the snapshot at entry {base}")
            }
            Self::EntryTerm {
                index,
                entry,
                before,
                term,
            } => write!(
                f,
                "entry {index} is of term {entry}, the entry before it of term {before}, and the \
                 member is in term {term}"
            ),
        }
    }
}

impl State {
    /// The state in a segment's header.
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

    /// The state after `part`.
    ///
    /// # Errors
    ///
    /// [`StateError`]: the part cannot follow this state.
    pub(super) fn after(&self, part: &Part<'_>) -> Result<Self, StateError> {
        let mut next = self.clone();
        next.vote(part.hard_state)?;
        if let Some(meta) = part.reset {
            next.reset(meta)?;
        } else if let Some(first) = part.entries.first()
            && first.index <= self.hard_state.commit
        {
            return Err(StateError::ReplacesCommitted {
                index: first.index,
                commit: self.hard_state.commit,
            });
        }
        next.append(part)?;
        if let Some(meta) = part.compact {
            next.compact(meta)?;
        }
        let (commit, last) = (next.hard_state.commit, next.last_index);
        if commit > last {
            return Err(StateError::CommitAboveLast { commit, last });
        }
        Ok(next)
    }

    /// The term of the last entry.
    pub(super) fn last_term(&self) -> u64 {
        self.terms.last().map_or(0, |(_, term)| *term)
    }

    /// The index before the first entry.
    pub(super) fn base(&self) -> u64 {
        self.snapshot.as_ref().map_or(0, |meta| meta.index)
    }

    fn vote(&mut self, new: HardState) -> Result<(), StateError> {
        let old = self.hard_state;
        if new.term < old.term {
            return Err(StateError::TermDecreases {
                old: old.term,
                new: new.term,
            });
        }
        if new.term == old.term && old.vote != 0 && new.vote != old.vote {
            return Err(StateError::SecondVote {
                term: new.term,
                old: old.vote,
                new: new.vote,
            });
        }
        if new.commit < old.commit {
            return Err(StateError::CommitDecreases {
                old: old.commit,
                new: new.commit,
            });
        }
        self.hard_state = new;
        Ok(())
    }

    fn reset(&mut self, meta: &SnapshotMeta) -> Result<(), StateError> {
        let base = self.base();
        if meta.index < base {
            return Err(StateError::OlderSnapshot {
                index: meta.index,
                base,
            });
        }
        if meta.term > self.hard_state.term {
            return Err(StateError::SnapshotOfLaterTerm {
                snapshot: meta.term,
                term: self.hard_state.term,
            });
        }
        self.last_index = meta.index;
        self.terms = vec![(meta.index, meta.term)];
        self.snapshot = Some(meta.clone());
        Ok(())
    }

    fn append(&mut self, part: &Part<'_>) -> Result<(), StateError> {
        let Some(first) = part.entries.first() else {
            return Ok(());
        };
        if first.index > self.last_index.saturating_add(1) {
            return Err(StateError::Gap {
                index: first.index,
                before: self.last_index,
            });
        }
        if first.index <= self.base() {
            return Err(StateError::BelowSnapshot {
                index: first.index,
                base: self.base(),
            });
        }
        let mut index = first.index - 1;
        let mut term = self.term_at(index).unwrap_or(0);
        self.terms.retain(|(start, _)| *start < first.index);
        for entry in part.entries {
            if Some(entry.index) != index.checked_add(1) {
                return Err(StateError::Gap {
                    index: entry.index,
                    before: index,
                });
            }
            if entry.term < term || entry.term > self.hard_state.term {
                return Err(StateError::EntryTerm {
                    index: entry.index,
                    entry: entry.term,
                    before: term,
                    term: self.hard_state.term,
                });
            }
            if entry.term != term || self.terms.is_empty() {
                self.terms.push((entry.index, entry.term));
            }
            (index, term) = (entry.index, entry.term);
        }
        self.last_index = index;
        Ok(())
    }

    fn compact(&mut self, meta: &SnapshotMeta) -> Result<(), StateError> {
        if self.snapshot.is_some() && meta.index <= self.base() {
            return Ok(());
        }
        if meta.index > self.last_index {
            return Err(StateError::SnapshotAboveLast {
                index: meta.index,
                last: self.last_index,
            });
        }
        if let Some(term) = self.term_at(meta.index)
            && term != meta.term
        {
            return Err(StateError::SnapshotTerm {
                index: meta.index,
                snapshot: meta.term,
                entry: term,
            });
        }
        self.snapshot = Some(meta.clone());
        let started = self
            .terms
            .partition_point(|(start, _)| *start <= meta.index);
        self.terms.drain(..started.saturating_sub(1));
        Ok(())
    }

    /// The term of an entry, if it is known.
    fn term_at(&self, index: u64) -> Option<u64> {
        if index > self.last_index {
            return None;
        }
        let started = self.terms.partition_point(|(start, _)| *start <= index);
        let (_, term) = self.terms.get(started.checked_sub(1)?)?;
        Some(*term)
    }
}
