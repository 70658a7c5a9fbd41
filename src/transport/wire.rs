//! Bounds-checked reading of bytes from outside. Nothing here allocates by a length it has not checked.

use std::fmt;

use bytes::{Buf, Bytes};

/// A payload of at least this many bytes may stay a slice of the frame it came in.
const SLICE_BYTES_MIN: usize = 16 * 1024;

/// What is wrong with the body of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    /// It ends too early.
    Short,
    /// It goes on after its end, by this many bytes.
    Trailing(usize),
    /// A number that means nothing.
    Unknown(&'static str, u64),
    /// Something no member says.
    Impossible(&'static str),
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => write!(f, "a message ends too early"),
            Self::Trailing(bytes) => write!(f, "{bytes} bytes follow the end of a message"),
            Self::Unknown(what, number) => write!(f, "{number} is no {what}"),
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

    /// A count of things that take at least `each` bytes: never more than the rest can hold.
    pub(super) fn count(&mut self, each: usize) -> Result<usize, Malformed> {
        let count = self.length()?;
        if count > self.rest.len() / each {
            return Err(Malformed::Short);
        }
        Ok(count)
    }

    /// A length, and as many bytes.
    ///
    /// A slice keeps the whole frame in memory for as long as it lives, and a small value may live for
    /// years in the tree: so only what makes up most of a large frame stays a slice, the rest is copied.
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

    /// All that is left, as a slice of the frame.
    pub(super) fn rest(self) -> Bytes {
        self.rest
    }

    /// Fails if anything is left.
    pub(super) fn end(self) -> Result<(), Malformed> {
        match self.rest.len() {
            0 => Ok(()),
            bytes => Err(Malformed::Trailing(bytes)),
        }
    }
}
