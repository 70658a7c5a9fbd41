//! Whether this process may use a data directory.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;

use super::error::StorageError;
use super::identity::{MEMBER_FILE, MEMBER_FILE_NEXT};
use super::lock::LOCK_FILE;
use super::owner::{current_uid, is_closed_to};
use super::standby_file::{STANDBY_FILE, STANDBY_FILE_NEXT};
use super::{segment, snapshot};

/// Check that this process may read and write all files of the directory, before anything is changed.
///
/// # Errors
///
/// - [`StorageError::NotOurs`]: a file or folder belongs to another user.
/// - [`StorageError::NotADirectory`]: a part of the path is a file.
/// - [`StorageError::Io`]: the disk failed.
pub(super) fn check_access(path: &Path) -> Result<(), StorageError> {
    let uid = current_uid();
    for folder in ["", segment::FOLDER, snapshot::FOLDER] {
        let folder = path.join(folder);
        if is_closed_to(&folder, uid) {
            return Err(StorageError::not_ours(path, &folder));
        }
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(StorageError::system(path, &folder, "read", error)),
        };
        for entry in entries {
            let file = entry
                .map_err(|error| StorageError::system(path, &folder, "read", error))?
                .path();
            let is_ours = folder != path || file.file_name().is_some_and(is_our_file);
            if is_ours && file.is_file() {
                OpenOptions::new()
                    .read(true)
                    .write(true)
                    .open(&file)
                    .map_err(|error| StorageError::system(path, &file, "open", error))?;
            }
        }
    }
    Ok(())
}

fn is_our_file(name: &std::ffi::OsStr) -> bool {
    let ours = [
        LOCK_FILE,
        MEMBER_FILE,
        MEMBER_FILE_NEXT,
        STANDBY_FILE,
        STANDBY_FILE_NEXT,
    ];
    ours.iter().any(|ours| name == *ours)
}
