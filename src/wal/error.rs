//! What can be wrong with a data directory or its disk, in sentences for a person.

use std::fmt;
use std::io;

use super::disk::Disk;

/// Why storage cannot be opened or used. `Display` is a sentence that says what to do about it.
#[derive(Debug)]
pub enum StorageError {
    /// The disk or the system said no.
    Io {
        /// What was being done, as in "could not DOING PATH".
        doing: &'static str,
        /// To what.
        path: String,
        /// What it said.
        error: io::Error,
    },
    /// What is there is not what was written.
    Damaged {
        /// The file.
        path: String,
        /// Where in it, in bytes.
        offset: u64,
        /// What is wrong there.
        what: String,
        /// The data directory.
        directory: String,
    },
    /// Written by a later version.
    Newer {
        /// The file.
        path: String,
        /// The version of its format.
        version: u32,
        /// The latest this program knows.
        known: u32,
    },
    /// Another process has it.
    InUse {
        /// The data directory.
        directory: String,
        /// That process, where it left its number.
        pid: Option<u32>,
    },
    /// The data directory's path leads to something else.
    NotADirectory {
        /// The path.
        path: String,
    },
    /// We may not read or write it.
    NotOurs {
        /// The data directory.
        directory: String,
        /// What in it we may not use.
        path: String,
        /// Whose that is.
        owner: String,
        /// Who we are.
        user: String,
    },
    /// It cannot be made where it should be.
    CannotCreate {
        /// The data directory.
        directory: String,
        /// The nearest directory above that is there.
        above: String,
        /// Whose that is.
        owner: String,
        /// Who we are.
        user: String,
    },
    /// The directory belongs to something else.
    Foreign {
        /// The data directory.
        directory: String,
        /// What was found in it.
        what: String,
    },
    /// A batch that would break the log was not written: a fault of this program.
    Impossible {
        /// What is wrong with it.
        what: String,
    },
    /// An earlier write or sync failed; what lasts is no longer known.
    Failed {
        /// What failed.
        what: String,
    },
}

impl StorageError {
    /// `could not DOING PATH: ERROR`, to be given to `map_err`.
    pub(super) fn io<D: Disk>(
        disk: &D,
        doing: &'static str,
        name: &str,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = disk.path_of(name);
        move |error| Self::Io { doing, path, error }
    }

    /// A file that is not what was written.
    pub(super) fn damaged<D: Disk>(
        disk: &D,
        name: &str,
        offset: u64,
        what: impl Into<String>,
    ) -> Self {
        Self::Damaged {
            path: disk.path_of(name),
            offset,
            what: what.into(),
            directory: disk.path_of(""),
        }
    }
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { doing, path, error } => write!(f, "could not {doing} {path}: {error}"),
            Self::Damaged {
                path,
                offset,
                what,
                directory,
            } => write!(
                f,
                "{path} is damaged at byte {offset}: {what}. Nothing was changed. If other members of \
                 the cluster are well, move {directory} away and start again with the same -name and \
                 with -peers naming one of them: this member then comes back with their data"
            ),
            Self::Newer {
                path,
                version,
                known,
            } => write!(
                f,
                "{path} was written by a later version of oxetcd (format {version}, this one knows \
                 {known}): start that version, or move the directory away"
            ),
            Self::InUse { directory, pid } => {
                write!(f, "{directory} is in use by another etcd")?;
                if let Some(pid) = pid {
                    write!(f, " (pid {pid})")?;
                }
                write!(f, ": stop that one, or choose another -data-dir")
            }
            Self::NotADirectory { path } => {
                write!(
                    f,
                    "{path} is not a directory: choose another -data-dir, or move it away"
                )
            }
            Self::NotOurs {
                directory,
                path,
                owner,
                user,
            } => write!(
                f,
                "{path} belongs to {owner}, and {user} may not read and write it. To mend that: \
                 chown -R {user} {directory}"
            ),
            Self::CannotCreate {
                directory,
                above,
                owner,
                user,
            } => write!(
                f,
                "could not create {directory}: {above} belongs to {owner}, and {user} may not write \
                 there. To mend that: install -d -m 0700 -o {user} {directory}"
            ),
            Self::Foreign { directory, what } => write!(
                f,
                "{directory} holds {what}: nothing was touched. Choose another -data-dir, or move it away"
            ),
            Self::Impossible { what } => write!(f, "refused to write to the log: {what}"),
            Self::Failed { what } => {
                write!(f, "the log is closed since an earlier failure: {what}")
            }
        }
    }
}

impl std::error::Error for StorageError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { error, .. } => Some(error),
            Self::Damaged { .. }
            | Self::Newer { .. }
            | Self::InUse { .. }
            | Self::NotADirectory { .. }
            | Self::NotOurs { .. }
            | Self::CannotCreate { .. }
            | Self::Foreign { .. }
            | Self::Impossible { .. }
            | Self::Failed { .. } => None,
        }
    }
}
