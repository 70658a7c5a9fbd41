//! `coreos.exec-watch`: commands to run when a key changes.

use super::{Placed, text, texts};
use crate::cloud_config::node::{Node, Value};
use crate::cloud_config::report::{Place, Report};

/// A hook.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hook {
    /// Where it begins.
    pub place: Place,
    /// Its name, and that of its file.
    pub name: Option<Placed<String>>,
    /// The key to watch.
    pub key: Option<Placed<String>>,
    /// What to run.
    pub command: Option<Command>,
    /// Whether what is below the key counts, too.
    pub recursive: Option<bool>,
    /// Whether it runs for what is there when it starts.
    pub initial: Option<bool>,
    /// As whom it runs.
    pub user: Option<Placed<String>>,
    /// Seconds it may run.
    pub timeout: Option<Placed<String>>,
    /// Milliseconds to wait for further changes.
    pub debounce: Option<Placed<String>>,
    /// What else is in its environment.
    pub environment: Vec<(String, String)>,
}

/// What to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A line for the shell.
    Line(String),
    /// A program and its arguments.
    Words(Vec<String>),
}

const KEYS: &[&str] = &[
    "command",
    "debounce",
    "environment",
    "initial",
    "key",
    "name",
    "recursive",
    "timeout",
    "user",
];

pub(super) fn parse(node: &Node, report: &mut Report) -> Option<Hook> {
    const WHAT: &str = "a hook";
    let mut hook = Hook {
        place: node.place.whole_line(),
        ..Hook::default()
    };
    let entries = node.entries(WHAT, report);
    if !node.is_map() {
        return None;
    }
    for entry in entries {
        let what = format!("a hook's {}", entry.name);
        match entry.name.as_str() {
            "name" => hook.name = text(&entry, &what, report).or(hook.name),
            "key" => hook.key = text(&entry, &what, report).or(hook.key),
            "user" => hook.user = text(&entry, &what, report).or(hook.user),
            "timeout" => hook.timeout = text(&entry, &what, report).or(hook.timeout),
            "debounce" => hook.debounce = text(&entry, &what, report).or(hook.debounce),
            "recursive" => hook.recursive = entry.value.truth(&what, report).or(hook.recursive),
            "initial" => hook.initial = entry.value.truth(&what, report).or(hook.initial),
            "command" => {
                hook.command = match &entry.value.value {
                    Value::List(_) => {
                        let words = texts(&entry, &what, report);
                        let words = words.into_iter().map(|word| word.value).collect();
                        Some(Command::Words(words))
                    }
                    Value::Null | Value::Scalar { .. } | Value::Map(_) => {
                        entry.value.text(&what, report).map(Command::Line)
                    }
                }
                .or(hook.command);
            }
            "environment" => {
                for variable in entry.value.entries(&what, report) {
                    let value = variable.value.text("a variable", report);
                    let name = original(entry.value, &variable.name);
                    hook.environment.extend(value.map(|value| (name, value)));
                }
            }
            _ => entry.is_unknown(WHAT, KEYS, report),
        }
    }
    Some(hook)
}

/// The key of a mapping as it was written: `-` and `_` are not the same in a variable's name.
fn original(node: &Node, name: &str) -> String {
    let Value::Map(pairs) = &node.value else {
        return String::from(name);
    };
    let written = pairs.iter().find_map(|(key, _)| match &key.value {
        Value::Scalar { text, .. } if text.replace('-', "_") == name => Some(text.clone()),
        Value::Scalar { .. } | Value::Null | Value::List(_) | Value::Map(_) => None,
    });
    written.unwrap_or_else(|| String::from(name))
}
