//! Files: written to a temporary file, synced and renamed, so that no file is ever incomplete.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown, symlink};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::{AccessFlags, access};

use super::root;

/// The name of the temporary file.
pub(super) const TEMPORARY: &str = ".etcd-cloudinit.new";

/// Maximum size of a file that is read for comparison, in bytes.
const TEXT_BYTES_MAX: u64 = 1 << 20;

/// The ids of a user and a group, each `None` to keep it.
pub(super) type Ids = (Option<u32>, Option<u32>);

/// A file to write.
pub(super) struct Wanted<'c> {
    pub(super) content: &'c [u8],
    pub(super) mode: u32,
    /// `None` to keep the owner that a new file has.
    pub(super) owner: Option<Ids>,
}

impl Wanted<'_> {
    /// Whether the file has this content, mode and owner already.
    pub(super) fn is_current(&self, target: &Path) -> bool {
        let Ok(found) = fs::symlink_metadata(target) else {
            return false;
        };
        let owner = self.owner.is_none_or(|(user, group)| {
            user.is_none_or(|user| user == found.uid())
                && group.is_none_or(|group| group == found.gid())
        });
        found.is_file()
            && owner
            && found.mode() & 0o7777 == self.mode
            && u64::try_from(self.content.len()) == Ok(found.len())
            && read(target, found.len()).is_ok_and(|content| content == self.content)
    }

    /// Writes the file and the directories above it.
    ///
    /// # Errors
    ///
    /// A directory or the file cannot be created, written, synced or renamed. Nothing is left over.
    pub(super) fn write(&self, target: &Path) -> io::Result<Written> {
        let directory = parent_of(target)?;
        create_directories(directory)?;
        let mut owned = true;
        let replaced = replace(target, directory, |temporary| {
            let file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(temporary)?;
            owned = self.fill(&file)?;
            Ok(())
        });
        match replaced {
            Ok(()) => Ok(Written {
                owned,
                in_place: false,
            }),
            Err(error) if is_mounted(&error) && is_file(target) => self.write_in_place(target),
            Err(error) => Err(error),
        }
    }

    /// Overwrites the file in place, which is not atomic.
    fn write_in_place(&self, target: &Path) -> io::Result<Written> {
        let file = OpenOptions::new().write(true).open(target)?;
        let owned = self.fill(&file)?;
        Ok(Written {
            owned,
            in_place: true,
        })
    }

    /// Writes content, owner and mode of an open file. Returns whether setting the owner was permitted.
    ///
    /// # Errors
    ///
    /// The file cannot be written or synced, or its mode or owner not set for another reason.
    pub(super) fn fill(&self, mut file: &File) -> io::Result<bool> {
        let mut owned = true;
        file.write_all(self.content)?;
        file.set_len(file.stream_position()?)?;
        // Before the permissions, because chown clears the setuid and setgid bits.
        if let Some((user, group)) = self.owner {
            owned = was_permitted(fchown(file, user, group))?;
        }
        file.set_permissions(Permissions::from_mode(self.mode))?;
        file.sync_all()?;
        Ok(owned)
    }
}

/// The content of a regular file, up to a number of bytes. A pipe is not waited for.
///
/// # Errors
///
/// The file cannot be read, or is not a regular file.
pub(super) fn read(target: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(target)?;
    if !file.metadata()?.is_file() {
        let message = format!("{} is not a regular file", target.display());
        return Err(io::Error::other(message));
    }
    let mut content = Vec::new();
    file.take(bytes_max).read_to_end(&mut content)?;
    Ok(content)
}

/// How a file was written.
pub(super) struct Written {
    /// Whether its owner could be set.
    pub(super) owned: bool,
    /// Whether it was overwritten in place because it is a mount point and cannot be replaced.
    pub(super) in_place: bool,
}

/// Whether a rename failed because the target is a mount point, like `/etc/hosts` in a container.
fn is_mounted(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ResourceBusy | io::ErrorKind::CrossesDevices
    )
}

fn is_file(target: &Path) -> bool {
    fs::symlink_metadata(target).is_ok_and(|found| found.is_file())
}

