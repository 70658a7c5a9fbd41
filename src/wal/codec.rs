//! The fields of the file formats. All numbers are little endian.

use super::entry::{Configuration, HardState, SnapshotMeta};

/// Reads fields in sequence; none if there are too few bytes, or they are not a valid value.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(bytes)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        match self.u8()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    pub(super) fn hard_state(&mut self) -> Option<HardState> {
        Some(HardState {
            term: self.u64()?,
            vote: self.u64()?,
            commit: self.u64()?,
        })
    }

    pub(super) fn snapshot_meta(&mut self) -> Option<SnapshotMeta> {
        Some(SnapshotMeta {
            index: self.u64()?,
            term: self.u64()?,
            configuration: Configuration {
                voters: self.ids()?,
                learners: self.ids()?,
                voters_outgoing: self.ids()?,
                learners_next: self.ids()?,
                auto_leave: self.flag()?,
            },
        })
    }

    pub(super) fn optional_snapshot_meta(&mut self) -> Option<Option<SnapshotMeta>> {
        if self.flag()? {
            self.snapshot_meta().map(Some)
        } else {
            Some(None)
        }
    }

    /// A list is not longer than the remaining bytes, so the memory is bounded by the size of the file.
    fn ids(&mut self) -> Option<Vec<u64>> {
        let count = self.u32()? as usize;
        let bytes = self.bytes(count.checked_mul(8)?)?;
        let mut fields = Fields::new(bytes);
        (0..count).map(|_| fields.u64()).collect()
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }
}

pub(super) fn put_u32(out: &mut Vec<u8>, number: u32) {
    out.extend_from_slice(&number.to_le_bytes());
}

pub(super) fn put_u64(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_le_bytes());
}

pub(super) fn put_hard_state(out: &mut Vec<u8>, state: &HardState) {
    put_u64(out, state.term);
    put_u64(out, state.vote);
    put_u64(out, state.commit);
}

/// Ids are sorted, so that a configuration always has the same bytes.
pub(super) fn put_snapshot_meta(out: &mut Vec<u8>, meta: &SnapshotMeta) {
    put_u64(out, meta.index);
    put_u64(out, meta.term);
    put_ids(out, &meta.configuration.voters);
    put_ids(out, &meta.configuration.learners);
    put_ids(out, &meta.configuration.voters_outgoing);
    put_ids(out, &meta.configuration.learners_next);
    out.push(u8::from(meta.configuration.auto_leave));
}

pub(super) fn put_optional_snapshot_meta(out: &mut Vec<u8>, meta: Option<&SnapshotMeta>) {
    out.push(u8::from(meta.is_some()));
    if let Some(meta) = meta {
        put_snapshot_meta(out, meta);
    }
}

fn put_ids(out: &mut Vec<u8>, ids: &[u64]) {
    // A cluster has a handful of members; a list that is too long would be refused when read.
    put_u32(out, u32::try_from(ids.len()).unwrap_or(u32::MAX));
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    for id in ids {
        put_u64(out, id);
    }
}
