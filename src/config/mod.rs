//! The configuration: from flags, variables and a file to a validated [`Config`], in three stages.
//!
//! 1. Parsed: each source is read into a [`Layer`], which may set any of the options (`flags`, `env`,
//!    `file`). [`options`] is the table that all of them use.
//! 2. Merged: [`Merged`] holds the value of the highest layer that sets an option, else the default.
//! 3. Validated: [`Merged::validate`] is the only way to a [`Config`].

pub mod address;
pub mod argv;
pub mod discovery;
pub mod env;
pub mod error;
pub mod file;
pub mod flags;
pub mod help;
pub mod invalid_variables;
pub mod layer;
pub mod merged;
pub mod nearest;
mod old;
mod option;
pub mod options;
pub mod print;
pub mod service;
pub mod source;
mod tls;
mod validated;
mod value;

#[cfg(test)]
mod source_tests;
#[cfg(test)]
mod tests;

use std::ffi::OsString;

pub use address::{Listen, PortAddress};
pub use discovery::DiscoveryUrl;
pub use error::Error;
pub use help::{API_VERSION, VERSION};
pub use layer::Layer;
pub use merged::Merged;
pub use options::Key;
pub use service::{ServiceConfig, TokenStore};
pub use source::Source;
pub use tls::TlsFiles;
pub use validated::{Config, Verbosity};
pub use value::{InvalidValue, Ready};

/// What the command line requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invocation {
    /// Run a member.
    Run {
        /// Its configuration.
        config: Box<Config>,
        /// Warnings for the operator, one line each.
        notes: Vec<String>,
    },
    /// Print the help.
    Help,
    /// Print the version.
    Version,
    /// Print the configuration.
    PrintConfig {
        /// The configuration as a configuration file.
        text: String,
        /// Warnings for the operator, one line each.
        notes: Vec<String>,
    },
}

/// Read the arguments (without the name of the program), the environment and the configuration file.
///
/// # Errors
///
/// The first error of [`flags::read`], [`env::read`], [`file::read`] or [`Merged::validate`].
pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Invocation, Error> {
    let flags = flags::read(arguments)?;
    if flags.get(Key::Help, value::parse_bool)? == Some(true) {
        return Ok(Invocation::Help);
    }
    if flags.get(Key::Version, value::parse_bool)? == Some(true) {
        return Ok(Invocation::Version);
    }
    let variables = env::read(|variable| std::env::var_os(variable))?;
    let file = match flags.find(Key::Config).or(variables.find(Key::Config)) {
        Some((_, "")) => Layer::default(),
        Some((_, path)) => file::read(path)?,
        None => file::read_system()?,
    };
    let merged = Merged::new(options::OPTIONS, [flags, variables, file]);
    let mut notes = merged.notes();
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    notes.extend(env::find_unknown(names));
    let config = merged.validate(env::hostname().as_deref())?;
    if merged.require(Key::PrintConfig, value::parse_bool)? {
        let text = print::print(&merged, &config);
        return Ok(Invocation::PrintConfig { text, notes });
    }
    Ok(Invocation::Run {
        config: Box::new(config),
        notes,
    })
}
