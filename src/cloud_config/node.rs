//! The YAML nodes of a document: scalars as they are written, each node with its position.

use super::report::{Position, Report, quoted, suggestion};
use super::scalar::parse_bool;

/// A value taken from a document, with the position of its key or list item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Its position.
    pub position: Position,
}

/// A node of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The start of a scalar; for a list or a mapping, the start of its key or of its first item.
    pub position: Position,
    /// Its value.
    pub value: Value,
}

/// The value of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `null`, `~`, or an omitted value.
    Null,
    /// A scalar.
    Scalar {
        /// Its text, without quotes.
        text: String,
        /// Whether it is written without quotes or has a tag other than `!!str`: only then it may be a
        /// boolean.
        plain: bool,
    },
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order of the document; a key may occur more than once.
    Map(Vec<(Node, Node)>),
}

/// One entry of a mapping whose keys are scalars.
#[derive(Clone, Debug)]
pub(super) struct Entry<'n> {
    /// The key, with `-` replaced by `_`: both spellings are equivalent.
    pub(super) name: String,
    /// The line of the key.
    pub(super) position: Position,
    /// The value.
    pub(super) value: &'n Node,
}

impl Node {
    /// The kind of the node, as it is named in a message.
    fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "null",
            Value::Scalar { .. } => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// Whether the node is a mapping.
    pub(super) fn is_map(&self) -> bool {
        matches!(self.value, Value::Map(_))
    }

    /// The entries of a mapping, those merged by `<<` first, so that the mapping's own entries override
    /// them. A node of another kind is reported and has no entries.
    pub(super) fn entries(&self, what: &str, report: &mut Report) -> Vec<Entry<'_>> {
        let mut entries = Vec::new();
        let Value::Map(pairs) = &self.value else {
            self.report_kind(what, "a mapping", report);
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
                Value::Scalar { text, .. } => entries.push(entry(text, key.position, value)),
                Value::Null | Value::List(_) | Value::Map(_) => {
                    let message =
                        format!("a key of {what} is {}, expected text; ignored", key.kind());
                    report.warning(key.position, message);
                }
            }
        }
        note_duplicates(entries.get(merged..).unwrap_or_default(), report);
        entries
    }

    /// The items of a list. A node of another kind is reported and has no items.
    pub(super) fn items(&self, what: &str, report: &mut Report) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            Value::Null | Value::Scalar { .. } | Value::Map(_) => {
                self.report_kind(what, "a list", report);
                &[]
            }
        }
    }

    /// The text of a scalar. A node of another kind is reported.
    pub(super) fn text(&self, what: &str, report: &mut Report) -> Option<String> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text.clone()),
            Value::Null | Value::List(_) | Value::Map(_) => {
                self.report_kind(what, "text", report);
                None
            }
        }
    }

    /// A boolean, written without quotes. Any other value is reported.
    pub(super) fn bool(&self, what: &str, report: &mut Report) -> Option<bool> {
        const EXPECTED: &str = "true or false, without quotes";
        match &self.value {
            Value::Scalar { text, plain: true } => parse_bool(text).or_else(|| {
                let message = format!("{what} is {}, expected {EXPECTED}", quoted(text));
                report.warning(self.position, format!("{message}; ignored"));
                None
            }),
            Value::Null | Value::Scalar { .. } | Value::List(_) | Value::Map(_) => {
                self.report_kind(what, EXPECTED, report);
                None
            }
        }
    }

    /// Reports a node of the wrong kind.
    fn report_kind(&self, what: &str, expected: &str, report: &mut Report) {
        let kind = self.kind();
        let message = format!("{what} is {kind}, expected {expected}; ignored");
        report.warning(self.position.without_column(), message);
    }
}

fn entry<'n>(key: &str, position: Position, value: &'n Node) -> Entry<'n> {
    Entry {
        name: key.replace('-', "_"),
        position: position.without_column(),
        value,
    }
}

/// Adds the entries that `<<` merges: those of a mapping, or of a list of mappings, of which an earlier one
/// overrides a later one.
fn merge<'n>(node: &'n Node, report: &mut Report, entries: &mut Vec<Entry<'n>>) {
    match &node.value {
        Value::Map(_) => entries.extend(node.entries("the value of <<", report)),
        Value::List(items) => {
            for item in items.iter().rev() {
                entries.extend(item.entries("an item of <<", report));
            }
        }
        Value::Null | Value::Scalar { .. } => node.report_kind("<<", "a mapping", report),
    }
}

fn note_duplicates(entries: &[Entry<'_>], report: &mut Report) {
    let mut seen = std::collections::HashMap::new();
    for entry in entries {
        if let Some(line) = seen.insert(entry.name.as_str(), entry.position.line) {
            let name = quoted(&entry.name);
            let message = format!(
                "duplicate key {name}, first on line {line}: lists are combined, of other values the last is used"
            );
            report.note(entry.position, message);
        }
    }
}

impl Entry<'_> {
    /// The text of the value, with the position of the key. Any other value is reported.
    pub(super) fn text(&self, what: &str, report: &mut Report) -> Option<Located<String>> {
        let value = self.value.text(what, report)?;
        Some(Located {
            value,
            position: self.position,
        })
    }

    /// A list of texts, each with its own position. Any other value is reported.
    pub(super) fn texts(&self, what: &str, report: &mut Report) -> Vec<Located<String>> {
        let mut texts = Vec::new();
        let item_of = format!("an item of {what}");
        for item in self.value.items(what, report) {
            texts.extend(item.text(&item_of, report).map(|value| Located {
                value,
                position: item.position.without_column(),
            }));
        }
        texts
    }

    /// Reports a key that is not known, with the nearest known one.
    pub(super) fn report_unknown(&self, what: &str, known: &[&str], report: &mut Report) {
        let suggestion = suggestion(&self.name, known.iter().copied());
        let name = quoted(&self.name);
        report.warning(
            self.position,
            format!("unknown key {name} in {what}{suggestion}; ignored"),
        );
    }
}
