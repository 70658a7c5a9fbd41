//! Sets a member's files aside within its data directory. The directory itself cannot be renamed if the
//! directory above belongs to another user.
//!
//! ```text
//! aside-1/member  aside-1/wal/  aside-1/snap/
//! ```

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::error::StorageError;
use super::identity::MEMBER_FILE;
use super::{segment, snapshot};

/// The start of the folders' names; a number follows.
const PREFIX: &str = "aside-";

/// The files and folders that are set aside. The member file is last: without it a folder is incomplete, and
/// with it the data directory still belongs to the member.
const NAMES: [&str; 3] = [segment::FOLDER, snapshot::FOLDER, MEMBER_FILE];

/// Whether a name in a data directory is that of a folder with files that were set aside.
pub(super) fn is_aside(name: &str) -> bool {
    name.strip_prefix(PREFIX)
        .is_some_and(|number| number.parse::<u32>().is_ok())
}

/// Set the member's files in `directory` aside durably. Returns the folder with the files.
///
/// # Errors
///
/// [`StorageError::Io`]: the disk failed. [`finish`] completes what was started.
pub(super) fn set_aside(directory: &Path) -> Result<PathBuf, StorageError> {
    let folder = (1..=u32::MAX)
        .map(|number| directory.join(format!("{PREFIX}{number}")))
        .find(|folder| !folder.exists())
        .unwrap_or_else(|| directory.join(PREFIX));
    DirBuilder::new()
        .mode(0o700)
        .create(&folder)
        .and_then(|()| File::open(directory)?.sync_all())
        .map_err(io_error("create", &folder))?;
    move_into(directory, &folder)?;
    Ok(folder)
}

/// Complete what a crash interrupted in `directory`, which contains `names`.
///
/// # Errors
///
/// [`StorageError::Io`]: the disk failed.
pub(super) fn finish(directory: &Path, names: &[String]) -> Result<(), StorageError> {
    let started = names.iter().filter(|name| is_aside(name));
    let mut folders = started.map(|name| directory.join(name));
    match folders.find(|folder| !folder.join(MEMBER_FILE).exists()) {
        Some(folder) => move_into(directory, &folder),
        None => Ok(()),
    }
}

fn move_into(directory: &Path, folder: &Path) -> Result<(), StorageError> {
    for name in NAMES {
        // The other moves are durable before the member file is moved.
        let moved = File::open(folder)
            .and_then(|folder| folder.sync_all())
            .and_then(|()| fs::rename(directory.join(name), folder.join(name)));
        match moved {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            moved => moved.map_err(io_error("move", &directory.join(name)))?,
        }
    }
    [folder, directory]
        .into_iter()
        .try_for_each(|folder| File::open(folder)?.sync_all())
        .map_err(io_error("sync", folder))
}

fn io_error(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StorageError {
    let path = path.display().to_string();
    move |error| StorageError::Io {
        operation,
        path,
        error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wal::{DataDir, Founding};

    fn member(directory: &Path) -> Option<String> {
        let opened = DataDir::open(directory).expect("ours");
        opened.identity().map(|identity| identity.name.clone())
    }

    #[test]
    fn a_member_is_set_aside_and_another_one_is_created() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["first", "second"] {
            let mut directory = DataDir::open(folder.path()).expect("ours");
            assert_eq!(directory.identity(), None);
            directory.found(name, Founding::Alone).expect("founded");
            let aside = directory.set_aside().expect("set aside");
            assert!(aside.starts_with(folder.path()));
            assert_eq!(member(&aside).as_deref(), Some(name));
        }
        assert_eq!(member(folder.path()), None);
    }

    #[test]
    fn an_interrupted_move_is_completed() {
        for moved in 0..NAMES.len() {
            let folder = tempfile::tempdir().expect("a folder");
            let mut directory = DataDir::open(folder.path()).expect("ours");
            directory.found("m", Founding::Alone).expect("founded");
            drop(directory);
            let aside = folder.path().join("aside-1");
            fs::create_dir(&aside).expect("made");
            for name in &NAMES[..moved] {
                // There are no snapshots yet.
                let _ = fs::rename(folder.path().join(name), aside.join(name));
            }
            assert_eq!(member(folder.path()), None, "{moved}");
            assert_eq!(member(&aside).as_deref(), Some("m"), "{moved}");
        }
    }

    #[test]
    fn other_names_are_not_set_aside() {
        for name in ["aside-", "aside-x", "aside", "xaside-1"] {
            assert!(!is_aside(name), "{name}");
        }
    }
}
