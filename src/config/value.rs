//! Parsing and validating the text of a value.

use std::fmt;
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use crate::cluster::{Address, InvalidAddress};

/// Maximum length of a name, in bytes: with `.etcd` appended it is still a valid file name.
pub(super) const NAME_MAX: usize = 250;

/// Maximum number of items in a list of peers or origins; a longer one is an error.
pub(super) const LIST_MAX: usize = 1000;

/// Maximum duration of an option; a longer one is an error.
pub(super) const DURATION_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

/// Why a value is not valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidValue {
    /// What is wrong; follows the value in a sentence.
    pub what: String,
    /// What a valid value looks like.
    pub expected: &'static str,
}

impl fmt::Display for InvalidValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; expected {}", self.what, self.expected)
    }
}

impl std::error::Error for InvalidValue {}

impl From<InvalidAddress> for InvalidValue {
    fn from(error: InvalidAddress) -> Self {
        Self {
            what: error.what,
            expected: error.expected,
        }
    }
}

/// An error about a value.
pub(super) fn invalid<T>(
    what: impl Into<String>,
    expected: &'static str,
) -> Result<T, InvalidValue> {
    Err(InvalidValue {
        what: what.into(),
        expected,
    })
}

/// When readiness is reported to the service manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// Once clients are served.
    Serving,
    /// Once clients are served and there is a leader.
    Quorum,
}

/// Parse a boolean.
pub(super) fn parse_bool(text: &str) -> Result<bool, InvalidValue> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "t" | "1" | "yes" | "on" => Ok(true),
        "false" | "f" | "0" | "no" | "off" => Ok(false),
        _ => invalid("is not a boolean", "true or false"),
    }
}

/// Parse the name of a member, which is also part of a key and of a directory name.
pub(super) fn parse_name(text: &str) -> Result<String, InvalidValue> {
    const EXPECTED: &str = "1 to 250 bytes of text without / or control characters";
    match text {
        "" => invalid("is empty", EXPECTED),
        "." | ".." => invalid("is a relative directory name", EXPECTED),
        _ if text.len() > NAME_MAX => invalid("is too long", EXPECTED),
        _ if text.contains('/') => invalid("contains a /", EXPECTED),
        _ if text.chars().any(char::is_control) => {
            invalid("contains a control character", EXPECTED)
        }
        _ if text.trim() != text => invalid("starts or ends with white space", EXPECTED),
        _ => Ok(String::from(text)),
    }
}

/// Parse when readiness is reported.
pub(super) fn parse_ready(text: &str) -> Result<Ready, InvalidValue> {
    match text.trim() {
        "serving" => Ok(Ready::Serving),
        "quorum" => Ok(Ready::Quorum),
        _ => invalid("is not a valid value", "serving or quorum"),
    }
}

/// Parse the path of a file or directory.
pub(super) fn parse_path(text: &str) -> Result<PathBuf, InvalidValue> {
    const EXPECTED: &str = "a path";
    match text {
        "" => invalid("is empty", EXPECTED),
        _ if text.contains('\0') => invalid("contains a NUL byte", EXPECTED),
        _ => Ok(PathBuf::from(text)),
    }
}

/// Parse an integer.
pub(super) fn parse_count(text: &str) -> Result<u64, InvalidValue> {
    const EXPECTED: &str = "an integer, such as 1000";
    // `parse` accepts a plus sign.
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return invalid("is not an integer", EXPECTED);
    }
    match text.parse() {
        Ok(number) => Ok(number),
        Err(_) => invalid("is too large", EXPECTED),
    }
}

/// Parse an integer above zero.
pub(super) fn parse_positive(text: &str) -> Result<u64, InvalidValue> {
    match parse_count(text)? {
        0 => invalid("is zero", "an integer above zero"),
        number => Ok(number),
    }
}

/// Parse a size in memory, above zero.
pub(super) fn parse_size(text: &str) -> Result<usize, InvalidValue> {
    usize::try_from(parse_positive(text)?).or_else(|_| invalid("is too large", "a smaller number"))
}

