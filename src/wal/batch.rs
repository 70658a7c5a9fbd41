//! Batches: the unit of writing to the log, and its encoding as the payload of a record.
//!
//! ```text
//! u64 term  u64 vote  u64 commit    the hard state, always
//! u8  0 or 1, then metadata         reset
//! u8  0 or 1, then metadata         compact
//! u64 index of the first entry      0 without entries
//! u32 number of entries             their indices are consecutive
//! each: u64 term  u8 kind  u32 length  data
//! ```

use bytes::Bytes;

use super::codec::{Fields, put_hard_state, put_optional_snapshot_meta, put_u32, put_u64};
use super::entry::{Entry, EntryKind, HardState, SnapshotMeta};

/// The largest data of an entry, in bytes; a batch with a larger entry is refused.
pub const ENTRY_BYTES_MAX: usize = 64 << 20;

/// The bytes of an entry besides its data.
const ENTRY_FRAME_BYTES: usize = 13;

/// A write that is made durable in one step; the fields take effect in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The new hard state; none if it did not change. Its commit index is raised to that of `reset` and
    /// `compact`, since a snapshot contains only committed entries.
    pub hard_state: Option<HardState>,
    /// A snapshot that replaces the whole log. Its file must already be durable.
    pub reset: Option<SnapshotMeta>,
    /// Entries with consecutive indices. They follow the last entry, or replace all entries from the first
    /// new index on.
    pub entries: Vec<Entry>,
    /// A snapshot that covers all entries up to its index, which may then be removed. Its file must already
    /// be durable. A snapshot at or below the one the log begins with has no effect.
    pub compact: Option<SnapshotMeta>,
}

/// The part of a batch that goes into one record, with the resulting hard state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part<'a> {
    pub(super) hard_state: HardState,
    pub(super) reset: Option<&'a SnapshotMeta>,
    pub(super) entries: &'a [Entry],
    pub(super) compact: Option<&'a SnapshotMeta>,
}

impl Batch {
    /// Merge with `later`, as if both were one batch.
    pub fn absorb(&mut self, later: Self) {
        if later.reset.is_some() {
            // A reset discards the entries before it.
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

    /// The total size of its entries' data, in bytes.
    pub fn entry_bytes(&self) -> usize {
        self.entries.iter().map(|entry| entry.data.len()).sum()
    }

    /// Split the batch into parts of about `bytes` at most, with at least one entry each. Each part is valid
    /// without the later ones: the first has term, vote and reset, and no commit index is above its entries.
    ///
    /// `current` is the hard state before the batch, `last_index` the last entry of the log.
    pub(super) fn parts(&self, bytes: usize, current: HardState, last_index: u64) -> Vec<Part<'_>> {
        let mut wanted = self.hard_state.unwrap_or(current);
        for meta in self.reset.iter().chain(&self.compact) {
            wanted.commit = wanted.commit.max(meta.index);
        }
        let mut last_index = self.reset.as_ref().map_or(last_index, |meta| meta.index);
        let mut parts = Vec::with_capacity(1);
        let mut rest = self.entries.as_slice();
        loop {
            let (entries, later) = rest.split_at(count_within(rest, bytes));
            last_index = entries.last().map_or(last_index, |entry| entry.index);
            let is_last = later.is_empty();
            let commit = if is_last {
                wanted.commit
            } else {
                wanted.commit.min(last_index)
            };
            parts.push(Part {
                hard_state: HardState { commit, ..wanted },
                reset: self.reset.as_ref().filter(|_| parts.is_empty()),
                entries,
                compact: self.compact.as_ref().filter(|_| is_last),
            });
            if is_last {
                return parts;
            }
            rest = later;
        }
    }

    /// Decode the payload of a record; none if it is malformed.
    pub(super) fn decode(payload: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(payload);
        let hard_state = fields.hard_state()?;
        let reset = fields.optional_snapshot_meta()?;
        let compact = fields.optional_snapshot_meta()?;
        let first = fields.u64()?;
        let count = fields.u32()?;
        let mut entries = Vec::new();
        for offset in 0..u64::from(count) {
            entries.push(Entry {
                index: first.checked_add(offset)?,
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
    /// The single part of a decoded batch.
    pub(super) fn of(batch: &'a Batch) -> Self {
        Self {
            hard_state: batch.hard_state.unwrap_or_default(),
            reset: batch.reset.as_ref(),
            entries: &batch.entries,
            compact: batch.compact.as_ref(),
        }
    }

    /// Append the payload to `out`. None if an entry is larger than [`ENTRY_BYTES_MAX`].
    pub(super) fn encode(&self, out: &mut Vec<u8>) -> Option<()> {
        put_hard_state(out, &self.hard_state);
        put_optional_snapshot_meta(out, self.reset);
        put_optional_snapshot_meta(out, self.compact);
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

/// The number of leading entries that fit into `bytes`; at least one, if there is any.
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
