//! A document as YAML sees it: scalars as the text that was written, each node with its place.

use super::report::{Place, Report, nearest, shown};
use super::scalar::truth;

/// A part of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Where it begins; for a list or a mapping, where its key is.
    pub place: Place,
    /// What it is.
    pub value: Value,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Nothing: `null`, `~`, or left out.
    Null,
    /// A scalar.
    Scalar {
        /// What was written, without quotes.
        text: String,
        /// Whether it was written without quotes, or with a tag that says what else than text it is: only
        /// then may it be a boolean.
        plain: bool,
    },
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order of the document; a key may come more than once.
    Map(Vec<(Node, Node)>),
}

/// One entry of a mapping whose keys are words.
#[derive(Clone, Debug)]
pub(super) struct Entry<'n> {
    /// The key, with `_` for `-`: both spellings mean the same.
    pub(super) name: String,
    /// Where the key is.
    pub(super) place: Place,
    /// What it is set to.
    pub(super) value: &'n Node,
}

impl Node {
    fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Scalar { .. } => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// Whether it has keys.
    pub(super) fn is_map(&self) -> bool {
        matches!(self.value, Value::Map(_))
    }

    /// The entries of a mapping, those of `<<` first so that the mapping's own come later and win.
    /// Anything else is reported, and has none.
    pub(super) fn entries(&self, what: &str, report: &mut Report) -> Vec<Entry<'_>> {
        let mut entries = Vec::new();
        let Value::Map(pairs) = &self.value else {
            self.is_not(what, "a mapping of keys to values", report);
            return entries;
        };
        for (key, value) in pairs {
            if matches!(&key.value, Value::Scalar { text, plain: true } if text == "<<") {
                merge(value, report, &mut entries);
            }
        }
        let merged = entries.len();
        for (key, value) in pairs {
            match &key.value {
                Value::Scalar { text, plain: true } if text == "<<" => {}
                Value::Scalar { text, .. } => entries.push(entry(text, key.place, value)),
                Value::Null | Value::List(_) | Value::Map(_) => {
                    report.warning(key.place, format!("a key of {what} is no word; left out"));
                }
            }
        }
        note_repeats(entries.get(merged..).unwrap_or_default(), report);
        entries
    }

    /// The items of a list. Anything else is reported, and has none.
    pub(super) fn items(&self, what: &str, report: &mut Report) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            Value::Null | Value::Scalar { .. } | Value::Map(_) => {
                self.is_not(what, "a list", report);
                &[]
            }
        }
    }

    /// The text of a scalar. Anything else is reported.
    pub(super) fn text(&self, what: &str, report: &mut Report) -> Option<String> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text.clone()),
            Value::Null | Value::List(_) | Value::Map(_) => {
                self.is_not(what, "text", report);
                None
            }
        }
    }

    /// A boolean, written without quotes. Anything else is reported.
    pub(super) fn truth(&self, what: &str, report: &mut Report) -> Option<bool> {
        const EXPECTED: &str = "true or false, without quotes";
        match &self.value {
            Value::Scalar { text, plain: true } => truth(text).or_else(|| {
                let message = format!("{what} is {}, expected {EXPECTED}", shown(text));
                report.warning(self.place, format!("{message}; left out"));
                None
            }),
            Value::Null | Value::Scalar { .. } | Value::List(_) | Value::Map(_) => {
                self.is_not(what, EXPECTED, report);
                None
            }
        }
    }

    fn is_not(&self, what: &str, expected: &str, report: &mut Report) {
        let kind = self.kind();
        let message = format!("{what} is {kind}, expected {expected}; left out");
        report.warning(self.place.whole_line(), message);
    }
}

fn entry<'n>(key: &str, place: Place, value: &'n Node) -> Entry<'n> {
    Entry {
        name: key.replace('-', "_"),
        place: place.whole_line(),
        value,
    }
}

/// What `<<` brings in: a mapping, or a list of them of which an earlier one wins.
fn merge<'n>(node: &'n Node, report: &mut Report, entries: &mut Vec<Entry<'n>>) {
    match &node.value {
        Value::Map(_) => entries.extend(node.entries("what << brings in", report)),
        Value::List(items) => {
            for item in items.iter().rev() {
                entries.extend(item.entries("what << brings in", report));
            }
        }
        Value::Null | Value::Scalar { .. } => node.is_not("<<", "a mapping", report),
    }
}

fn note_repeats(entries: &[Entry<'_>], report: &mut Report) {
    let mut seen = std::collections::HashMap::new();
    for entry in entries {
        if let Some(line) = seen.insert(entry.name.as_str(), entry.place.line) {
            let name = shown(&entry.name);
            let message =
                format!("{name} is there already, in line {line}: both count, the later wins");
            report.note(entry.place, message);
        }
    }
}

impl Entry<'_> {
    /// Say that no such key is known, and which is the nearest.
    pub(super) fn is_unknown(&self, what: &str, known: &[&str], report: &mut Report) {
        let near = nearest(&self.name, known.iter().copied());
        let name = shown(&self.name);
        report.warning(
            self.place,
            format!("{what} has no key {name}{near}; left out"),
        );
    }
}
