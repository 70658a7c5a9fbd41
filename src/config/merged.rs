//! The layers merged: for each option the value of the highest layer that sets it, else the default.

use super::error::Error;
use super::layer::Layer;
use super::options::{Key, Opt, Section};
use super::source::Source;
use super::value::InvalidValue;

/// All layers merged over the defaults; not validated.
#[derive(Clone, Debug)]
pub struct Merged(Layer);

impl Merged {
    /// Merge `layers`, the highest first, over the defaults of `options`.
    pub fn new(options: &[Opt], layers: impl IntoIterator<Item = Layer>) -> Self {
        let mut merged = Layer::default();
        for layer in layers {
            merged.extend_below(layer);
        }
        merged.extend_below(Layer::from_defaults(options));
        Self(merged)
    }

    /// The warnings of all layers, the highest first, and one for each ignored option that is set.
    pub fn notes(&self) -> Vec<String> {
        let ignored = self
            .0
            .keys()
            .filter(|key| key.option().section == Section::Ignored)
            .filter_map(|key| self.find(key))
            .map(|(source, _)| format!("{source}: accepted, but it has no effect"));
        self.0.notes().iter().cloned().chain(ignored).collect()
    }

    /// The source and the text of a value; none if the option is not set and has no default.
    pub fn find(&self, key: Key) -> Option<(&Source, &str)> {
        self.0.find(key)
    }

    /// The value of an option, converted by `parse`; none if it is not set and has no default.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`], with the source, if `parse` fails.
    pub(super) fn get<T>(
        &self,
        key: Key,
        parse: impl FnOnce(&str) -> Result<T, InvalidValue>,
    ) -> Result<Option<T>, Error> {
        self.0.get(key, parse)
    }

    /// The value of an option that has a default, converted by `parse`.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`], with the source, if `parse` fails.
    pub(super) fn require<T>(
        &self,
        key: Key,
        parse: impl FnOnce(&str) -> Result<T, InvalidValue>,
    ) -> Result<T, Error> {
        let default = Source::Default(key);
        // A table without the option does not set it: its row in the other table does.
        let fallback = (&default, key.option().default.unwrap_or_default());
        let (source, text) = self.find(key).unwrap_or(fallback);
        let invalid = |error| Error::invalid(source.clone(), String::from(text), error);
        parse(text).map_err(invalid)
    }
}
