//! A layer: the values that one source sets, as text and not validated. Any option may be missing.

use std::collections::BTreeMap;

use super::error::Error;
use super::options::{Key, Opt};
use super::source::Source;
use super::value::InvalidValue;

/// The values that one source sets.
#[derive(Clone, Debug, Default)]
pub struct Layer {
    values: BTreeMap<Key, (Source, String)>,
    notes: Vec<String>,
}

impl Layer {
    /// The defaults of a table of options.
    pub(super) fn from_defaults(options: &[Opt]) -> Self {
        let mut layer = Self::default();
        for option in options {
            if let Some(default) = option.default {
                let source = Source::Default(option.key);
                layer.set(option.key, source, String::from(default));
            }
        }
        layer
    }

    /// Set an option, replacing an earlier value.
    pub fn set(&mut self, key: Key, source: Source, text: String) {
        self.values.insert(key, (source, text));
    }

    /// Unset an option.
    pub(super) fn remove(&mut self, key: Key) {
        self.values.remove(&key);
    }

    /// The options that are set.
    pub(super) fn keys(&self) -> impl Iterator<Item = Key> {
        self.values.keys().copied()
    }

    /// Add a warning, one line, for the operator.
    pub fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// The warnings, one line each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The source and the text of a value; none if the option is not set.
    pub fn find(&self, key: Key) -> Option<(&Source, &str)> {
        let (source, text) = self.values.get(&key)?;
        Some((source, text))
    }

    /// Set what `below` sets and this layer does not, and append its warnings.
    pub(super) fn extend_below(&mut self, below: Self) {
        self.notes.extend(below.notes);
        for (key, value) in below.values {
            self.values.entry(key).or_insert(value);
        }
    }

    /// The value of an option, converted by `parse`; none if the option is not set.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`], with the source, if `parse` fails.
    pub(super) fn get<T>(
        &self,
        key: Key,
        parse: impl FnOnce(&str) -> Result<T, InvalidValue>,
    ) -> Result<Option<T>, Error> {
        let Some((source, text)) = self.find(key) else {
            return Ok(None);
        };
        let invalid = |error| Error::invalid(source.clone(), String::from(text), error);
        parse(text).map(Some).map_err(invalid)
    }
}
