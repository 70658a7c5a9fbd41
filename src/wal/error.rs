//! Why a data directory or its disk cannot be used.

use std::fmt;
use std::io;
use std::path::Path;

use super::disk::Disk;
use super::owner::{current_user, owner_name};

/// Why storage cannot be opened or used. `Display` also says what to do about it.
#[derive(Debug)]
pub enum StorageError {
    /// The operating system reported an error.
    Io {
        /// The operation, as in "cannot OPERATION PATH".
        operation: &'static str,
        /// The file or folder.
        path: String,
        /// The error.
        error: io::Error,
    },
    /// A file does not contain what was written.
    Damaged {
        /// The file.
        path: String,
        /// The offset of the damage, in bytes.
        offset: u64,
        /// The damage.
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
        /// The latest version this program reads.
        known: u32,
    },
    /// Another process uses it.
    InUse {
        /// The data directory.
        directory: String,
        /// The id of that process, if the lock file contains it.
        pid: Option<u32>,
    },
    /// The path of the data directory is that of another kind of file.
    NotADirectory {
        /// The path.
        path: String,
    },
    /// This process may not read and write it.
    NotOurs {
        /// The data directory.
        directory: String,
        /// The file or folder that it may not use.
        path: String,
        /// The owner of that.
        owner: String,
        /// The user of this process.
        user: String,
    },
    /// It cannot be created in its parent directory.
    CannotCreate {
        /// The data directory.
        directory: String,
        /// The nearest existing directory above it.
        above: String,
        /// The owner of that.
        owner: String,
        /// The user of this process.
        user: String,
    },
    /// The directory contains files of another program.
    Foreign {
        /// The data directory.
        directory: String,
        /// What was found in it.
        what: String,
    },
    /// A write was refused because it would make the directory inconsistent: a bug in this program.
    Impossible {
        /// What is wrong with it.
        what: String,
    },
    /// An earlier write or sync failed; what is durable is no longer known.
    Failed {
        /// That failure.
        what: String,
    },
}

impl StorageError {
    /// An error of the disk, as a function for `map_err`.
    pub(super) fn io<D: Disk>(
        disk: &D,
        operation: &'static str,
        name: &str,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = disk.path_of(name);
        move |error| Self::Io {
            operation,
            path,
            error,
        }
    }

    /// An error of the operating system with `path`, which is the data directory or a file in it.
    pub(super) fn system(
        directory: &Path,
        path: &Path,
        operation: &'static str,
        error: io::Error,
    ) -> Self {
        if error.kind() == io::ErrorKind::PermissionDenied {
            return Self::not_ours(directory, path);
        }
        // A part of the path is a file.
        if error.kind() == io::ErrorKind::NotADirectory {
            return Self::NotADirectory {
                path: directory.display().to_string(),
            };
        }
        Self::Io {
            operation,
            path: path.display().to_string(),
            error,
        }
    }

    /// `path`, which is the data directory or in it, belongs to another user.
    pub(super) fn not_ours(directory: &Path, path: &Path) -> Self {
        Self::NotOurs {
            directory: directory.display().to_string(),
            path: path.display().to_string(),
            owner: owner_name(path),
            user: current_user(),
        }
    }

    /// A file that does not contain what was written.
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
            Self::Io {
                operation,
                path,
                error,
            } => write!(f, "cannot {operation} {path}: {error}"),
            Self::Damaged {
                path,
                offset,
                what,
                directory,
            } => write!(
                f,
                "{path} is damaged at byte {offset}: {what}. {}",
                recovery_from_damage(directory)
            ),
            Self::Newer {
                path,
                version,
                known,
            } => write!(
                f,
                "{path} was written by a later version of oxetcd (format {version}, this version reads up \
                 to {known}): start that version, or move the data directory away"
            ),
            Self::InUse { directory, pid } => {
                write!(f, "{directory} is in use by another etcd")?;
                if let Some(pid) = pid {
                    write!(f, " (pid {pid})")?;
                }
                write!(f, ": stop that process, or set another -data-dir")
            }
            Self::NotADirectory { path } => {
                write!(
                    f,
                    "{path} is not a directory: set another -data-dir, or move the file away"
                )
            }
            Self::NotOurs {
                directory,
                path,
                owner,
                user,
            } => write!(
                f,
                "cannot use {path}: it belongs to {owner}, not to {user} (to fix this: \
                 chown -R {user} {directory})"
            ),
            Self::CannotCreate {
                directory,
                above,
                owner,
                user,
            } => write!(
                f,
                "cannot create {directory}: {above} belongs to {owner}, and {user} may not write to it \
                 (to fix this: install -d -m 0700 -o {user} {directory})"
            ),
            Self::Foreign { directory, what } => write!(
                f,
                "{directory} contains {what}. Nothing was changed. Set another -data-dir, or move the \
                 directory away"
            ),
            Self::Impossible { what } => write!(f, "refused an inconsistent write: {what}"),
            Self::Failed { what } => {
                write!(f, "the log is closed after an earlier failure: {what}")
            }
        }
    }
}

/// What to do about a damaged file.
fn recovery_from_damage(directory: &str) -> String {
    format!(
        "Nothing was changed. If the other members of the cluster are healthy, move {directory} away and \
         restart with the same -name, and with -peers set to one of them: this member then receives the \
         data from them"
    )
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
