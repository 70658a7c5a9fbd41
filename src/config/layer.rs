//! What one source says about the options: any of them, or none.

use std::collections::BTreeMap;
use std::fmt;

use super::Error;
use super::options::{Key, OPTIONS, Opt, Section};
use super::value::Problem;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A flag, with its dash.
    Flag(String),
    /// An environment variable.
    Variable(String),
    /// A key of a configuration file.
    File {
        /// The file, as it was given.
        path: String,
        /// The line in it, from 1.
        line: usize,
        /// The key as the file has it, with its section.
        key: String,
    },
    /// The table of options.
    Default(Key),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => f.write_str(flag),
            Self::Variable(variable) => f.write_str(variable),
            Self::File { path, line, key } => write!(f, "{path}:{line}: {key}"),
            Self::Default(key) => write!(f, "the default of {}", key.option().flag()),
        }
    }
}

/// What one source says, as text, all of it optional.
#[derive(Clone, Debug, Default)]
pub struct Layer {
    values: BTreeMap<Key, (Source, String)>,
    /// What whoever wrote it should know, though it can be used: a line each.
    notes: Vec<String>,
}

impl Layer {
    /// What the table of options says.
    pub fn defaults() -> Self {
        Self::defaults_of(OPTIONS)
    }

    /// The same of another table.
    pub(super) fn defaults_of(options: &[Opt]) -> Self {
        let mut layer = Self::default();
        for option in options {
            if let Some(default) = option.default {
                layer.set(
                    option.key,
                    Source::Default(option.key),
                    String::from(default),
                );
            }
        }
        layer
    }

    /// Say something about an option, instead of what was said before.
    pub fn set(&mut self, key: Key, source: Source, text: String) {
        self.values.insert(key, (source, text));
    }

    /// Say nothing about an option any more.
    pub(super) fn forget(&mut self, key: Key) {
        self.values.remove(&key);
    }

    /// The options that something is said about.
    pub(super) fn keys(&self) -> Vec<Key> {
        self.values.keys().copied().collect()
    }

    /// Say something to whoever wrote this.
    pub fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// What whoever wrote it should know, a line each, the layer on top first.
    pub fn notes(&self) -> Vec<String> {
        let without_effect = self
            .values
            .iter()
            .filter(|(key, _)| key.option().section == Section::Ignored)
            .map(|(_, (source, _))| format!("{source}: accepted, but it has no effect"));
        self.notes.iter().cloned().chain(without_effect).collect()
    }

    /// Who says something about an option, and what.
    pub fn said(&self, key: Key) -> Option<(&Source, &str)> {
        let (source, text) = self.values.get(&key)?;
        Some((source, text))
    }

    /// This layer, and `below` where it says nothing.
    #[must_use]
    pub fn or(mut self, below: Self) -> Self {
        self.notes.extend(below.notes);
        for (key, value) in below.values {
            self.values.entry(key).or_insert(value);
        }
        self
    }

    /// What is said about an option, read by `parse`; none if nothing is.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] with the source, if `parse` finds a problem.
    pub(super) fn get<T>(
        &self,
        key: Key,
        parse: impl FnOnce(&str) -> Result<T, Problem>,
    ) -> Result<Option<T>, Error> {
        let Some((source, text)) = self.values.get(&key) else {
            return Ok(None);
        };
        parse(text).map(Some).map_err(|problem| Error::Invalid {
            source: source.clone(),
            value: text.clone(),
            problem: problem.what,
            expected: problem.expected,
        })
    }
}
