//! The few kinds of fields our files are made of. All numbers are little endian.

use super::entry::{Configuration, HardState, SnapshotMeta};

/// Reads fields one after the other; none when there are too few bytes, or they mean nothing.
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

    pub(super) fn mark(&mut self) -> Option<SnapshotMeta> {
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

    pub(super) fn optional_mark(&mut self) -> Option<Option<SnapshotMeta>> {
        if self.flag()? {
            self.mark().map(Some)
        } else {
            Some(None)
        }
    }

    /// A list can be no longer than the bytes that are there, so memory is bounded by the file.
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

/// Ids in order, so that one configuration is always the same bytes, whoever wrote it.
pub(super) fn put_mark(out: &mut Vec<u8>, mark: &SnapshotMeta) {
    put_u64(out, mark.index);
    put_u64(out, mark.term);
    put_ids(out, &mark.configuration.voters);
    put_ids(out, &mark.configuration.learners);
    put_ids(out, &mark.configuration.voters_outgoing);
    put_ids(out, &mark.configuration.learners_next);
    out.push(u8::from(mark.configuration.auto_leave));
}

pub(super) fn put_optional_mark(out: &mut Vec<u8>, mark: Option<&SnapshotMeta>) {
    out.push(u8::from(mark.is_some()));
    if let Some(mark) = mark {
        put_mark(out, mark);
    }
}

fn put_ids(out: &mut Vec<u8>, ids: &[u64]) {
    // A cluster has a handful of members; what does not fit would be refused when read, not misread.
    put_u32(out, u32::try_from(ids.len()).unwrap_or(u32::MAX));
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    for id in ids {
        put_u64(out, id);
    }
}
