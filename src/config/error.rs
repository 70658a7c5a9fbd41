//! What can be wrong with what was typed.

use std::fmt;

use super::layer::Source;

/// Why there is no configuration. Each is one line for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// A flag nobody knows.
    UnknownFlag {
        /// As it was typed.
        given: String,
        /// What was perhaps meant, with its dash.
        nearest: Option<String>,
    },
    /// A flag at the end that needs a value.
    ValueMissing {
        /// The flag, with its dash.
        flag: String,
        /// What stands for the value in the help.
        placeholder: &'static str,
    },
    /// A word that belongs to no flag.
    Stray {
        /// As it was typed.
        word: String,
        /// The switch before it, if it looks as if it was meant for that.
        switch: Option<String>,
    },
    /// A value that is no text.
    NotText(Source),
    /// A value that will not do.
    Invalid {
        /// Who said it.
        source: Source,
        /// The value.
        value: String,
        /// What is wrong with it.
        problem: String,
        /// What would be right.
        expected: &'static str,
    },
    /// A configuration file that cannot be had.
    File {
        /// The file.
        path: String,
        /// Why not.
        why: String,
    },
    /// A configuration file that is no TOML.
    Syntax {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
        /// The column in it, from 1.
        column: usize,
        /// What is wrong there.
        why: String,
    },
    /// Neither a name nor a host name to take it from.
    NameMissing,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownFlag { given, nearest } => {
                write!(f, "unknown flag {}", quoted(given))?;
                match nearest {
                    Some(nearest) => write!(f, "; did you mean {nearest}?"),
                    None => write!(f, "; -h lists them all"),
                }
            }
            Self::ValueMissing { flag, placeholder } => {
                write!(
                    f,
                    "{flag} needs a value: {flag} {placeholder}, or {flag}= for an empty one"
                )
            }
            Self::Stray { word, switch } => {
                write!(f, "{} belongs to no flag", quoted(word))?;
                match switch {
                    Some(switch) => write!(f, "; did you mean {switch}={word}?"),
                    None => write!(f, "; -h lists the flags"),
                }
            }
            Self::NotText(source) => write!(f, "{source}: the value is not UTF-8 text"),
            Self::Invalid {
                source,
                value,
                problem,
                expected,
            } => write!(
                f,
                "{source}: {} {problem}; expected {expected}",
                quoted(value)
            ),
            Self::File { path, why } => write!(f, "the configuration file {}: {why}", quoted(path)),
            Self::Syntax {
                path,
                line,
                column,
                why,
            } => write!(f, "{path}:{line}:{column}: {why}"),
            Self::NameMissing => write!(
                f,
                "this machine has no host name to use; give the member a name with -name NAME"
            ),
        }
    }
}

impl std::error::Error for Error {}

/// The text in quotes, on one line whatever it holds, and no longer than a line.
fn quoted(text: &str) -> String {
    const SHOWN_MAX: usize = 200;
    let mut shown: String = text.chars().take(SHOWN_MAX).collect();
    if shown.len() < text.len() {
        shown.push_str("...");
    }
    format!("{shown:?}")
}
