//! Batches: what is written to the log in one step, and how it looks as the payload of a record.
//!
//! ```text
//! u64 term  u64 vote  u64 commit    the hard state, always
//! u8  0 or 1, then a mark           reset
//! u8  0 or 1, then a mark           compact
//! u64 index of the first entry      0 without entries
//! u32 how many entries              their indices follow each other
//! each: u64 term  u8 kind  u32 length  data
//! ```

use bytes::Bytes;

use super::codec::{Fields, put_hard_state, put_optional_mark, put_u32, put_u64};
use super::entry::{Entry, EntryKind, HardState, SnapshotMeta};

/// The most data an entry may carry, in bytes; a batch with a larger one is refused.
pub const ENTRY_BYTES_MAX: usize = 64 << 20;

/// What an entry takes besides its data.
const ENTRY_FRAME_BYTES: usize = 13;

/// What is to be made durable in one step, applied in the order of the fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The new hard state; none when it did not change. Its commit mark is raised to that of `reset` and
    /// `compact`, since a snapshot holds only what is committed.
    pub hard_state: Option<HardState>,
    /// A snapshot that replaces the whole log. Its file must already be durable.
    pub reset: Option<SnapshotMeta>,
    /// Entries, one index after the other. They follow the last one, or replace everything from the
    /// first one's index on.
    pub entries: Vec<Entry>,
    /// A snapshot that stands for all entries up to its index, which may be forgotten. Its file must
    /// already be durable. One at or below the snapshot the log already begins with changes nothing.
    pub compact: Option<SnapshotMeta>,
}

/// As much of a batch as goes into one record, with the hard state it leads to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part<'a> {
    pub(super) hard_state: HardState,
    pub(super) reset: Option<&'a SnapshotMeta>,
    pub(super) entries: &'a [Entry],
    pub(super) compact: Option<&'a SnapshotMeta>,
}

impl Batch {
    /// Go on with `later`, as if both were one step.
    pub fn absorb(&mut self, later: Self) {
        if later.reset.is_some() {
            // What the log held before a reset is gone.
            let hard_state = self.hard_state;
            *self = later;
            self.hard_state = self.hard_state.or(hard_state);
            return;
        }
        self.hard_state = later.hard_state.or(self.hard_state);
        self.compact = later.compact.or(self.compact.take());
        if let Some(first) = later.entries.first() {
            let kept = self
                .entries
                .partition_point(|entry| entry.index < first.index);
            self.entries.truncate(kept);
        }
        self.entries.extend(later.entries);
    }

    /// The bytes of its entries' data.
    pub fn entry_bytes(&self) -> usize {
        self.entries.iter().map(|entry| entry.data.len()).sum()
    }

    /// Cut into parts of about `bytes` at most, at least one entry each. Each is true by itself: the
    /// first carries term, vote and reset, no commit mark is above the entries that are there.
    ///
    /// `current` is the hard state before, `last_index` the log's last entry.
    pub(super) fn parts(&self, bytes: usize, current: HardState, last_index: u64) -> Vec<Part<'_>> {
        let mut wanted = self.hard_state.unwrap_or(current);
        for mark in self.reset.iter().chain(&self.compact) {
            wanted.commit = wanted.commit.max(mark.index);
        }
        let mut last_index = self.reset.as_ref().map_or(last_index, |mark| mark.index);
        let mut parts = Vec::with_capacity(1);
        let mut rest = self.entries.as_slice();
        loop {
            let (entries, later) = rest.split_at(count_within(rest, bytes));
            last_index = entries.last().map_or(last_index, |entry| entry.index);
            let whole = later.is_empty();
            let commit = if whole {
                wanted.commit
            } else {
                wanted.commit.min(last_index)
            };
            parts.push(Part {
                hard_state: HardState { commit, ..wanted },
                reset: self.reset.as_ref().filter(|_| parts.is_empty()),
                entries,
                compact: self.compact.as_ref().filter(|_| whole),
            });
            if whole {
                return parts;
            }
            rest = later;
        }
    }

    /// Read a record's payload.
    pub(super) fn decode(payload: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(payload);
        let hard_state = fields.hard_state()?;
        let reset = fields.optional_mark()?;
        let compact = fields.optional_mark()?;
        let first = fields.u64()?;
        let count = fields.u32()?;
        let mut entries = Vec::new();
        for place in 0..u64::from(count) {
            entries.push(Entry {
                index: first.checked_add(place)?,
                term: fields.u64()?,
                kind: kind_from(fields.u8()?)?,
                data: {
                    let length = fields.u32()? as usize;
                    Bytes::copy_from_slice(fields.bytes(length)?)
                },
            });
        }
        fields.is_empty().then_some(Self {
            hard_state: Some(hard_state),
            reset,
            entries,
            compact,
        })
    }
}

impl<'a> Part<'a> {
    /// A decoded batch, which is always one part.
    pub(super) fn of(batch: &'a Batch) -> Self {
        Self {
            hard_state: batch.hard_state.unwrap_or_default(),
            reset: batch.reset.as_ref(),
            entries: &batch.entries,
            compact: batch.compact.as_ref(),
        }
    }

    /// Append the payload to `out`. None when an entry is larger than [`ENTRY_BYTES_MAX`].
    pub(super) fn encode(&self, out: &mut Vec<u8>) -> Option<()> {
        put_hard_state(out, &self.hard_state);
        put_optional_mark(out, self.reset);
        put_optional_mark(out, self.compact);
        put_u64(out, self.entries.first().map_or(0, |entry| entry.index));
        put_u32(out, u32::try_from(self.entries.len()).ok()?);
        for entry in self.entries {
            if entry.data.len() > ENTRY_BYTES_MAX {
                return None;
            }
            put_u64(out, entry.term);
            out.push(kind_to(entry.kind));
            put_u32(out, u32::try_from(entry.data.len()).ok()?);
            out.extend_from_slice(&entry.data);
        }
        Some(())
    }
}

/// How many of the first entries fit into `bytes`; one at least, if there is one.
fn count_within(entries: &[Entry], bytes: usize) -> usize {
    let mut sum = 0;
    let fitting = entries.iter().take_while(|entry| {
        sum += ENTRY_FRAME_BYTES + entry.data.len();
        sum <= bytes
    });
    fitting.count().max(1).min(entries.len())
}

fn kind_to(kind: EntryKind) -> u8 {
    match kind {
        EntryKind::Command => 0,
        EntryKind::Membership => 1,
    }
}

fn kind_from(byte: u8) -> Option<EntryKind> {
    match byte {
        0 => Some(EntryKind::Command),
        1 => Some(EntryKind::Membership),
        _ => None,
    }
}
