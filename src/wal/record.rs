//! Records: what a segment is made of after its header.
//!
//! ```text
//!  0  u32  CRC-32C of the segment's secret and number, and of bytes 4 to 24
//!  4  u32  CRC-32C of the payload
//!  8  u32  length of the payload in bytes
//! 12  u32  kind
//! 16  u64  sequence: one more than the record before, through all segments
//! 24       payload, then zeros to a multiple of 8
//! ```
//!
//! The secret is a random number in the segment's header. It keeps apart the lives of a recycled file, and
//! keeps values that clients store from ever being taken for records.

use super::codec::{Fields, put_u32, put_u64};

/// Bytes before the payload.
pub(super) const HEADER_BYTES: usize = 24;

/// Records begin at multiples of this.
pub(super) const ALIGNMENT: usize = 8;

/// The largest payload, in bytes; a larger one is refused when written, and is no record when read.
pub(super) const PAYLOAD_BYTES_MAX: usize = 65 << 20;

/// The one kind of record there is: a batch.
const KIND_BATCH: u32 = 1;

/// What ties records to one life of one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Binding {
    /// The segment's number.
    pub(super) segment: u64,
    /// Its random number.
    pub(super) secret: u64,
}

/// What is found at an offset where a record may begin.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// The record asked for.
    Record {
        /// Its payload.
        payload: &'a [u8],
        /// Where the next one begins.
        next: usize,
    },
    /// Its header is whole, and something after it is not; so many bytes were meant.
    Torn(usize),
    /// Nothing of this life.
    Nothing,
}

/// How many bytes a payload of `length` takes as a record.
pub(super) fn size(length: usize) -> usize {
    HEADER_BYTES + length.next_multiple_of(ALIGNMENT)
}

/// Begin a record in `out`: the payload follows, then [`finish`].
pub(super) fn begin(out: &mut Vec<u8>) {
    out.clear();
    out.resize(HEADER_BYTES, 0);
}

/// Fill in the header and the padding. None when the payload is larger than [`PAYLOAD_BYTES_MAX`].
pub(super) fn finish(out: &mut Vec<u8>, binding: Binding, sequence: u64) -> Option<()> {
    let payload = out.get(HEADER_BYTES..)?;
    if payload.len() > PAYLOAD_BYTES_MAX {
        return None;
    }
    let mut header = Vec::with_capacity(HEADER_BYTES);
    put_u32(&mut header, crc32c::crc32c(payload));
    put_u32(&mut header, u32::try_from(payload.len()).ok()?);
    put_u32(&mut header, KIND_BATCH);
    put_u64(&mut header, sequence);
    let sum = header_sum(binding, &header);
    out.get_mut(..4)?.copy_from_slice(&sum.to_le_bytes());
    out.get_mut(4..HEADER_BYTES)?.copy_from_slice(&header);
    out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
    Some(())
}

/// Look for record `sequence` at `offset`.
pub(super) fn find(segment: &[u8], offset: usize, binding: Binding, sequence: u64) -> Found<'_> {
    let Some(header) = header_at(segment, offset, binding) else {
        return Found::Nothing;
    };
    if header.sequence != sequence {
        return Found::Nothing;
    }
    let start = offset + HEADER_BYTES;
    let next = offset + size(header.length);
    match segment.get(start..start + header.length) {
        Some(payload)
            if header.kind == KIND_BATCH
                && next <= segment.len()
                && crc32c::crc32c(payload) == header.payload_sum =>
        {
            Found::Record { payload, next }
        }
        Some(_) | None => Found::Torn(size(header.length)),
    }
}

/// Whether a record later than `sequence` was begun anywhere from `offset` on, and where.
///
/// A record is begun only after the one before was synced, so one such header is proof that `sequence`
/// was written whole.
pub(super) fn find_later(
    segment: &[u8],
    offset: usize,
    binding: Binding,
    sequence: u64,
) -> Option<usize> {
    (offset..segment.len())
        .step_by(ALIGNMENT)
        .find(|at| header_at(segment, *at, binding).is_some_and(|found| found.sequence > sequence))
}

struct Header {
    payload_sum: u32,
    length: usize,
    kind: u32,
    sequence: u64,
}

fn header_at(segment: &[u8], offset: usize, binding: Binding) -> Option<Header> {
    let bytes = segment.get(offset..offset.checked_add(HEADER_BYTES)?)?;
    let (sum, rest) = bytes.split_at_checked(4)?;
    let mut fields = Fields::new(rest);
    let header = Header {
        payload_sum: fields.u32()?,
        length: fields.u32()? as usize,
        kind: fields.u32()?,
        sequence: fields.u64()?,
    };
    let plausible = header.length <= PAYLOAD_BYTES_MAX && header.sequence > 0;
    (plausible && sum == header_sum(binding, rest).to_le_bytes()).then_some(header)
}

fn header_sum(binding: Binding, header: &[u8]) -> u32 {
    let sum = crc32c::crc32c(&binding.secret.to_le_bytes());
    let sum = crc32c::crc32c_append(sum, &binding.segment.to_le_bytes());
    crc32c::crc32c_append(sum, header)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Binding = Binding {
        segment: 7,
        secret: 99,
    };

    fn record(payload: &[u8], binding: Binding, sequence: u64) -> Vec<u8> {
        let mut out = Vec::new();
        begin(&mut out);
        out.extend_from_slice(payload);
        finish(&mut out, binding, sequence).expect("small enough");
        out
    }

    #[test]
    fn a_record_reads_as_written_and_only_in_its_place_and_life() {
        let bytes = record(b"hello", LIFE, 3);
        assert_eq!(bytes.len(), size(5));
        assert_eq!(
            find(&bytes, 0, LIFE, 3),
            Found::Record {
                payload: b"hello",
                next: 32
            }
        );
        assert_eq!(find(&bytes, 0, LIFE, 4), Found::Nothing);
        let other_number = Binding { segment: 8, ..LIFE };
        let other_secret = Binding { secret: 1, ..LIFE };
        assert_eq!(find(&bytes, 0, other_number, 3), Found::Nothing);
        assert_eq!(find(&bytes, 0, other_secret, 3), Found::Nothing);
    }

    #[test]
    fn no_flipped_bit_passes() {
        let bytes = record(b"payload", LIFE, 1);
        for bit in 0..(HEADER_BYTES + 7) * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(
                !matches!(find(&bad, 0, LIFE, 1), Found::Record { .. }),
                "bit {bit}"
            );
        }
    }

    #[test]
    fn a_record_cut_short_is_torn_and_a_later_one_is_found() {
        let mut bytes = record(b"one", LIFE, 1);
        bytes.extend(record(b"two", LIFE, 2));
        assert_eq!(find(&bytes[..26], 0, LIFE, 1), Found::Torn(32));
        assert_eq!(find_later(&bytes, 0, LIFE, 1), Some(32));
        assert_eq!(find_later(&bytes, 0, LIFE, 2), None);
    }
}