/// Parse a number of attempts.
pub(super) fn parse_attempts(text: &str) -> Result<u32, InvalidValue> {
    u32::try_from(parse_count(text)?).or_else(|_| invalid("is too large", "a smaller number"))
}

/// Parse a number of seconds, possibly with a fraction.
pub(super) fn parse_seconds(text: &str) -> Result<Duration, InvalidValue> {
    const EXPECTED: &str = "a number of seconds, at most a year, such as 10 or 0.5";
    let Ok(number) = text.parse::<f64>() else {
        return invalid("is not a number", EXPECTED);
    };
    match Duration::try_from_secs_f64(number) {
        Ok(duration) if duration <= DURATION_MAX => Ok(duration),
        Ok(_) => invalid("is too long", EXPECTED),
        Err(_) => invalid("is not a valid duration", EXPECTED),
    }
}

/// Parse a timeout in seconds; 0 means none.
pub(super) fn parse_timeout(text: &str) -> Result<Option<Duration>, InvalidValue> {
    Ok(Some(parse_seconds(text)?).filter(|duration| !duration.is_zero()))
}

/// Parse a number of milliseconds, above zero.
pub(super) fn parse_milliseconds(text: &str) -> Result<Duration, InvalidValue> {
    const MAX: u64 = 60_000;
    match parse_positive(text)? {
        number if number <= MAX => Ok(Duration::from_millis(number)),
        _ => invalid("is too long", "1 to 60000 milliseconds"),
    }
}

/// Parse a comma-separated list of addresses, possibly empty.
pub(super) fn parse_addresses(text: &str) -> Result<Vec<Address>, InvalidValue> {
    let mut addresses = Vec::new();
    for item in split_list(text)? {
        let address = Address::parse(item).or_else(|error| {
            let what = format!("contains {item:?}, which {}", error.what);
            invalid(what, error.expected)
        })?;
        if address.port == 0 {
            return invalid("contains an address with port 0", "the port of the peer");
        }
        addresses.push(address);
    }
    // Such as `$A,$B` with neither set: an empty list would found a cluster by mistake.
    if addresses.is_empty() && !text.trim().is_empty() {
        return invalid("contains no address", "comma-separated addresses");
    }
    Ok(addresses)
}

/// Read the addresses in a file, separated by commas or white space. An empty path means no file. A file
/// without an address is an error, since a cluster would be founded by mistake.
pub(super) fn read_addresses(file: &str) -> Result<Vec<Address>, InvalidValue> {
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
    let text = read().or_else(|error| invalid(format!("cannot be read: {error}"), EXPECTED))?;
    let list: Vec<&str> = text.split_whitespace().collect();
    let addresses =
        parse_addresses(&list.join(",")).or_else(|error| invalid(error.what, EXPECTED))?;
    match addresses.is_empty() {
        true => invalid("contains no address", EXPECTED),
        false => Ok(addresses),
    }
}

/// Parse a comma-separated list of CORS origins, possibly empty.
pub(super) fn parse_origins(text: &str) -> Result<Vec<String>, InvalidValue> {
    const EXPECTED: &str = "* or origins such as http://example.com:8080";
    let mut origins = Vec::new();
    for item in split_list(text)? {
        let host = item.split_once("://").map_or("", |(_, host)| host);
        let is_printable = item.bytes().all(|byte| byte.is_ascii_graphic());
        if item != "*" && item != "null" && (host.is_empty() || host.contains('/') || !is_printable)
        {
            return invalid(
                format!("contains {item:?}, which is not a valid origin"),
                EXPECTED,
            );
        }
        origins.push(String::from(item));
    }
    Ok(origins)
}

/// Split at commas, trim the items, and leave out empty ones.
fn split_list(text: &str) -> Result<Vec<&str>, InvalidValue> {
    let items: Vec<&str> = text
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .collect();
    if items.len() > LIST_MAX {
        return invalid("has too many items", "at most 1000 items");
    }
    Ok(items)
}
