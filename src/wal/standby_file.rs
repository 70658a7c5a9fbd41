//! The standby file: what a machine without a place keeps, so that it finds its cluster again. Its bytes
//! are the caller's; here it is only written as a whole, and read.

use super::disk::{Disk, read_file, remove_if_there, replace};
use super::error::StorageError;

/// The standby file's name.
pub(super) const STANDBY_FILE: &str = "standby";

/// Its next version, while that is written.
pub(super) const STANDBY_FILE_NEXT: &str = "standby.tmp";

/// The longest standby file, in bytes; of a longer one the rest is not read.
const STANDBY_FILE_BYTES_MAX: usize = 1 << 20;

/// The file's bytes; none when there is none.
///
/// # Errors
///
/// The disk's.
pub(super) fn load<D: Disk>(disk: &D) -> Result<Option<Vec<u8>>, StorageError> {
    read_file(disk, STANDBY_FILE, STANDBY_FILE_BYTES_MAX).map_err(StorageError::io(
        disk,
        "read",
        STANDBY_FILE,
    ))
}

/// Replace the file, durably.
///
/// # Errors
///
/// The disk's.
pub(super) fn save<D: Disk>(disk: &D, bytes: &[u8]) -> Result<(), StorageError> {
    replace(disk, STANDBY_FILE, STANDBY_FILE_NEXT, bytes).map_err(StorageError::io(
        disk,
        "write",
        STANDBY_FILE,
    ))
}

/// Remove the file, if it is there.
///
/// # Errors
///
/// The disk's.
pub(super) fn remove<D: Disk>(disk: &D) -> Result<(), StorageError> {
    remove_if_there(disk, STANDBY_FILE)
        .and_then(|()| disk.sync_folder(""))
        .map_err(StorageError::io(disk, "remove", STANDBY_FILE))
}
