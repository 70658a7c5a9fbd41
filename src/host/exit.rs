//! Why a program of ours does not start or does not go on, and the exit status that tells whoever started
//! it what to do about that.

use std::fmt;

use crate::config;
use crate::wal::StorageError;

/// A sentence for a person, and what kind of failure it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// An option that will not do: the same start fails again until someone changes it.
    Options(String),
    /// The data directory is damaged, of a later version, someone else's, or no directory: the same start
    /// fails again, and writes nothing.
    Directory(String),
    /// The service manager started it with an environment that its configuration no longer says.
    Environment(String),
    /// Anything else; trying again later may help.
    Other(String),
}

impl Failure {
    /// The exit status, by the names of sysexits.h: `EX_CONFIG`, `EX_DATAERR`, `EX_TEMPFAIL`, or 1.
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
            // Another process may end, a disk may come back.
            StorageError::Io { .. }
            | StorageError::InUse { .. }
            | StorageError::Impossible { .. }
            | StorageError::Failed { .. } => Self::Other(why),
        }
    }
}
