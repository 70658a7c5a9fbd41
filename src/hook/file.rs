//! The schema of a hook's file: YAML in, a checked [`Hook`] or all [`Problem`]s out. Pure.

use std::fmt;
use std::time::Duration;

use serde_yaml::{Mapping, Value};

use super::field::{self, Expected};
use crate::config::nearest::nearest;

/// One key of the schema, as help and man page show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyDoc {
    /// The key.
    pub name: &'static str,
    /// Its default, or an example if it has none.
    pub value: &'static str,
    /// Whether `value` is the default.
    pub is_default: bool,
    /// What it sets, with its unit.
    pub help: &'static str,
}

/// A key whose value is an example.
const fn example(name: &'static str, value: &'static str, help: &'static str) -> KeyDoc {
    KeyDoc {
        name,
        value,
        is_default: false,
        help,
    }
}

/// A key with its default.
const fn default(name: &'static str, value: &'static str, help: &'static str) -> KeyDoc {
    KeyDoc {
        name,
        value,
        is_default: true,
        help,
    }
}

/// All keys, in the order they are shown. `key` and `command` are required.
#[rustfmt::skip]
pub const KEYS: [KeyDoc; 12] = [
    example("key", "/services", "Key to watch (required)."),
    example("command", "[reload, --now]", "Command to run (required): a list of words, or one line for /bin/sh -c."),
    default("recursive", "false", "Also watch all keys below the key."),
    example("user", "www-data", "User to run the command as, with all its groups (default: the user who runs the hooks)."),
    example("environment", "{SITE: a}", "Additional environment variables."),
    example("timeout", "30", "Timeout for the command, in seconds (default: none)."),
    default("debounce", "0", "Time without further changes of a key before its latest change is handled, in milliseconds (0 = \
        handle every change)."),
    default("initial", "false", "At start, run the command for every existing key (action get)."),
    default("json", "false", "Write the event to the command's stdin, as JSON."),
    default("retry", "0", "Number of times a failed command is run again."),
    default("on-failure", "continue", "Action after the last failed attempt: continue, or stop the hook with the command's \
        exit code."),
    default("concurrency", "1", "Number of commands that may run at once; changes of one key stay in order."),
];

/// The longest file, in bytes.
pub(super) const FILE_BYTES_MAX: u64 = 1 << 20;

/// A hook as its file describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// The key to watch, with a leading slash and without a trailing one.
    pub(super) key: String,
    pub(super) recursive: bool,
    /// The command and its arguments; never empty.
    pub(super) words: Vec<String>,
    pub(super) user: Option<String>,
    pub(super) environment: Vec<(String, String)>,
    pub(super) timeout: Option<Duration>,
    pub(super) debounce: Duration,
    pub(super) initial: bool,
    pub(super) json: bool,
    pub(super) retries: u32,
    /// Whether a command that fails for the last time ends the watch.
    pub(super) stops: bool,
    /// At least 1.
    pub(super) concurrency: u16,
}

impl Hook {
    /// The key it watches, for a table.
    pub(crate) fn subject(&self) -> String {
        let below = if self.recursive { " (recursive)" } else { "" };
        format!("{}{below}", self.key)
    }

    /// The command on one line, for a table.
    pub(crate) fn command_line(&self) -> String {
        self.words.join(" ").replace('\n', " ")
    }
}

/// Something wrong with a hook's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1; none if it is about the file as a whole.
    pub line: Option<usize>,
    /// What is wrong.
    pub kind: ProblemKind,
}

/// What is wrong with a hook's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    /// The file has no content.
    Empty,
    /// The YAML is not a mapping.
    NotAMapping,
    /// The text is not YAML; the parser's message.
    Yaml(String),
    /// The schema has no such key.
    UnknownKey {
        /// The key.
        name: String,
        /// The key of the schema that is nearest to it.
        nearest: Option<&'static str>,
    },
    /// A required key is missing.
    MissingKey(&'static str),
    /// A value that its key does not take.
    Value {
        /// The key, with the one inside its value after a dot.
        key: String,
        /// What it takes.
        expected: &'static str,
        /// What was found.
        found: String,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ProblemKind::Empty => write!(f, "the file is empty"),
            ProblemKind::NotAMapping => {
                write!(f, "expected keys and values, as in `key: /services`")
            }
            ProblemKind::Yaml(error) => write!(f, "not valid YAML: {error}"),
            ProblemKind::UnknownKey {
                name,
                nearest: Some(nearest),
            } => write!(f, "unknown key `{name}`; did you mean `{nearest}`?"),
            ProblemKind::UnknownKey {
                name,
                nearest: None,
            } => {
                let mut names = KEYS.map(|key| key.name);
                names.sort_unstable();
                write!(
                    f,
                    "unknown key `{name}`; expected one of {}",
                    names.join(", ")
                )
            }
            ProblemKind::MissingKey(name) => write!(f, "required key `{name}` is missing"),
            ProblemKind::Value {
                key,
                expected,
                found,
            } => write!(f, "`{key}`: expected {expected}, found {found}"),
        }
    }
}

