//! The primitives of both binary formats: numbers with seven bits per byte, lowest bits first, with the top bit
//! set in all bytes but the last; bytes and strings with their length in front.

use std::fmt;

use bytes::Bytes;

use super::Path;
use crate::cluster::MemberId;

/// Why bytes cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub(super) &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Malformed {}

/// The bytes end too early.
pub(super) const SHORT: Malformed = Malformed("truncated");

/// Append a number.
pub(super) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            out.push(low & 0x7f);
            return;
        }
        out.push(low | 0x80);
    }
}

/// Append a length.
pub(super) fn put_length(out: &mut Vec<u8>, length: usize) {
    put_number(out, length as u64);
}

/// Append bytes, with their length in front.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_length(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// Append a key.
pub(super) fn put_path(out: &mut Vec<u8>, path: &Path) {
    put_bytes(out, path.text().as_bytes());
}

/// Append a member's id.
pub(super) fn put_member_id(out: &mut Vec<u8>, id: MemberId) {
    out.extend_from_slice(&id.get().to_le_bytes());
}

/// Reads what the `put_` functions wrote.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader of these bytes.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The number of bytes left.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    /// Check that no bytes are left.
    pub(super) fn end(self) -> Result<(), Malformed> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Malformed("bytes after the end"))
        }
    }

    /// The next `count` bytes.
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(SHORT)?;
        self.rest = rest;
        Ok(taken)
    }

    /// One byte.
    pub(super) fn byte(&mut self) -> Result<u8, Malformed> {
        let (&byte, rest) = self.rest.split_first().ok_or(SHORT)?;
        self.rest = rest;
        Ok(byte)
    }

    /// A flag: 0 or 1.
    pub(super) fn flag(&mut self) -> Result<bool, Malformed> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed("a flag is neither 0 nor 1")),
        }
    }

    /// Eight bytes, lowest first.
    pub(super) fn fixed(&mut self) -> Result<u64, Malformed> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(SHORT)?;
        self.rest = rest;
        Ok(u64::from_le_bytes(*bytes))
    }

    /// A number, in its shortest form.
    pub(super) fn number(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if (bits << shift) >> shift != bits || (byte == 0 && shift > 0) {
                return Err(Malformed("a number is too large or too long"));
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Malformed("a number is too large or too long"))
    }

    /// A length or a count. Do not allocate by it before it is checked.
    pub(super) fn length(&mut self) -> Result<usize, Malformed> {
        usize::try_from(self.number()?).map_err(|_| SHORT)
    }

    /// Bytes with their length in front.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.length()?;
        self.take(length)
    }

    /// A copy of the next bytes: a value must not keep its whole buffer in memory.
    pub(super) fn value(&mut self) -> Result<Bytes, Malformed> {
        self.bytes().map(Bytes::copy_from_slice)
    }

    /// A string with its length in front.
    pub(super) fn text(&mut self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed("a string is not UTF-8"))
    }

    /// A key, clean and within its limits.
    pub(super) fn path(&mut self) -> Result<Path, Malformed> {
        let text = self.text()?;
        match Path::parse(text) {
            Ok(path) if path.text() == text => Ok(path),
            Ok(_) | Err(_) => Err(Malformed("a key is not normalized, or too long")),
        }
    }

    /// A member's id.
    pub(super) fn member_id(&mut self) -> Result<MemberId, Malformed> {
        MemberId::new(self.fixed()?).ok_or(Malformed("a member's id is zero"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_return(number: u64) {
            for number in [number, number >> 32, number >> 57, u64::MAX, 0] {
                let mut out = Vec::new();
                put_number(&mut out, number);
                let mut reader = Reader::new(&out);
                prop_assert_eq!(reader.number(), Ok(number));
                prop_assert_eq!(reader.end(), Ok(()));
            }
        }

        #[test]
        fn a_number_has_one_form(bytes in prop::collection::vec(any::<u8>(), 0..12)) {
            let mut reader = Reader::new(&bytes);
            if let Ok(number) = reader.number() {
                let mut out = Vec::new();
                put_number(&mut out, number);
                prop_assert_eq!(&bytes[..out.len()], &out[..]);
            }
        }
    }
}