/// Creates a temporary file or link in the directory of a target, and renames it to the target.
fn replace(
    target: &Path,
    directory: &Path,
    create: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let temporary = directory.join(TEMPORARY);
    // An interrupted run may have left one.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let done = create(&temporary).and_then(|()| fs::rename(&temporary, target));
    if done.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    done?;
    File::open(directory)?.sync_all()
}

/// Whether an operation was permitted.
///
/// # Errors
///
/// It failed for another reason than missing permission.
pub(super) fn was_permitted(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(false),
        Err(error) => Err(error),
    }
}

/// The directory of a target.
///
/// # Errors
///
/// The target is the root directory.
pub(super) fn parent_of(target: &Path) -> io::Result<&Path> {
    let none = || io::Error::other("the root directory is not a file");
    target.parent().ok_or_else(none)
}

/// Creates the directory of a target, and those above it.
///
/// # Errors
///
/// A directory cannot be created, for example because a file is in its place.
pub(super) fn create_parent_of(target: &Path) -> io::Result<()> {
    create_directories(parent_of(target)?)
}

/// Creates a directory and those above it, with mode 0755.
fn create_directories(directory: &Path) -> io::Result<()> {
    let mut missing: Vec<PathBuf> = Vec::new();
    let mut above = Some(directory);
    while let Some(one) = above.filter(|one| !one.is_dir()) {
        missing.push(one.to_path_buf());
        above = one.parent();
    }
    for one in missing.iter().rev() {
        fs::create_dir(one)?;
        fs::set_permissions(one, Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// Checks that a file can be written at a path.
///
/// # Errors
///
/// A directory is in its place, a component above it is not a directory, or the nearest existing directory is
/// not writable.
pub(super) fn check_writable(root: &Path, path: &str) -> io::Result<()> {
    let target = root::resolve_parent(root, path)?;
    if fs::symlink_metadata(&target).is_ok_and(|found| found.is_dir()) {
        return Err(io::Error::other(
            "it is a directory, expected a file or no entry",
        ));
    }
    let mut above = target.parent();
    while let Some(one) = above {
        match fs::symlink_metadata(one) {
            Ok(found) if found.is_dir() => {
                let why = |errno: Errno| format!("{}: {}", one.display(), errno.desc());
                return access(one, AccessFlags::W_OK)
                    .map_err(|errno| io::Error::other(why(errno)));
            }
            Ok(_) => {
                let message = format!("{} is not a directory", one.display());
                return Err(io::Error::other(message));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => above = one.parent(),
            // A component of the path is a file.
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether there is an entry, even a dangling symbolic link.
pub(super) fn exists(target: &Path) -> bool {
    fs::symlink_metadata(target).is_ok()
}

/// Removes a file and syncs its directory.
///
/// # Errors
///
/// The file cannot be removed, or the directory not synced.
pub(super) fn remove(target: &Path) -> io::Result<()> {
    fs::remove_file(target)?;
    File::open(parent_of(target)?)?.sync_all()
}

/// The texts of the files with an extension in the directory of a target, by name without the extension;
/// `None` for an entry that is not a regular file of UTF-8 text of at most 1 MiB. Hidden files are skipped.
///
/// # Errors
///
/// The directory does not exist or cannot be read.
pub(super) fn read_siblings(
    target: &Path,
    extension: &str,
) -> io::Result<BTreeMap<String, Option<String>>> {
    let mut texts = BTreeMap::new();
    for entry in fs::read_dir(parent_of(target)?)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(name) = name
            .strip_suffix(extension)
            .filter(|name| !name.starts_with('.'))
        else {
            continue;
        };
        let target = entry.path();
        let small = fs::symlink_metadata(&target)
            .is_ok_and(|found| found.is_file() && found.len() <= TEXT_BYTES_MAX);
        let text = small.then(|| fs::read_to_string(&target).ok()).flatten();
        texts.insert(String::from(name), text);
    }
    Ok(texts)
}

/// Whether a unit file is a link to `/dev/null`.
pub(super) fn is_mask(target: &Path) -> bool {
    fs::read_link(target).is_ok_and(|target| target == Path::new("/dev/null"))
}

/// Whether a unit file is empty, which also masks the unit.
pub(super) fn is_empty(target: &Path) -> bool {
    fs::symlink_metadata(target).is_ok_and(|found| found.is_file() && found.len() == 0)
}

/// Links a unit file to `/dev/null`.
///
/// # Errors
///
/// A directory or the link cannot be created, renamed or synced.
pub(super) fn mask(target: &Path) -> io::Result<()> {
    let directory = parent_of(target)?;
    create_directories(directory)?;
    replace(target, directory, |temporary| {
        symlink("/dev/null", temporary)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(content: &[u8], mode: u32) -> Wanted<'_> {
        Wanted {
            content,
            mode,
            owner: None,
        }
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).expect("a directory");
        let name = |entry: io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
        entries
            .map(|entry| name(entry).to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn a_file_is_replaced_and_no_temporary_file_is_left() {
        let directory = tempfile::tempdir().expect("a directory");
        let target = directory.path().join("a/b/file");
        let file = wanted(b"x", 0o4755);
        assert!(!file.is_current(&target));
        assert!(file.write(&target).expect("a file").owned);
        assert!(file.is_current(&target));
        assert!(!wanted(b"y", 0o4755).is_current(&target));
        assert!(!wanted(b"x", 0o755).is_current(&target));
        // A temporary file of an interrupted run is replaced.
        fs::write(directory.path().join("a/b").join(TEMPORARY), "half").expect("a file");
        wanted(b"new", 0o600).write(&target).expect("a file");
        assert_eq!(names(&directory.path().join("a/b")), ["file"]);
        assert_eq!(fs::read(&target).expect("a file"), b"new");
    }

    #[test]
    fn a_pipe_is_not_waited_for() {
        let directory = tempfile::tempdir().expect("a directory");
        let target = directory.path().join("pipe");
        nix::unistd::mkfifo(&target, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
        assert!(read(&target, 1).is_err());
        wanted(b"x", 0o644).write(&target).expect("a file");
        assert_eq!(read(&target, 10).expect("a file"), b"x");
    }

    #[test]
    fn a_failed_write_leaves_nothing() {
        let directory = tempfile::tempdir().expect("a directory");
        let target = directory.path().join("taken");
        fs::create_dir_all(target.join("inside")).expect("a directory");
        assert!(wanted(b"x", 0o644).write(&target).is_err());
        assert_eq!(names(directory.path()), ["taken"]);
        assert!(check_writable(directory.path(), "/taken").is_err());
        assert!(check_writable(directory.path(), "/taken/inside/new").is_ok());
        fs::write(directory.path().join("file"), "").expect("a file");
        assert!(check_writable(directory.path(), "/file/below").is_err());
    }

    #[test]
    fn a_mount_point_is_overwritten_in_place() {
        let directory = tempfile::tempdir().expect("a directory");
        let target = directory.path().join("hosts");
        fs::write(&target, "a longer text").expect("a file");
        let inode = |target: &Path| fs::metadata(target).expect("a file").ino();
        let before = inode(&target);
        let written = wanted(b"short", 0o640)
            .write_in_place(&target)
            .expect("a file");
        assert!(written.in_place && written.owned);
        assert_eq!(inode(&target), before);
        assert!(wanted(b"short", 0o640).is_current(&target));
    }

    #[test]
    fn a_symbolic_link_is_replaced_not_followed() {
        let directory = tempfile::tempdir().expect("a directory");
        let (target, link) = (
            directory.path().join("target"),
            directory.path().join("link"),
        );
        fs::write(&target, "old").expect("a file");
        symlink(&target, &link).expect("a link");
        wanted(b"x", 0o644).write(&link).expect("a file");
        assert_eq!(fs::read(&target).expect("a file"), b"old");
        mask(&link).expect("a link");
        assert!(is_mask(&link) && !is_empty(&link));
    }
}
