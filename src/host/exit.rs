//! Why a program fails, and its exit status, by which a service manager decides whether to restart it.

use std::fmt;

use crate::config;
use crate::wal::StorageError;

/// Why a program cannot start or continue: a message, and the kind of failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// An option is not valid: a restart fails again until the configuration is changed.
    Options(String),
    /// The data directory is damaged, of a newer version, belongs to another member, or is not a directory: a
    /// restart fails again and writes nothing.
    Directory(String),
    /// The environment differs from the files of the unit: the service manager must reload them.
    Environment(String),
    /// Any other failure; a later restart may succeed.
    Other(String),
}

impl Failure {
    /// The exit status: `EX_CONFIG`, `EX_DATAERR` or `EX_TEMPFAIL` of sysexits.h, or 1.
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::Options(_) => 78,
            Self::Directory(_) => 65,
            Self::Environment(_) => 75,
            Self::Other(_) => 1,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Options(why)
            | Self::Directory(why)
            | Self::Environment(why)
            | Self::Other(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Failure {}

impl From<String> for Failure {
    fn from(why: String) -> Self {
        Self::Other(why)
    }
}

impl From<&str> for Failure {
    fn from(why: &str) -> Self {
        Self::Other(why.to_owned())
    }
}

impl From<config::Error> for Failure {
    fn from(error: config::Error) -> Self {
        Self::Options(error.to_string())
    }
}

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Self {
        let why = error.to_string();
        match error {
            StorageError::Damaged { .. }
            | StorageError::Newer { .. }
            | StorageError::NotADirectory { .. }
            | StorageError::NotOurs { .. }
            | StorageError::CannotCreate { .. }
            | StorageError::Foreign { .. } => Self::Directory(why),
            // The other process may end, and a disk may become available.
            StorageError::Io { .. }
            | StorageError::InUse { .. }
            | StorageError::Impossible { .. }
            | StorageError::Failed { .. } => Self::Other(why),
        }
    }
}
