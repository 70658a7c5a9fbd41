//! Segments: the files of the log, and their headers.
//!
//! ```text
//!  0  8    magic
//!  8  u32  version of the format
//! 12  u32  length of the body
//! 16  u32  CRC-32C of bytes 0 to 16 and the body
//! 20  u32  zero
//! 24       body: u64 number, u64 secret, u64 sequence of the first record, then the state of the log:
//!          hard state, snapshot metadata, u64 index and u64 term of the last entry
//! ```
//!
//! Because the body contains the state of the log, segments whose entries are no longer needed can be removed
//! without a trace. A header is written and synced before the file gets its name, so a file with a segment's
//! name always has a complete header.

use super::codec::{Fields, put_hard_state, put_optional_snapshot_meta, put_u32, put_u64};
use super::disk::{Disk, DiskFile, read_up_to};
use super::error::StorageError;
use super::record::{ALIGNMENT, Binding, PAYLOAD_BYTES_MAX, size};
use super::state::State;

/// The folder of the segments.
pub(super) const FOLDER: &str = "wal";

/// The version of segments and records this program writes, and the latest it reads.
pub const LOG_VERSION: u32 = 1;

/// The longest segment read, in bytes; a longer one is damage.
pub(super) const SEGMENT_BYTES_MAX: u64 = (PAYLOAD_BYTES_MAX as u64) * 2;

const MAGIC: [u8; 8] = *b"oxetcd.w";

const FIXED_BYTES: usize = 24;

/// The header of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    /// Number and secret.
    pub(super) binding: Binding,
    /// The sequence of its first record.
    pub(super) sequence: u64,
    /// The state of the log before that record.
    pub(super) state: State,
}

impl SegmentHeader {
    /// Encode the header, up to the offset of the first record.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        put_u64(&mut body, self.binding.segment);
        put_u64(&mut body, self.binding.secret);
        put_u64(&mut body, self.sequence);
        put_hard_state(&mut body, &self.state.hard_state);
        put_optional_snapshot_meta(&mut body, self.state.snapshot.as_ref());
        put_u64(&mut body, self.state.last_index);
        put_u64(&mut body, self.state.last_term());

        let mut out = MAGIC.to_vec();
        put_u32(&mut out, LOG_VERSION);
        // The metadata lists a handful of members; a reader would refuse a truncated body.
        put_u32(&mut out, u32::try_from(body.len()).unwrap_or(u32::MAX));
        let sum = crc32c::crc32c_append(crc32c::crc32c(&out), &body);
        put_u32(&mut out, sum);
        put_u32(&mut out, 0);
        out.extend_from_slice(&body);
        out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
        out
    }

    /// Decode the header at the start of `bytes`. Returns it, and the offset of the first record.
    ///
    /// # Errors
    ///
    /// - [`HeaderError::Damaged`]: it is not a valid header.
    /// - [`HeaderError::Newer`]: it was written by a later version.
    fn decode(bytes: &[u8]) -> Result<(Self, usize), HeaderError> {
        let damaged = HeaderError::Damaged;
        let mut fields = Fields::new(bytes);
        if fields.bytes(MAGIC.len()) != Some(&MAGIC) {
            return Err(damaged("not a segment of a log"));
        }
        let version = fields.u32().ok_or(damaged("the file is truncated"))?;
        if version > LOG_VERSION {
            return Err(HeaderError::Newer(version));
        }
        let length = fields.u32().ok_or(damaged("the file is truncated"))? as usize;
        let sum = fields.u32().ok_or(damaged("the file is truncated"))?;
        let body = FIXED_BYTES
            .checked_add(length)
            .and_then(|end| bytes.get(FIXED_BYTES..end))
            .ok_or(damaged("the header is truncated"))?;
        let signed = bytes.get(..16).unwrap_or_default();
        if version != LOG_VERSION || crc32c::crc32c_append(crc32c::crc32c(signed), body) != sum {
            return Err(damaged("checksum mismatch in the header"));
        }
        let header = Self::body(body).ok_or(damaged("malformed header"))?;
        Ok((header, (FIXED_BYTES + length).next_multiple_of(ALIGNMENT)))
    }

    fn body(body: &[u8]) -> Option<Self> {
        let mut fields = Fields::new(body);
        let binding = Binding {
            segment: fields.u64()?,
            secret: fields.u64()?,
        };
        let header = Self {
            binding,
            sequence: fields.u64()?,
            state: State::new(
                fields.hard_state()?,
                fields.optional_snapshot_meta()?,
                fields.u64()?,
                fields.u64()?,
            ),
        };
        fields.is_empty().then_some(header)
    }
}

