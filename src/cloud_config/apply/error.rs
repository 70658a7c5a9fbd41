//! The errors of applying a plan.

use std::fmt;
use std::io;
use std::process::ExitStatus;

/// Why a plan was not applied, or not completely.
#[derive(Debug)]
pub enum Error {
    /// The lock that excludes other runs cannot be taken.
    Lock(io::Error),
    /// A path cannot be resolved, or no file can be written there. Nothing was changed.
    Path {
        /// The path.
        path: String,
        /// The cause.
        error: io::Error,
    },
    /// A file cannot be written.
    Write {
        /// The path.
        path: String,
        /// The cause.
        error: io::Error,
    },
    /// A file cannot be removed.
    Remove {
        /// The path.
        path: String,
        /// The cause.
        error: io::Error,
    },
    /// A unit cannot be masked.
    Mask {
        /// The unit.
        unit: String,
        /// The cause.
        error: io::Error,
    },
    /// A unit cannot be unmasked.
    Unmask {
        /// The unit.
        unit: String,
        /// The cause.
        error: io::Error,
    },
    /// The owner of a file cannot be set: it does not exist, or root privileges are missing.
    Owner {
        /// The path.
        path: String,
        /// The owner.
        owner: String,
    },
    /// The SSH keys of a user cannot be added.
    Keys {
        /// The user.
        user: String,
        /// The cause.
        error: io::Error,
    },
    /// A command cannot be started, or waited for.
    Start {
        /// The command.
        command: String,
        /// The cause.
        error: io::Error,
    },
    /// A command failed.
    Command {
        /// The command.
        command: String,
        /// Its exit status.
        status: ExitStatus,
    },
    /// The output cannot be printed.
    Print(io::Error),
    /// The record of queued commands cannot be written.
    SaveQueued(io::Error),
    /// SSH keys of a user or commands for units failed; everything else was done.
    Incomplete(Vec<Error>),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lock(error) => write!(f, "cannot lock out other runs: {error}"),
            Self::Path { path, error } | Self::Write { path, error } => {
                write!(f, "cannot write {path}: {error}")
            }
            Self::Remove { path, error } => write!(f, "cannot remove {path}: {error}"),
            Self::Mask { unit, error } => write!(f, "cannot mask {unit}: {error}"),
            Self::Unmask { unit, error } => write!(f, "cannot unmask {unit}: {error}"),
            Self::Owner { path, owner } => write!(
                f,
                "cannot set the owner of {path} to {owner}: no such user or group, or not permitted"
            ),
            Self::Keys { user, error } => write!(f, "cannot add SSH keys of {user}: {error}"),
            Self::Start { command, error } => write!(f, "cannot run {command}: {error}"),
            Self::Command { command, status } => write!(f, "{command} failed: {status}"),
            Self::Print(error) => write!(f, "cannot print: {error}"),
            Self::SaveQueued(error) => {
                write!(f, "cannot record the queued commands: {error}")
            }
            Self::Incomplete(errors) => {
                f.write_str("applied except for: ")?;
                for (index, error) in errors.iter().enumerate() {
                    let separator = if index == 0 { "" } else { "; " };
                    write!(f, "{separator}{error}")?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for Error {}