/// Parse and check the text of a hook's file.
///
/// # Errors
///
/// All problems, in the order of their lines: the text is empty, not YAML, or not a mapping; a key is not
/// part of the schema; a required key is missing; a value is of the wrong type or out of range.
pub fn parse(text: &str) -> Result<Hook, Vec<Problem>> {
    let whole = |line, kind| Err(vec![Problem { line, kind }]);
    let mapping = match serde_yaml::from_str(text) {
        Ok(Value::Mapping(mapping)) => mapping,
        Ok(Value::Null) => return whole(None, ProblemKind::Empty),
        Ok(_) => return whole(Some(1), ProblemKind::NotAMapping),
        Err(error) => {
            let line = error.location().map(|location| location.line());
            return whole(line, ProblemKind::Yaml(error.to_string()));
        }
    };
    let mut fields = Fields {
        text,
        mapping,
        problems: Vec::new(),
    };
    fields.check_names();
    let key = fields.required("key", field::key);
    let words = fields.required("command", field::command);
    let hook = Hook {
        key: key.unwrap_or_default(),
        recursive: fields
            .optional("recursive", field::boolean)
            .unwrap_or(false),
        words: words.unwrap_or_default(),
        user: fields.optional("user", field::user),
        environment: fields
            .optional("environment", field::environment)
            .unwrap_or_default(),
        timeout: fields.optional("timeout", field::seconds),
        debounce: fields
            .optional("debounce", field::milliseconds)
            .unwrap_or_default(),
        initial: fields.optional("initial", field::boolean).unwrap_or(false),
        json: fields.optional("json", field::boolean).unwrap_or(false),
        retries: fields.optional("retry", field::count).unwrap_or(0),
        stops: fields.optional("on-failure", field::stops).unwrap_or(false),
        concurrency: fields
            .optional("concurrency", field::concurrency)
            .unwrap_or(1),
    };
    if fields.problems.is_empty() {
        return Ok(hook);
    }
    let mut problems = fields.problems;
    problems.sort_by_key(|problem| (problem.line, problem.to_string()));
    Err(problems)
}

/// The mapping while its values are read.
struct Fields<'a> {
    text: &'a str,
    mapping: Mapping,
    problems: Vec<Problem>,
}

impl Fields<'_> {
    fn check_names(&mut self) {
        let known = KEYS.map(|key| key.name);
        for name in self.mapping.keys() {
            let name = name
                .as_str()
                .map_or_else(|| field::describe(name), str::to_owned);
            if known.contains(&name.as_str()) {
                continue;
            }
            self.problems.push(Problem {
                line: find_line(self.text, &[&name]),
                kind: ProblemKind::UnknownKey {
                    nearest: nearest(&name, known),
                    name,
                },
            });
        }
    }

    fn required<T>(
        &mut self,
        name: &'static str,
        read: fn(&Value) -> Result<T, Expected>,
    ) -> Option<T> {
        if !self.mapping.contains_key(name) {
            self.problems.push(Problem {
                line: None,
                kind: ProblemKind::MissingKey(name),
            });
        }
        self.optional(name, read)
    }

    fn optional<T>(&mut self, name: &str, read: fn(&Value) -> Result<T, Expected>) -> Option<T> {
        match read(self.mapping.get(name)?) {
            Ok(value) => Some(value),
            Err(Expected { what, found, below }) => {
                let names: Vec<&str> = std::iter::once(name).chain(below.as_deref()).collect();
                self.problems.push(Problem {
                    line: find_line(self.text, &names),
                    kind: ProblemKind::Value {
                        key: names.join("."),
                        expected: what,
                        found,
                    },
                });
                None
            }
        }
    }
}

/// The line, from 1, of the last of these keys, each after the one before it.
fn find_line(text: &str, names: &[&str]) -> Option<usize> {
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
            .map(|(index, _)| index + 1)
            .or(found);
    }
    found
}
