//! Bounds-checked reading of a peer's bytes. No length is used for an allocation before it is checked.

use std::fmt;

use bytes::{Buf, Bytes};

/// A payload of at least this many bytes may stay a slice of its frame.
const SLICE_BYTES_MIN: usize = 16 * 1024;

/// Why the body of a frame is not valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    /// The body ends too early.
    Short,
    /// This number of bytes follows the end.
    Trailing(usize),
    /// A number that is not a valid value of the named field.
    Unknown(&'static str, u64),
    /// A value that no member sends.
    Impossible(&'static str),
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => write!(f, "truncated message"),
            Self::Trailing(bytes) => write!(f, "{bytes} bytes after the end of a message"),
            Self::Unknown(field, number) => write!(f, "unknown {field} {number}"),
            Self::Impossible(what) => write!(f, "{what}"),
        }
    }
}

/// Reads the body of one frame from front to back.
pub(super) struct Cursor {
    rest: Bytes,
    frame_bytes: usize,
}

impl Cursor {
    /// A cursor at the start of `body`.
    pub(super) fn new(body: Bytes) -> Self {
        Self {
            frame_bytes: body.len(),
            rest: body,
        }
    }

    /// The next byte.
    pub(super) fn u8(&mut self) -> Result<u8, Malformed> {
        self.rest.try_get_u8().map_err(|_| Malformed::Short)
    }

    /// The next four bytes, as a length or count.
    pub(super) fn length(&mut self) -> Result<usize, Malformed> {
        let number = self.rest.try_get_u32_le().map_err(|_| Malformed::Short)?;
        usize::try_from(number).map_err(|_| Malformed::Short)
    }

    /// The next eight bytes.
    pub(super) fn u64(&mut self) -> Result<u64, Malformed> {
        self.rest.try_get_u64_le().map_err(|_| Malformed::Short)
    }

    /// A count of values that take at least `bytes_min` each; never more than the rest can hold.
    pub(super) fn count(&mut self, bytes_min: usize) -> Result<usize, Malformed> {
        let count = self.length()?;
        if count > self.rest.len() / bytes_min {
            return Err(Malformed::Short);
        }
        Ok(count)
    }

    /// A length, and that number of bytes.
    ///
    /// A slice keeps the whole frame in memory as long as it lives, and a small value may live in the tree for
    /// years. So only a payload that makes up most of a large frame stays a slice; others are copied.
    pub(super) fn bytes(&mut self) -> Result<Bytes, Malformed> {
        let length = self.length()?;
        if length > self.rest.len() {
            return Err(Malformed::Short);
        }
        let slice = self.rest.split_to(length);
        if length >= SLICE_BYTES_MIN && length >= self.frame_bytes / 2 {
            return Ok(slice);
        }
        Ok(Bytes::copy_from_slice(&slice))
    }

    /// The remaining bytes, as a slice of the frame.
    pub(super) fn rest(self) -> Bytes {
        self.rest
    }

    /// Check that no bytes are left.
    ///
    /// # Errors
    ///
    /// [`Malformed::Trailing`]: there are more bytes.
    pub(super) fn end(self) -> Result<(), Malformed> {
        match self.rest.len() {
            0 => Ok(()),
            bytes => Err(Malformed::Trailing(bytes)),
        }
    }
}
