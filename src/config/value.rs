//! From the text of a value to what it means.

use std::fmt;
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use super::Ready;
use crate::cluster::{Address, InvalidAddress};

/// How long a name may be, in bytes: with `.etcd` behind it, it is still a file name.
pub(super) const NAME_MAX: usize = 250;

/// How many peers or origins a list may hold; a longer one is refused.
pub(super) const LIST_MAX: usize = 1000;

/// The longest time an option takes; a longer one is refused.
pub(super) const DURATION_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

/// What is wrong with a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, to be read after the value.
    pub what: String,
    /// What would be right.
    pub expected: &'static str,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; expected {}", self.what, self.expected)
    }
}

impl std::error::Error for Problem {}

impl From<InvalidAddress> for Problem {
    fn from(error: InvalidAddress) -> Self {
        Self {
            what: error.what,
            expected: error.expected,
        }
    }
}

/// Short for a problem.
pub(super) fn problem<T>(what: impl Into<String>, expected: &'static str) -> Result<T, Problem> {
    Err(Problem {
        what: what.into(),
        expected,
    })
}

/// A switch.
pub(super) fn truth(text: &str) -> Result<bool, Problem> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "t" | "1" | "yes" | "on" => Ok(true),
        "false" | "f" | "0" | "no" | "off" => Ok(false),
        _ => problem("is neither true nor false", "true or false"),
    }
}

/// A member's name: the last part of a key, and the beginning of a directory's name.
pub(super) fn name(text: &str) -> Result<String, Problem> {
    const EXPECTED: &str = "1 to 250 bytes of text without / and control characters";
    match text {
        "" => problem("is empty", EXPECTED),
        "." | ".." => problem("means a directory", EXPECTED),
        _ if text.len() > NAME_MAX => problem("is too long", EXPECTED),
        _ if text.contains('/') => problem("has a / in it", EXPECTED),
        _ if text.chars().any(char::is_control) => {
            problem("has a control character in it", EXPECTED)
        }
        _ if text.trim() != text => problem("begins or ends with white space", EXPECTED),
        _ => Ok(String::from(text)),
    }
}

/// When a service manager is told that this member is ready.
pub(super) fn ready(text: &str) -> Result<Ready, Problem> {
    match text.trim() {
        "serving" => Ok(Ready::Serving),
        "quorum" => Ok(Ready::Quorum),
        _ => problem("is no such moment", "serving or quorum"),
    }
}

/// A directory.
pub(super) fn directory(text: &str) -> Result<PathBuf, Problem> {
    const EXPECTED: &str = "the path of a directory";
    match text {
        "" => problem("is empty", EXPECTED),
        _ if text.contains('\0') => problem("has a zero byte in it", EXPECTED),
        _ => Ok(PathBuf::from(text)),
    }
}

/// A whole number.
pub(super) fn count(text: &str) -> Result<u64, Problem> {
    const EXPECTED: &str = "a whole number, such as 1000";
    // `parse` would take a plus sign.
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return problem("is not a whole number", EXPECTED);
    }
    match text.parse() {
        Ok(number) => Ok(number),
        Err(_) => problem("is too large", EXPECTED),
    }
}

/// A whole number above zero.
pub(super) fn positive(text: &str) -> Result<u64, Problem> {
    match count(text)? {
        0 => problem("is not above zero", "a whole number above zero"),
        number => Ok(number),
    }
}

/// A whole number above zero that memory could hold.
pub(super) fn size(text: &str) -> Result<usize, Problem> {
    usize::try_from(positive(text)?).or_else(|_| problem("is too large", "a smaller number"))
}

/// A whole number small enough to count attempts.
pub(super) fn attempts(text: &str) -> Result<u32, Problem> {
    u32::try_from(count(text)?).or_else(|_| problem("is too large", "a smaller number"))
}

/// Seconds, possibly with a fraction.
pub(super) fn seconds(text: &str) -> Result<Duration, Problem> {
    const EXPECTED: &str = "seconds from 0 to a year, such as 10 or 0.5";
    let Ok(number) = text.parse::<f64>() else {
        return problem("is not a number", EXPECTED);
    };
    match Duration::try_from_secs_f64(number) {
        Ok(duration) if duration <= DURATION_MAX => Ok(duration),
        Ok(_) => problem("is too long", EXPECTED),
        Err(_) => problem("is not a time", EXPECTED),
    }
}

/// Seconds, where 0 stands for no limit.
pub(super) fn limit(text: &str) -> Result<Option<Duration>, Problem> {
    Ok(Some(seconds(text)?).filter(|duration| !duration.is_zero()))
}

/// Whole milliseconds above zero.
pub(super) fn milliseconds(text: &str) -> Result<Duration, Problem> {
    const MAX: u64 = 60_000;
    match positive(text)? {
        number if number <= MAX => Ok(Duration::from_millis(number)),
        _ => problem("is too long", "milliseconds from 1 to 60000"),
    }
}

/// Addresses with commas in between, possibly none.
pub(super) fn addresses(text: &str) -> Result<Vec<Address>, Problem> {
    let mut addresses = Vec::new();
    for item in items(text)? {
        let address = Address::parse(item).or_else(|found| {
            problem(
                format!("has {item:?}, which {}", found.what),
                found.expected,
            )
        })?;
        if address.port == 0 {
            return problem("has an address with port 0", "the port the peer listens on");
        }
        addresses.push(address);
    }
    // Such as `$A,$B` with neither set: to found a cluster then would be one too many.
    if addresses.is_empty() && !text.trim().is_empty() {
        return problem("names nobody", "addresses with commas in between");
    }
    Ok(addresses)
}

/// The addresses in a file, with commas or white space in between. A file without any is a mistake: a
/// cluster would be founded. No file at all is none.
pub(super) fn addresses_in(file: &str) -> Result<Vec<Address>, Problem> {
    const EXPECTED: &str = "a file with addresses such as 10.0.0.1:7001";
    const BYTES_MAX: u64 = 1 << 20;
    if file.is_empty() {
        return Ok(Vec::new());
    }
    let read = || {
        let mut text = String::new();
        std::fs::File::open(file)?
            .take(BYTES_MAX)
            .read_to_string(&mut text)?;
        Ok::<_, std::io::Error>(text)
    };
    let text = read().or_else(|error| problem(format!("cannot be read: {error}"), EXPECTED))?;
    let list: Vec<&str> = text.split_whitespace().collect();
    let found = addresses(&list.join(",")).or_else(|found| problem(found.what, EXPECTED))?;
    match found.is_empty() {
        true => problem("names nobody", EXPECTED),
        false => Ok(found),
    }
}

/// Origins with commas in between, possibly none.
pub(super) fn origins(text: &str) -> Result<Vec<String>, Problem> {
    const EXPECTED: &str = "* or origins such as http://example.com:8080";
    let mut origins = Vec::new();
    for item in items(text)? {
        let host = item.split_once("://").map_or("", |(_, host)| host);
        let plain = item.bytes().all(|byte| byte.is_ascii_graphic());
        if item != "*" && item != "null" && (host.is_empty() || host.contains('/') || !plain) {
            return problem(format!("has {item:?}, which is no origin"), EXPECTED);
        }
        origins.push(String::from(item));
    }
    Ok(origins)
}

/// The parts between commas, trimmed, without empty ones.
fn items(text: &str) -> Result<Vec<&str>, Problem> {
    let items: Vec<&str> = text
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .collect();
    if items.len() > LIST_MAX {
        return problem("is too long a list", "at most 1000 items");
    }
    Ok(items)
}
