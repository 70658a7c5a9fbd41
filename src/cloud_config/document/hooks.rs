//! `coreos.exec-watch`: commands to run when a key changes.

use crate::cloud_config::node::{Entry, Located, Node, Value};
use crate::cloud_config::report::{Position, Report};

/// An item of `exec-watch`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hook {
    /// Its first line.
    pub position: Position,
    /// The name of the hook and of its file.
    pub name: Option<Located<String>>,
    /// The settings by the keys of a hook file; a later one overrides an earlier one.
    pub settings: Vec<(&'static str, Setting)>,
}

/// The value of one key of a hook file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// A boolean.
    Bool(bool),
    /// A text.
    Text(String),
    /// A number, as it is written.
    Number(Located<String>),
    /// A list of texts.
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
        position: node.position.without_column(),
        ..Hook::default()
    };
    let entries = node.entries(WHAT, report);
    if !node.is_map() {
        return None;
    }
    for entry in entries {
        if entry.name == "name" {
            hook.name = entry.text("the name of a hook", report).or(hook.name);
        } else {
            hook.settings.extend(setting(&entry, report));
        }
    }
    Some(hook)
}

fn setting(entry: &Entry<'_>, report: &mut Report) -> Option<(&'static str, Setting)> {
    let what = format!("the {} of a hook", entry.name);
    let node = entry.value;
    let mut boolean = || node.bool(&what, report).map(Setting::Bool);
    Some(match entry.name.as_str() {
        "recursive" => ("recursive", boolean()?),
        "initial" => ("initial", boolean()?),
        "json" => ("json", boolean()?),
        "key" => ("key", Setting::Text(node.text(&what, report)?)),
        "user" => ("user", Setting::Text(node.text(&what, report)?)),
        "on_failure" => ("on-failure", Setting::Text(node.text(&what, report)?)),
        "timeout" => ("timeout", Setting::Number(entry.text(&what, report)?)),
        "debounce" => ("debounce", Setting::Number(entry.text(&what, report)?)),
        "retry" => ("retry", Setting::Number(entry.text(&what, report)?)),
        "concurrency" => ("concurrency", Setting::Number(entry.text(&what, report)?)),
        "environment" => ("environment", parse_variables(node, &what, report)),
        "command" => match &node.value {
            Value::List(_) => {
                let words = entry.texts(&what, report);
                let words = words.into_iter().map(|word| word.value).collect();
                ("command", Setting::List(words))
            }
            Value::Null | Value::Scalar { .. } | Value::Map(_) => {
                ("command", Setting::Text(node.text(&what, report)?))
            }
        },
        _ => {
            entry.report_unknown("a hook", KEYS, report);
            return None;
        }
    })
}

fn parse_variables(node: &Node, what: &str, report: &mut Report) -> Setting {
    let mut variables = Vec::new();
    for variable in node.entries(what, report) {
        if let Some(value) = variable
            .value
            .text("an environment variable of a hook", report)
        {
            variables.push((spelling(node, &variable.name), value));
        }
    }
    Setting::Map(variables)
}

/// The key of a mapping as it is written: in the name of a variable `-` and `_` are different.
fn spelling(node: &Node, name: &str) -> String {
    let Value::Map(pairs) = &node.value else {
        return String::from(name);
    };
    let written = pairs.iter().find_map(|(key, _)| match &key.value {
        Value::Scalar { text, .. } if text.replace('-', "_") == name => Some(text.clone()),
        Value::Scalar { .. } | Value::Null | Value::List(_) | Value::Map(_) => None,
    });
    written.unwrap_or_else(|| String::from(name))
}
