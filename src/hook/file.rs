//! A hook's file: YAML in, a checked [`Hook`] out, or all that is wrong with it. Pure.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde_yaml::{Mapping, Value};

use super::field::{self, Expected};
use crate::config::nearest::nearest;

/// What a hook may say.
pub(super) const KEYS: [&str; 12] = [
    "command",
    "concurrency",
    "debounce",
    "environment",
    "initial",
    "json",
    "key",
    "on-failure",
    "recursive",
    "retry",
    "timeout",
    "user",
];

/// The longest file, in bytes.
pub(super) const FILE_BYTES_MAX: u64 = 1 << 20;

/// A hook as its file says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hook {
    /// With a slash in front and none at the end.
    pub(super) key: String,
    pub(super) recursive: bool,
    /// What to run; never empty.
    pub(super) words: Vec<String>,
    pub(super) user: Option<String>,
    pub(super) environment: Vec<(String, String)>,
    pub(super) timeout: Option<Duration>,
    pub(super) debounce: Duration,
    pub(super) initial: bool,
    pub(super) json: bool,
    pub(super) retries: u32,
    /// Whether a command that fails for good ends the watch.
    pub(super) stops: bool,
    /// At least 1.
    pub(super) concurrency: u16,
}

/// Something wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) path: PathBuf,
    /// From 1; none where it is about the file as a whole.
    pub(super) line: Option<usize>,
    /// A sentence, the hook's key in it.
    pub(super) text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        write!(f, " error: {}", self.text)
    }
}

/// What a text says, or everything that is wrong with it, each with its line.
pub(super) fn parse(text: &str) -> Result<Hook, Vec<(Option<usize>, String)>> {
    let mapping = match serde_yaml::from_str(text) {
        Ok(Value::Mapping(mapping)) => mapping,
        Ok(Value::Null) => return Err(vec![(None, String::from("it says nothing"))]),
        Ok(_) => {
            return Err(vec![(
                Some(1),
                String::from("expected lines such as `key: /services`"),
            )]);
        }
        Err(error) => {
            let line = error.location().map(|place| place.line());
            return Err(vec![(line, format!("this is no YAML: {error}"))]);
        }
    };
    let mut fields = Fields {
        text,
        mapping,
        wrong: Vec::new(),
    };
    fields.look_for_unknown();
    let key = fields.required("key", field::key);
    let words = fields.required("command", field::command);
    let hook = Hook {
        key: key.unwrap_or_default(),
        recursive: fields.optional("recursive", field::truth).unwrap_or(false),
        words: words.unwrap_or_default(),
        user: fields.optional("user", field::user),
        environment: fields
            .optional("environment", field::environment)
            .unwrap_or_default(),
        timeout: fields.optional("timeout", field::seconds),
        debounce: fields
            .optional("debounce", field::milliseconds)
            .unwrap_or_default(),
        initial: fields.optional("initial", field::truth).unwrap_or(false),
        json: fields.optional("json", field::truth).unwrap_or(false),
        retries: fields.optional("retry", field::count).unwrap_or(0),
        stops: fields.optional("on-failure", field::stops).unwrap_or(false),
        concurrency: fields
            .optional("concurrency", field::concurrency)
            .unwrap_or(1),
    };
    if fields.wrong.is_empty() {
        Ok(hook)
    } else {
        fields.wrong.sort();
        Err(fields.wrong)
    }
}

/// A file that is being read.
struct Fields<'a> {
    text: &'a str,
    mapping: Mapping,
    wrong: Vec<(Option<usize>, String)>,
}

impl Fields<'_> {
    fn look_for_unknown(&mut self) {
        let names = self.mapping.keys();
        let names = names.map(|name| {
            name.as_str()
                .map_or_else(|| field::shown(name), str::to_owned)
        });
        let names: Vec<String> = names
            .filter(|name| !KEYS.contains(&name.as_str()))
            .collect();
        for name in names {
            let meant = match nearest(&name, KEYS) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("expected one of {}", KEYS.join(", ")),
            };
            let line = line_of(self.text, &[&name]);
            self.wrong
                .push((line, format!("`{name}` is not known; {meant}")));
        }
    }

    fn required<T>(&mut self, name: &str, read: fn(&Value) -> Result<T, Expected>) -> Option<T> {
        if !self.mapping.contains_key(name) {
            self.wrong.push((None, format!("`{name}` is missing")));
        }
        self.optional(name, read)
    }

    fn optional<T>(&mut self, name: &str, read: fn(&Value) -> Result<T, Expected>) -> Option<T> {
        match read(self.mapping.get(name)?) {
            Ok(value) => Some(value),
            Err(Expected { what, found, below }) => {
                let names: Vec<&str> = std::iter::once(name).chain(below.as_deref()).collect();
                let line = line_of(self.text, &names);
                let text = format!("`{}`: expected {what}, found {found}", names.join("."));
                self.wrong.push((line, text));
                None
            }
        }
    }
}

/// The line, from 1, on which the last of these keys stands, each behind the one before it.
fn line_of(text: &str, names: &[&str]) -> Option<usize> {
    let mut found = None;
    let mut lines = text.lines().enumerate();
    for (depth, name) in names.iter().enumerate() {
        found = lines
            .find(|(_, line)| {
                let bare = line.trim_start();
                let bare = bare.trim_start_matches(['{', '"', '\'', ' ']);
                let rest = bare.strip_prefix(name).unwrap_or_default();
                let is_key = rest
                    .trim_start_matches(['"', '\''])
                    .trim_start()
                    .starts_with(':');
                is_key && (depth > 0 || !line.starts_with(' '))
            })
            .map(|(place, _)| place + 1)
            .or(found);
    }
    found
}
