//! Recognizes directories that contain files of another program. Only reads.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::aside::is_aside;
use super::error::StorageError;
use super::identity::{MEMBER_FILE, MEMBER_FILE_MAGIC, MEMBER_FILE_NEXT};
use super::lock::LOCK_FILE;
use super::standby_file::{STANDBY_FILE, STANDBY_FILE_NEXT};
use super::{segment, snapshot};

/// The content of a new file system.
const HARMLESS: &str = "lost+found";

/// Check that a directory contains nothing but files of oxetcd. `names` is its whole content.
///
/// # Errors
///
/// [`StorageError::Foreign`]: it contains other files.
pub(super) fn check(path: &Path, names: &[String]) -> Result<(), StorageError> {
    let foreign = |what: String| {
        let directory = path.display().to_string();
        Err(StorageError::Foreign { directory, what })
    };
    let has = |name: &str| names.iter().any(|there| there == name);
    if path.join(MEMBER_FILE).is_dir() || path.join("proxy").is_dir() {
        return foreign("the data of etcd 2 or later (member/ or proxy/)".into());
    }
    let is_old = has("standby_info") || (has("conf") && (has("log") || has("snapshot")));
    if is_old && !has(MEMBER_FILE) {
        return foreign("the data of etcd 0.4 or earlier (conf, log, snapshot)".into());
    }
    if has(MEMBER_FILE) {
        if has(segment::FOLDER) || has_our_magic(&path.join(MEMBER_FILE)) {
            return Ok(());
        }
        return foreign(format!("a file {MEMBER_FILE:?} of another program"));
    }
    let ours = [
        LOCK_FILE,
        MEMBER_FILE_NEXT,
        STANDBY_FILE,
        STANDBY_FILE_NEXT,
        segment::FOLDER,
        snapshot::FOLDER,
        HARMLESS,
    ];
    match names
        .iter()
        .find(|name| !ours.contains(&name.as_str()) && !is_aside(name))
    {
        Some(other) => foreign(format!("{other:?}, which is a file of another program")),
        None => Ok(()),
    }
}

/// Whether a file starts like a member file. Also true if it cannot be read, which is a different error.
fn has_our_magic(file: &Path) -> bool {
    let mut begin = Vec::new();
    let length = MEMBER_FILE_MAGIC.len() as u64;
    match File::open(file).and_then(|file| file.take(length).read_to_end(&mut begin)) {
        Ok(_) => begin == MEMBER_FILE_MAGIC.as_bytes(),
        Err(_) => true,
    }
}
