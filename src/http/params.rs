//! Parameters: from a query string and a form to a typed and validated operation.

use std::time::Duration;

use bytes::Bytes;
use hyper::Method;

use crate::store::{Command, Condition, Content, Interest, Path};

/// Maximum time to live, in seconds; a longer one is rejected.
pub const TTL_MAX: u64 = 9_223_372_036;

/// Why a request is not valid. `reply` has the response to each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// The query string, the form or the key cannot be parsed; the text is the reason.
    Form(String),
    /// The content type of the body is not a form.
    BodyType,
    /// The body is longer than this number of bytes.
    TooLarge(usize),
    /// The body was not received before the timeout.
    Slow,
    /// The flag of this name is neither true nor false.
    Flag(&'static str),
    /// The time to live is not a number or out of range; the text is the operation.
    Ttl(&'static str),
    /// An index is not a number; the text is the operation.
    Index(&'static str),
    /// `prevValue` is empty; the text is the operation.
    PrevValue(&'static str),
    /// An update without a value and without a time to live.
    ValueOrTtl,
    /// `refresh=true` with a value.
    RefreshValue,
    /// `refresh=true` without a time to live.
    RefreshTtl,
}

/// The operation that a request for a key asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// Read a key or a directory.
    Read {
        /// The key or directory.
        path: Path,
        /// Include all levels below, not only the next.
        recursive: bool,
        /// Include hidden nodes.
        hidden: bool,
        /// Only after everything committed before is applied here.
        linearizable: bool,
    },
    /// Wait for events.
    Watch {
        /// The nodes to watch.
        interest: Interest,
        /// Send more than one event.
        stream: bool,
        /// The index to start from; none for the next event.
        since: Option<u64>,
        /// Only after everything committed before is applied here.
        linearizable: bool,
    },
    /// Write.
    Write(Command),
}

/// The known parameters, not validated; of several with the same name the first one counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params {
    fields: [Option<Bytes>; NAMES.len()],
}

/// The index of a parameter in [`Params`], and of its name in [`NAMES`].
#[derive(Clone, Copy, Debug)]
enum Field {
    Recursive,
    Sorted,
    Quorum,
    Consistent,
    Wait,
    Stream,
    Dir,
    PrevExist,
    Refresh,
    Hidden,
    Value,
    Ttl,
    PrevValue,
    PrevIndex,
    WaitIndex,
}

/// In the order of [`Field`]: first the flags, in the order in which they are validated.
const NAMES: [&str; 15] = [
    "recursive",
    "sorted",
    "quorum",
    "consistent",
    "wait",
    "stream",
    "dir",
    "prevExist",
    "refresh",
    "hidden",
    "value",
    "ttl",
    "prevValue",
    "prevIndex",
    "waitIndex",
];

/// The flags of a request; all but `prevExist` are false when absent or empty.
struct Flags {
    recursive: bool,
    linearizable: bool,
    quorum: bool,
    wait: bool,
    stream: bool,
    dir: bool,
    prev_exist: Option<bool>,
    refresh: bool,
    hidden: bool,
}

impl Params {
    /// Add the parameters of a query string or of a form in the same encoding, unless they are already set: a form
    /// is read before the query string.
    ///
    /// # Errors
    ///
    /// [`Rejection::Form`]: a percent sign is not followed by two hex digits.
    pub fn read(&mut self, text: &Bytes) -> Result<(), Rejection> {
        for pair in text
            .split(|&byte| byte == b'&')
            .filter(|pair| !pair.is_empty())
        {
            let sign = pair
                .iter()
                .position(|&byte| byte == b'=')
                .unwrap_or(pair.len());
            let (name, value) = pair.split_at(sign);
            let value = value.get(1..).unwrap_or_default();
            let name = decode(text, name)?;
            let value = decode(text, value)?;
            self.add(&name, value);
        }
        Ok(())
    }

    /// Add one parameter, unless it is already set or unknown.
    pub fn add(&mut self, name: &[u8], value: Bytes) {
        let index = NAMES.iter().position(|known| known.as_bytes() == name);
        if let Some(field) = index.and_then(|index| self.fields.get_mut(index)) {
            field.get_or_insert(value);
        }
    }

    /// The operation of a request with these parameters; other methods than PUT, POST and DELETE read.
    ///
    /// # Errors
    ///
    /// The [`Rejection`] of the first parameter that is not valid: flags are validated first, in the order of
    /// [`NAMES`].
    pub fn into_operation(self, method: &Method, path: Path) -> Result<Operation, Rejection> {
        let flags = self.flags()?;
        match *method {
            Method::PUT => self.put(&flags, path).map(Operation::Write),
            Method::POST => self.post(&flags, path).map(Operation::Write),
            Method::DELETE => self.delete(&flags, path).map(Operation::Write),
            _ => self.get(&flags, path),
        }
    }

    fn get(&self, flags: &Flags, path: Path) -> Result<Operation, Rejection> {
        if !flags.wait || flags.quorum {
            return Ok(Operation::Read {
                path,
                recursive: flags.recursive,
                hidden: flags.hidden,
                linearizable: flags.linearizable,
            });
        }
        let since = match self.field(Field::WaitIndex) {
            None | Some([]) => None,
            Some(text) => Some(parse_index(text).ok_or(Rejection::Index("Watch From Index"))?),
        };
        Ok(Operation::Watch {
            interest: Interest {
                path,
                recursive: flags.recursive,
            },
            stream: flags.stream,
            // Zero is before the first event: the same as none.
            since: since.filter(|&since| since != 0),
            linearizable: flags.linearizable,
        })
    }

    fn put(self, flags: &Flags, path: Path) -> Result<Command, Rejection> {
        let ttl = self.ttl("Update")?;
        if flags.refresh {
            if !self.field(Field::Value).unwrap_or_default().is_empty() {
                return Err(Rejection::RefreshValue);
            }
            if ttl.is_none() {
                return Err(Rejection::RefreshTtl);
            }
        }
        let conditional = self.has(Field::PrevValue) || self.has(Field::PrevIndex);
        match flags.prev_exist {
            Some(false) => Ok(Command::Create {
                path,
                content: self.content(flags),
                ttl,
            }),
            Some(true) if !conditional && !flags.refresh => self.update(flags, path, ttl),
            Some(true) | None if flags.refresh => Ok(Command::Refresh {
                path,
                condition: self.condition("CompareAndSwap")?,
                ttl,
            }),
            None if !conditional => Ok(Command::Set {
                path,
                content: self.content(flags),
                ttl,
            }),
            Some(true) | None => Ok(Command::CompareAndSwap {
                path,
                condition: self.condition("CompareAndSwap")?,
                value: self.value(),
                ttl,
            }),
        }
    }

    fn update(
        self,
        flags: &Flags,
        path: Path,
        ttl: Option<Duration>,
    ) -> Result<Command, Rejection> {
        let value = self.value();
        if value.is_empty() && ttl.is_none() {
            return Err(Rejection::ValueOrTtl);
        }
        Ok(Command::Update {
            path,
            value: Some(value),
            directory: flags.dir,
            ttl,
        })
    }

    fn post(self, flags: &Flags, directory: Path) -> Result<Command, Rejection> {
        let ttl = self.ttl("Create")?;
        Ok(Command::CreateInOrder {
            directory,
            content: self.content(flags),
            ttl,
        })
    }

    fn delete(&self, flags: &Flags, path: Path) -> Result<Command, Rejection> {
        if self.has(Field::PrevValue) || self.has(Field::PrevIndex) {
            let condition = self.condition("CompareAndDelete")?;
            return Ok(Command::CompareAndDelete { path, condition });
        }
        Ok(Command::Delete {
            path,
            directory: flags.dir,
            recursive: flags.recursive,
        })
    }

    fn condition(&self, operation: &'static str) -> Result<Condition, Rejection> {
        let index = match self.field(Field::PrevIndex) {
            None => None,
            Some(text) => Some(parse_index(text).ok_or(Rejection::Index(operation))?),
        };
        if self.field(Field::PrevValue).is_some_and(<[u8]>::is_empty) {
            return Err(Rejection::PrevValue(operation));
        }
        Ok(Condition {
            value: self.fields[Field::PrevValue as usize].clone(),
            index,
        })
    }

    fn content(self, flags: &Flags) -> Content {
        if flags.dir {
            Content::Directory
        } else {
            Content::Value(self.value())
        }
    }

    fn value(mut self) -> Bytes {
        self.fields[Field::Value as usize]
            .take()
            .unwrap_or_default()
    }

    fn ttl(&self, operation: &'static str) -> Result<Option<Duration>, Rejection> {
        let text = match self.field(Field::Ttl) {
            None | Some([]) => return Ok(None),
            Some(text) => text,
        };
        // A sign is allowed, as in Go's Atoi; a negative number is rejected.
        let seconds = std::str::from_utf8(text)
            .ok()
            .and_then(|text| text.parse::<i64>().ok())
            .and_then(|seconds| u64::try_from(seconds).ok())
            .filter(|&seconds| seconds <= TTL_MAX)
            .ok_or(Rejection::Ttl(operation))?;
        Ok(Some(Duration::from_secs(seconds)))
    }

    fn flags(&self) -> Result<Flags, Rejection> {
        let recursive = self.flag(Field::Recursive)?;
        self.flag(Field::Sorted)?;
        let quorum = self.flag(Field::Quorum)?;
        let consistent = self.flag(Field::Consistent)?;
        Ok(Flags {
            recursive,
            linearizable: quorum || consistent,
            quorum,
            wait: self.flag(Field::Wait)?,
            stream: self.flag(Field::Stream)?,
            dir: self.flag(Field::Dir)?,
            prev_exist: match self.field(Field::PrevExist) {
                None => None,
                Some([]) => return Err(Rejection::Flag(NAMES[Field::PrevExist as usize])),
                Some(_) => Some(self.flag(Field::PrevExist)?),
            },
            refresh: self.flag(Field::Refresh)?,
            hidden: self.flag(Field::Hidden)?,
        })
    }

    fn flag(&self, field: Field) -> Result<bool, Rejection> {
        match self.field(field) {
            None | Some([]) => Ok(false),
            Some(text) if text.eq_ignore_ascii_case(b"true") => Ok(true),
            Some(text) if text.eq_ignore_ascii_case(b"false") => Ok(false),
            Some(_) => Err(Rejection::Flag(NAMES[field as usize])),
        }
    }

    fn has(&self, field: Field) -> bool {
        self.field(field).is_some()
    }

    fn field(&self, field: Field) -> Option<&[u8]> {
        self.fields[field as usize].as_deref()
    }
}

/// Parse an index: digits only, below 2^64.
fn parse_index(text: &[u8]) -> Option<u64> {
    if !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Decode a name or a value, which is a part of `whole`; one without escapes shares its bytes.
fn decode(whole: &Bytes, part: &[u8]) -> Result<Bytes, Rejection> {
    if !part.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Ok(whole.slice_ref(part));
    }
    let spaced: Vec<u8> = part
        .iter()
        .map(|&byte| if byte == b'+' { b' ' } else { byte })
        .collect();
    percent_decode(&spaced).map(Bytes::from)
}

/// Replace each `%XX` by its byte.
///
/// # Errors
///
/// [`Rejection::Form`]: a percent sign is not followed by two hex digits.
pub(super) fn percent_decode(text: &[u8]) -> Result<Vec<u8>, Rejection> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            plain.push(byte);
            continue;
        }
        let (Some([high, low]), Some(after)) = (after.get(..2), after.get(2..)) else {
            return Err(invalid_escape(after));
        };
        let (Some(high), Some(low)) = (parse_hex_digit(*high), parse_hex_digit(*low)) else {
            return Err(invalid_escape(after));
        };
        plain.push(high << 4 | low);
        rest = after;
    }
    Ok(plain)
}

fn parse_hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

fn invalid_escape(after: &[u8]) -> Rejection {
    let shown = String::from_utf8_lossy(after.get(..2).unwrap_or(after));
    Rejection::Form(format!("invalid URL escape \"%{shown}\""))
}

#[cfg(test)]
#[path = "params_tests.rs"]
mod tests;
