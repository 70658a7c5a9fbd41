//! `coreos.exec-watch`: commands to run when a key changes.

use super::{Placed, text, texts};
use crate::cloud_config::node::{Entry, Node, Value};
use crate::cloud_config::report::{Place, Report};

/// A hook.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hook {
    /// Where it begins.
    pub place: Place,
    /// Its name, and that of its file.
    pub name: Option<Placed<String>>,
    /// What its file says, by the file's own keys, of which a later one wins.
    pub settings: Vec<(&'static str, Setting)>,
}

/// What one key of a hook's file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Yes or no.
    Truth(bool),
    /// A text.
    Text(String),
    /// A number, still as it is written.
    Number(Placed<String>),
    /// Texts.
    List(Vec<String>),
    /// Texts by name.
    Map(Vec<(String, String)>),
}

const KEYS: &[&str] = &[
    "command",
    "concurrency",
    "debounce",
    "environment",
    "initial",
    "json",
    "key",
    "name",
    "on_failure",
    "recursive",
    "retry",
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
        if entry.name == "name" {
            hook.name = text(&entry, "a hook's name", report).or(hook.name);
        } else {
            hook.settings.extend(setting(&entry, report));
        }
    }
    Some(hook)
}

fn setting(entry: &Entry<'_>, report: &mut Report) -> Option<(&'static str, Setting)> {
    let what = format!("a hook's {}", entry.name);
    let node = entry.value;
    let mut truth = || node.truth(&what, report).map(Setting::Truth);
    Some(match entry.name.as_str() {
        "recursive" => ("recursive", truth()?),
        "initial" => ("initial", truth()?),
        "json" => ("json", truth()?),
        "key" => ("key", Setting::Text(node.text(&what, report)?)),
        "user" => ("user", Setting::Text(node.text(&what, report)?)),
        "on_failure" => ("on-failure", Setting::Text(node.text(&what, report)?)),
        "timeout" => ("timeout", Setting::Number(text(entry, &what, report)?)),
        "debounce" => ("debounce", Setting::Number(text(entry, &what, report)?)),
        "retry" => ("retry", Setting::Number(text(entry, &what, report)?)),
        "concurrency" => ("concurrency", Setting::Number(text(entry, &what, report)?)),
        "environment" => ("environment", variables(node, &what, report)),
        "command" => match &node.value {
            Value::List(_) => {
                let words = texts(entry, &what, report);
                let words = words.into_iter().map(|word| word.value).collect();
                ("command", Setting::List(words))
            }
            Value::Null | Value::Scalar { .. } | Value::Map(_) => {
                ("command", Setting::Text(node.text(&what, report)?))
            }
        },
        _ => {
            entry.is_unknown("a hook", KEYS, report);
            return None;
        }
    })
}

fn variables(node: &Node, what: &str, report: &mut Report) -> Setting {
    let mut variables = Vec::new();
    for variable in node.entries(what, report) {
        if let Some(value) = variable.value.text("a variable", report) {
            variables.push((original(node, &variable.name), value));
        }
    }
    Setting::Map(variables)
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
