//! The lock on a data directory, held by the process that uses it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::error::StorageError;

/// The lock file's name.
pub(super) const LOCK_FILE: &str = "lock";

/// Lock the directory, and write the process id into the lock file.
///
/// # Errors
///
/// - [`StorageError::InUse`]: another process holds the lock.
/// - [`StorageError::NotOurs`]: the lock file belongs to another user.
/// - [`StorageError::Io`]: the disk failed.
pub(super) fn lock(path: &Path) -> Result<File, StorageError> {
    let name = path.join(LOCK_FILE);
    let fail = |error| StorageError::system(path, &name, "open", error);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&name)
        .map_err(fail)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // The process id is only for the message.
            let _ = file.read_to_string(&mut text);
            return Err(StorageError::InUse {
                directory: path.display().to_string(),
                pid: text.trim().parse().ok(),
            });
        }
        Err(TryLockError::Error(error)) => {
            return Err(StorageError::system(path, &name, "lock", error));
        }
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(|error| StorageError::system(path, &name, "write", error))?;
    Ok(file)
}
