//! The values of a hook's file: one function per type, with the text of what it expects.

use std::time::Duration;

use serde_yaml::Value;

/// The longest timeout or debounce time: a day.
const LIMIT_MAX: Duration = Duration::from_secs(24 * 3600);

/// Why a value was refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) what: &'static str,
    pub(super) found: String,
    /// The key inside the value that it is about.
    pub(super) below: Option<String>,
}

fn expected<T>(what: &'static str, found: &Value) -> Result<T, Expected> {
    Err(Expected {
        what,
        found: describe(found),
        below: None,
    })
}

/// The value for a message.
pub(super) fn describe(value: &Value) -> String {
    match value {
        Value::Null => String::from("nothing"),
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => value.to_string(),
        Value::String(value) => format!("the string {value:?}"),
        Value::Sequence(_) => String::from("a list"),
        Value::Mapping(_) => String::from("a mapping"),
        Value::Tagged(tagged) => format!("the tag {}", tagged.tag),
    }
}

pub(super) fn key(value: &Value) -> Result<String, Expected> {
    match value.as_str() {
        Some(key) if !key.is_empty() && !key.contains('\0') => {
            Ok(format!("/{}", key.trim_matches('/')))
        }
        _ => expected("a key such as /services", value),
    }
}

pub(super) fn command(value: &Value) -> Result<Vec<String>, Expected> {
    const WHAT: &str = "a shell command line, or a list of a command and its arguments";
    let words = match value {
        Value::Sequence(words) => words.iter().map(text).collect(),
        Value::String(line) if !line.trim().is_empty() => Some(vec![
            String::from("/bin/sh"),
            String::from("-c"),
            line.clone(),
        ]),
        Value::String(_)
        | Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::Mapping(_)
        | Value::Tagged(_) => None,
    };
    match words {
        Some(words) if words.first().is_some_and(|word: &String| !word.is_empty()) => Ok(words),
        _ => expected(WHAT, value),
    }
}

/// A string, or an integer in decimal.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => (!text.contains('\0')).then(|| text.clone()),
        Value::Number(number) if !number.is_f64() => Some(number.to_string()),
        // Fractions and booleans have several spellings, and the parser has dropped the original one.
        Value::Number(_)
        | Value::Bool(_)
        | Value::Null
        | Value::Sequence(_)
        | Value::Mapping(_)
        | Value::Tagged(_) => None,
    }
}

pub(super) fn user(value: &Value) -> Result<String, Expected> {
    match value.as_str() {
        Some(name) if !name.is_empty() && !name.contains('\0') => Ok(name.to_owned()),
        _ => expected("a user name", value),
    }
}

pub(super) fn boolean(value: &Value) -> Result<bool, Expected> {
    value
        .as_bool()
        .map_or_else(|| expected("true or false", value), Ok)
}

pub(super) fn environment(value: &Value) -> Result<Vec<(String, String)>, Expected> {
    let Value::Mapping(mapping) = value else {
        return expected("a mapping of variable names to values", value);
    };
    let pairs = mapping.iter().map(|(name, value)| {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let name = match name.as_str() {
            Some(name) if name.bytes().all(is_allowed) && !name.is_empty() => name,
            _ => return expected("variable names of letters, digits and _", name),
        };
        let below = Some(name.to_owned());
        if name.starts_with("ETCD_WATCH_") {
            let what = "a name that does not begin with ETCD_WATCH_ (reserved)";
            let found = String::from(name);
            return Err(Expected { what, found, below });
        }
        match text(value) {
            Some(text) => Ok((name.to_owned(), text)),
            None => {
                let what = "a string (put it in quotes)";
                let found = describe(value);
                Err(Expected { what, found, below })
            }
        }
    });
    pairs.collect()
}

pub(super) fn seconds(value: &Value) -> Result<Duration, Expected> {
    let limit = value
        .as_f64()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    match limit {
        Some(limit) if !limit.is_zero() && limit <= LIMIT_MAX => Ok(limit),
        _ => expected("a number of seconds above 0, at most 86400", value),
    }
}

pub(super) fn milliseconds(value: &Value) -> Result<Duration, Expected> {
    let limit = value
        .as_f64()
        .and_then(|milliseconds| Duration::try_from_secs_f64(milliseconds / 1000.0).ok());
    match limit {
        Some(limit) if limit <= LIMIT_MAX => Ok(limit),
        _ => expected("a number of milliseconds, at most 86400000", value),
    }
}

pub(super) fn count(value: &Value) -> Result<u32, Expected> {
    let count = value.as_u64().and_then(|count| u32::try_from(count).ok());
    count.map_or_else(|| expected("a number of retries, 0 or more", value), Ok)
}

pub(super) fn concurrency(value: &Value) -> Result<u16, Expected> {
    let count = value.as_u64().and_then(|count| u16::try_from(count).ok());
    match count {
        Some(count) if count > 0 => Ok(count),
        _ => expected("a number of commands, from 1 to 65535", value),
    }
}

pub(super) fn stops(value: &Value) -> Result<bool, Expected> {
    match value.as_str() {
        Some("stop") => Ok(true),
        Some("continue") => Ok(false),
        _ => expected("stop or continue", value),
    }
}
