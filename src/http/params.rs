//! Parameters: from a query string and a form to one typed request. Past this door everything is valid.

use std::time::Duration;

use bytes::Bytes;
use hyper::Method;

use crate::store::{Command, Condition, Content, Interest, Path};

/// The longest time to live, in seconds; a longer one is refused.
pub const TTL_MAX: u64 = 9_223_372_036;

/// What is wrong with a request. `reply` says how that is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// The query string, the form or the key cannot be read; the text says why.
    Form(String),
    /// The body is of a type that has no parameters in it.
    BodyType,
    /// The body is longer than so many bytes.
    TooLarge(usize),
    /// The body did not come in time.
    Slow,
    /// A flag, by name, with a value that is neither true nor false.
    Flag(&'static str),
    /// The time to live is no number, or out of bounds; the text names the operation.
    Ttl(&'static str),
    /// An index is no number; the text names the operation.
    Index(&'static str),
    /// `prevValue` is there and empty; the text names the operation.
    PrevValue(&'static str),
    /// An update of nothing.
    ValueOrTtl,
    /// `refresh=true` with a value.
    RefreshValue,
    /// `refresh=true` without a time to live.
    RefreshTtl,
}

/// What a request for a key asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// Read a key or a directory.
    Read {
        /// Which.
        path: Path,
        /// With all that is below, not only the next level.
        recursive: bool,
        /// With what is hidden.
        hidden: bool,
        /// Only after everything committed before is applied here.
        linearizable: bool,
    },
    /// Wait for changes.
    Watch {
        /// Of what.
        interest: Interest,
        /// More than one.
        stream: bool,
        /// From this index on; none for what comes next.
        since: Option<u64>,
        /// Only after everything committed before is applied here.
        linearizable: bool,
    },
    /// Change something.
    Write(Command),
}

/// The parameters that mean something here, as they came; of several of one name the first counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params {
    fields: [Option<Bytes>; NAMES.len()],
}

/// Where a parameter is found in [`Params`] and its name in [`NAMES`].
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

/// In the order of [`Field`]; the flags first, in the order in which a bad one is named.
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
    /// Add the parameters of a query string or of a form in the same encoding. Those that are there already
    /// win, so a form is read before the query.
    ///
    /// # Errors
    ///
    /// [`Rejection::Form`] for a percent sign that two hex digits don't follow.
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
            let name = unescape(text, name)?;
            let value = unescape(text, value)?;
            self.add(&name, value);
        }
        Ok(())
    }

    /// Add one parameter, unless it is there already or means nothing here.
    pub fn add(&mut self, name: &[u8], value: Bytes) {
        let place = NAMES.iter().position(|known| known.as_bytes() == name);
        if let Some(field) = place.and_then(|place| self.fields.get_mut(place)) {
            field.get_or_insert(value);
        }
    }

    /// What a request with these parameters asks for; a method that is none of the keys' reads.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong: the flags first, in the order they are documented in.
    pub fn ask(self, method: &Method, path: Path) -> Result<Ask, Rejection> {
        let flags = self.flags()?;
        match *method {
            Method::PUT => self.put(&flags, path).map(Ask::Write),
            Method::POST => self.post(&flags, path).map(Ask::Write),
            Method::DELETE => self.delete(&flags, path).map(Ask::Write),
            _ => self.get(&flags, path),
        }
    }

    fn get(&self, flags: &Flags, path: Path) -> Result<Ask, Rejection> {
        if !flags.wait || flags.quorum {
            return Ok(Ask::Read {
                path,
                recursive: flags.recursive,
                hidden: flags.hidden,
                linearizable: flags.linearizable,
            });
        }
        let since = match self.field(Field::WaitIndex) {
            None | Some([]) => None,
            Some(text) => Some(index(text).ok_or(Rejection::Index("Watch From Index"))?),
        };
        Ok(Ask::Watch {
            interest: Interest {
                path,
                recursive: flags.recursive,
            },
            stream: flags.stream,
            // Zero is before the first change: as good as none.
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
        let wanted = match self.field(Field::PrevIndex) {
            None => None,
            Some(text) => Some(index(text).ok_or(Rejection::Index(operation))?),
        };
        if self.field(Field::PrevValue).is_some_and(<[u8]>::is_empty) {
            return Err(Rejection::PrevValue(operation));
        }
        Ok(Condition {
            value: self.fields[Field::PrevValue as usize].clone(),
            index: wanted,
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
        // A sign is allowed, as Go's Atoi allows one; what is below zero is refused like any other text.
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

/// An index: digits only, below 2^64.
fn index(text: &[u8]) -> Option<u64> {
    if !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Undo the encoding of one name or value, a part of `whole`; what has nothing to undo shares its bytes.
fn unescape(whole: &Bytes, part: &[u8]) -> Result<Bytes, Rejection> {
    if !part.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Ok(whole.slice_ref(part));
    }
    let spaced: Vec<u8> = part
        .iter()
        .map(|&byte| if byte == b'+' { b' ' } else { byte })
        .collect();
    percent_decode(&spaced).map(Bytes::from)
}

/// Replace each `%XX` by the byte it stands for.
///
/// # Errors
///
/// [`Rejection::Form`] for a percent sign that two hex digits don't follow.
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
            return Err(bad_escape(after));
        };
        let (Some(high), Some(low)) = (hex(*high), hex(*low)) else {
            return Err(bad_escape(after));
        };
        plain.push(high << 4 | low);
        rest = after;
    }
    Ok(plain)
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

fn bad_escape(after: &[u8]) -> Rejection {
    let shown = String::from_utf8_lossy(after.get(..2).unwrap_or(after));
    Rejection::Form(format!("invalid URL escape \"%{shown}\""))
}

#[cfg(test)]
#[path = "params_tests.rs"]
mod tests;
