//! Why a member's part in the cluster does not start, or ended.

use std::fmt;
use std::io;

use crate::wal::StorageError;

/// Why the consensus part does not start.
#[derive(Debug)]
pub enum StartError {
    /// The raft crate refused the settings or the recovered state.
    Raft(raft::Error),
    /// The operating system refused to start a thread.
    Thread(io::Error),
}

/// Why the driver ended without being told to.
#[derive(Debug)]
pub enum DriverError {
    /// A write or sync of the write-ahead log failed.
    Wal(StorageError),
    /// The driver's thread panicked; its message was printed.
    Panicked,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Raft(error) => write!(f, "cannot start raft: {error}"),
            Self::Thread(error) => write!(f, "cannot start a thread: {error}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Raft(error) => Some(error),
            Self::Thread(error) => Some(error),
        }
    }
}

impl fmt::Display for DriverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wal(error) => write!(f, "{error}"),
            Self::Panicked => f.write_str("the driver panicked"),
        }
    }
}

impl std::error::Error for DriverError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Wal(error) => error.source(),
            Self::Panicked => None,
        }
    }
}
