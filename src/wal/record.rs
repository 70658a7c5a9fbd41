//! Records: the content of a segment after its header.
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
//! The secret is a random number in the segment's header. Because of it, neither a record from before the
//! file was recycled nor a value that a client stored can be mistaken for a record of the segment.

use super::codec::{Fields, put_u32, put_u64};

/// The number of bytes before the payload.
pub(super) const HEADER_BYTES: usize = 24;

/// Records start at multiples of this.
pub(super) const ALIGNMENT: usize = 8;

/// The largest payload, in bytes; a larger one is refused when written, and is not a record when read.
pub(super) const PAYLOAD_BYTES_MAX: usize = 65 << 20;

/// The one kind of record there is: a batch.
const KIND_BATCH: u32 = 1;

/// Binds records to one segment, and to one use of its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Binding {
    /// The segment's number.
    pub(super) segment: u64,
    /// Its random number.
    pub(super) secret: u64,
}

/// The result of looking for a record at an offset.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RecordLookup<'a> {
    /// The record is there.
    Record {
        /// Its payload.
        payload: &'a [u8],
        /// The offset of the next one.
        next: usize,
    },
    /// Its header is valid, and the bytes after it are not. The value is the size according to the header.
    Torn(usize),
    /// There is no such record.
    Absent,
}

/// The size of a record with a payload of `length` bytes.
pub(super) fn size(length: usize) -> usize {
    HEADER_BYTES + length.next_multiple_of(ALIGNMENT)
}

/// Start a record in `out`: append the payload, then call [`finish`].
pub(super) fn start(out: &mut Vec<u8>) {
    out.clear();
    out.resize(HEADER_BYTES, 0);
}

/// Fill in the header and the padding. None if the payload is larger than [`PAYLOAD_BYTES_MAX`].
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
pub(super) fn find(
    segment: &[u8],
    offset: usize,
    binding: Binding,
    sequence: u64,
) -> RecordLookup<'_> {
    let Some(header) = header_at(segment, offset, binding) else {
        return RecordLookup::Absent;
    };
    if header.sequence != sequence {
        return RecordLookup::Absent;
    }
    let start = offset + HEADER_BYTES;
    let next = offset + size(header.length);
    match segment.get(start..start + header.length) {
        Some(payload)
            if header.kind == KIND_BATCH
                && next <= segment.len()
                && crc32c::crc32c(payload) == header.payload_sum =>
        {
            RecordLookup::Record { payload, next }
        }
        Some(_) | None => RecordLookup::Torn(size(header.length)),
    }
}

/// The offset, at or after `offset`, of the header of a record later than `sequence`.
///
/// A record is started only after the one before it was synced, so such a header proves that record
/// `sequence` was written completely.
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

    const BINDING: Binding = Binding {
        segment: 7,
        secret: 99,
    };

    fn record(payload: &[u8], binding: Binding, sequence: u64) -> Vec<u8> {
        let mut out = Vec::new();
        start(&mut out);
        out.extend_from_slice(payload);
        finish(&mut out, binding, sequence).expect("small enough");
        out
    }

    #[test]
    fn a_record_reads_as_written_and_only_with_its_sequence_and_binding() {
        let bytes = record(b"hello", BINDING, 3);
        assert_eq!(bytes.len(), size(5));
        assert_eq!(
            find(&bytes, 0, BINDING, 3),
            RecordLookup::Record {
                payload: b"hello",
                next: 32
            }
        );
        assert_eq!(find(&bytes, 0, BINDING, 4), RecordLookup::Absent);
        let other_number = Binding {
            segment: 8,
            ..BINDING
        };
        let other_secret = Binding {
            secret: 1,
            ..BINDING
        };
        assert_eq!(find(&bytes, 0, other_number, 3), RecordLookup::Absent);
        assert_eq!(find(&bytes, 0, other_secret, 3), RecordLookup::Absent);
    }

    #[test]
    fn no_flipped_bit_passes() {
        let bytes = record(b"payload", BINDING, 1);
        for bit in 0..(HEADER_BYTES + 7) * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(
                !matches!(find(&bad, 0, BINDING, 1), RecordLookup::Record { .. }),
                "bit {bit}"
            );
        }
    }

    #[test]
    fn a_truncated_record_is_torn_and_a_later_one_is_found() {
        let mut bytes = record(b"one", BINDING, 1);
        bytes.extend(record(b"two", BINDING, 2));
        assert_eq!(find(&bytes[..26], 0, BINDING, 1), RecordLookup::Torn(32));
        assert_eq!(find_later(&bytes, 0, BINDING, 1), Some(32));
        assert_eq!(find_later(&bytes, 0, BINDING, 2), None);
    }
}