/// Why a header cannot be decoded.
enum HeaderError {
    /// It is damaged in this way.
    Damaged(&'static str),
    /// It has this later version.
    Newer(u32),
}

/// A segment read into memory.
pub(super) struct Segment {
    pub(super) name: String,
    pub(super) header: SegmentHeader,
    /// The whole file.
    pub(super) bytes: Vec<u8>,
    /// The offset of the first record.
    pub(super) start: usize,
}

impl Segment {
    /// Read segment `number` and check its header.
    ///
    /// # Errors
    ///
    /// - [`StorageError::Damaged`]: it is too long, or its header is not valid.
    /// - [`StorageError::Newer`]: it was written by a later version.
    /// - [`StorageError::Io`]: the disk failed.
    pub(super) fn read<D: Disk>(disk: &D, number: u64) -> Result<Self, StorageError> {
        let name = segment_name(number);
        let damaged = |what: &str| StorageError::damaged(disk, &name, 0, what);
        let read = || {
            let file = disk.open(&name)?;
            let length = file.length()?.min(SEGMENT_BYTES_MAX + 1);
            read_up_to(&file, 0, usize::try_from(length).unwrap_or(usize::MAX))
        };
        let bytes = read().map_err(StorageError::io(disk, "read", &name))?;
        if bytes.len() as u64 > SEGMENT_BYTES_MAX {
            return Err(damaged("the file is longer than the longest segment"));
        }
        let (header, start) = match SegmentHeader::decode(&bytes) {
            Ok(decoded) => decoded,
            Err(HeaderError::Damaged(what)) => return Err(damaged(what)),
            Err(HeaderError::Newer(version)) => {
                return Err(StorageError::Newer {
                    path: disk.path_of(&name),
                    version,
                    known: LOG_VERSION,
                });
            }
        };
        if header.binding.segment != number {
            return Err(damaged("the header is that of another segment"));
        }
        Ok(Self {
            name,
            header,
            bytes,
            start,
        })
    }
}

/// The name of a segment: `wal/NUMBER.wal`, the number as 16 hex digits.
pub(super) fn segment_name(number: u64) -> String {
    format!("{FOLDER}/{number:016x}.wal")
}

/// The number in a file name of that form, without the folder.
pub(super) fn segment_number(file: &str) -> Option<u64> {
    hex(file.strip_suffix(".wal")?)
}

/// Parses sixteen lower case hex digits.
pub(super) fn hex(digits: &str) -> Option<u64> {
    let is_hex = digits.len() == 16
        && digits
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_hex
        .then(|| u64::from_str_radix(digits, 16).ok())
        .flatten()
}

/// The length of a segment for a header and one record with a payload of `payload` bytes.
pub(super) fn length_for(header: usize, payload: usize) -> u64 {
    (header + size(payload)) as u64
}

#[cfg(test)]
mod tests {
    use super::super::entry::HardState;
    use super::*;

    #[test]
    fn names_lead_to_numbers_and_back() {
        assert_eq!(segment_name(26), "wal/000000000000001a.wal");
        assert_eq!(segment_number("000000000000001a.wal"), Some(26));
        for bad in [
            "1a.wal",
            "000000000000001A.wal",
            "000000000000001a.tmp",
            "+00000000000001a.wal",
        ] {
            assert_eq!(segment_number(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_header_reads_as_written_and_no_flipped_bit_passes() {
        let header = SegmentHeader {
            binding: Binding {
                segment: 3,
                secret: 4,
            },
            sequence: 5,
            state: State::new(HardState::default(), None, 0, 0),
        };
        let bytes = header.encode();
        assert!(matches!(SegmentHeader::decode(&bytes), Ok((read, start))
            if read == header && start == bytes.len()));
        let body_end = FIXED_BYTES + 65;
        for bit in (0..20 * 8).chain(FIXED_BYTES * 8..body_end * 8) {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHeader::decode(&bad).is_err(), "bit {bit}");
        }
    }
}
