//! The standby file: what a standby stores so that it finds its cluster after a restart. Its content is opaque
//! here; it is read and replaced as a whole.

use super::disk::{Disk, read_file, remove_if_there, replace};
use super::error::StorageError;

/// The standby file's name.
pub(super) const STANDBY_FILE: &str = "standby";

/// The name of a new standby file while it is written.
pub(super) const STANDBY_FILE_NEXT: &str = "standby.tmp";

/// The longest standby file, in bytes; the rest of a longer one is not read.
const STANDBY_FILE_BYTES_MAX: usize = 1 << 20;

/// The content of the file; none if there is none.
///
/// # Errors
///
/// [`StorageError::Io`]: the disk failed.
pub(super) fn load<D: Disk>(disk: &D) -> Result<Option<Vec<u8>>, StorageError> {
    read_file(disk, STANDBY_FILE, STANDBY_FILE_BYTES_MAX).map_err(StorageError::io(
        disk,
        "read",
        STANDBY_FILE,
    ))
}

/// Replace the file durably.
///
/// # Errors
///
/// [`StorageError::Io`]: the disk failed.
pub(super) fn save<D: Disk>(disk: &D, bytes: &[u8]) -> Result<(), StorageError> {
    replace(disk, STANDBY_FILE, STANDBY_FILE_NEXT, bytes).map_err(StorageError::io(
        disk,
        "write",
        STANDBY_FILE,
    ))
}

/// Remove the file if it exists.
///
/// # Errors
///
/// [`StorageError::Io`]: the disk failed.
pub(super) fn remove<D: Disk>(disk: &D) -> Result<(), StorageError> {
    remove_if_there(disk, STANDBY_FILE)
        .and_then(|()| disk.sync_folder(""))
        .map_err(StorageError::io(disk, "remove", STANDBY_FILE))
}
