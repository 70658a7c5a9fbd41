//! Errors of the configuration.

use std::fmt;
use std::io;

use super::source::Source;
use super::value::InvalidValue;

/// Why a configuration is not valid. Each is shown on one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// A flag that does not exist.
    UnknownFlag {
        /// The flag, as given.
        given: String,
        /// The most similar flag, with its dash.
        nearest: Option<String>,
    },
    /// The last argument is a flag that requires a value.
    ValueMissing {
        /// The flag, with its dash.
        flag: String,
        /// The placeholder of the value in the help.
        placeholder: &'static str,
    },
    /// An argument that is neither a flag nor the value of one.
    UnexpectedArgument {
        /// The argument.
        argument: String,
        /// The switch before it, if the argument looks like its value.
        switch: Option<String>,
    },
    /// A value that is not UTF-8.
    NotUtf8(Source),
    /// A value that cannot be parsed, is out of range, or conflicts with another.
    Invalid {
        /// Where the value comes from.
        source: Source,
        /// The value.
        value: String,
        /// What is wrong with it; follows the value in a sentence.
        what: String,
        /// What a valid value looks like.
        expected: &'static str,
    },
    /// A configuration file that cannot be read.
    File {
        /// The path of the file.
        path: String,
        /// Why not.
        why: FileError,
    },
    /// A configuration file that is not valid TOML.
    Syntax {
        /// The path of the file.
        path: String,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// The message of the TOML parser.
        message: String,
    },
    /// No name is configured, and there is no usable host name.
    NameMissing,
}

/// Why a configuration file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileError {
    /// The error of the system.
    Io(io::ErrorKind, String),
    /// The file is longer than this number of bytes.
    TooLong(u64),
    /// The file is not UTF-8.
    NotUtf8,
}

impl Error {
    /// An error about the value of `source`.
    pub(super) fn invalid(source: Source, value: String, error: InvalidValue) -> Self {
        Self::Invalid {
            source,
            value,
            what: error.what,
            expected: error.expected,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownFlag { given, nearest } => {
                write!(f, "unknown flag {}", quote(given))?;
                match nearest {
                    Some(nearest) => write!(f, "; did you mean {nearest}?"),
                    None => write!(f, "; run with -h for the list of flags"),
                }
            }
            Self::ValueMissing { flag, placeholder } => write!(
                f,
                "{flag} requires a value: {flag} {placeholder} (or {flag}= for an empty value)"
            ),
            Self::UnexpectedArgument { argument, switch } => {
                write!(f, "unexpected argument {}", quote(argument))?;
                match switch {
                    Some(switch) => write!(f, "; did you mean {switch}={argument}?"),
                    None => write!(f, "; run with -h for the list of flags"),
                }
            }
            Self::NotUtf8(source) => write!(f, "{source}: the value is not valid UTF-8"),
            Self::Invalid {
                source,
                value,
                what,
                expected,
            } => write!(f, "{source}: {} {what}; expected {expected}", quote(value)),
            Self::File { path, why } => write!(
                f,
                "cannot read the configuration file {}: {why}",
                quote(path)
            ),
            Self::Syntax {
                path,
                line,
                column,
                message,
            } => write!(f, "{path}:{line}:{column}: {message}"),
            Self::NameMissing => write!(
                f,
                "no member name: this host has no host name; set a name with -name NAME or ETCD_NAME"
            ),
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        Self::Io(error.kind(), error.to_string())
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(io::ErrorKind::PermissionDenied, message) => {
                write!(f, "{message} (must be readable by the user etcd runs as)")
            }
            Self::Io(io::ErrorKind::NotFound, message) => {
                write!(f, "{message} (check -config or ETCD_CONFIG)")
            }
            Self::Io(_, message) => f.write_str(message),
            Self::TooLong(bytes_max) => write!(f, "longer than {bytes_max} bytes"),
            Self::NotUtf8 => f.write_str("not valid UTF-8"),
        }
    }
}

/// Quote a text: on one line, and not longer than a line.
fn quote(text: &str) -> String {
    const SHOWN_MAX: usize = 200;
    let mut shown: String = text.chars().take(SHOWN_MAX).collect();
    if shown.len() < text.len() {
        shown.push_str("...");
    }
    format!("{shown:?}")
}
