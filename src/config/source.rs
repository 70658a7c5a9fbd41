//! Where a value comes from.

use std::fmt;

use super::options::Key;

/// Where a value comes from, as error messages name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A flag, with its dash.
    Flag(String),
    /// An environment variable.
    Variable(String),
    /// A key in a configuration file.
    File {
        /// The path of the file, as given.
        path: String,
        /// The line, from 1.
        line: usize,
        /// The key, with its section.
        key: String,
    },
    /// The default in the table of options.
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
