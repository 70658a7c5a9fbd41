//! The SSH keys of a user. Nothing below a home directory is trusted: the user may replace any part of it
//! with a symbolic link to a file of another user. So each component is opened without following links,
//! checked after it is open, and accessed through its descriptor.

use std::fs::{File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::disk::{self, Ids, Wanted};
use super::root;

/// Maximum size of a file of keys, in bytes.
const KEYS_BYTES_MAX: u64 = 16 << 20;

/// The directory of the keys, below a home directory.
const DIRECTORY: &str = ".ssh";

/// The file of the keys in it.
const KEYS: &str = "authorized_keys";

/// The `.ssh` directory of a user, open.
pub(super) struct SshDirectory {
    file: File,
    /// Its path, for messages.
    path: String,
}

impl SshDirectory {
    /// Opens the `.ssh` directory of a home directory; `None` if it does not exist.
    ///
    /// # Errors
    ///
    /// It cannot be opened, or is a symbolic link or not a directory.
    pub(super) fn open(root: &Path, home: &str) -> io::Result<Option<Self>> {
        match open_home(root, home) {
            Ok(above) => Self::below(&above, home),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Creates the `.ssh` directory of a home directory. Returns whether its owner could be set, too.
    ///
    /// # Errors
    ///
    /// The directory or one above it cannot be created, or was replaced meanwhile.
    pub(super) fn create(root: &Path, home: &str, owner: Option<Ids>) -> io::Result<(Self, bool)> {
        // The home directory itself may be a symbolic link made by the administrator.
        disk::create_parent_of(&root::resolve_parent(root, &format!("{home}/{DIRECTORY}"))?)?;
        let above = open_home(root, home)?;
        mkdirat(&above, DIRECTORY, Mode::S_IRWXU)?;
        let removed = || {
            let message = format!("{home}/{DIRECTORY} was removed while it was created");
            io::Error::other(message)
        };
        let directory = Self::below(&above, home)?.ok_or_else(removed)?;
        let permissions = Permissions::from_mode(0o700);
        directory.file.set_permissions(permissions)?;
        let owned = match owner {
            Some((user, group)) => disk::was_permitted(fchown(&directory.file, user, group))?,
            None => true,
        };
        Ok((directory, owned))
    }

    fn below(above: &File, home: &str) -> io::Result<Option<Self>> {
        let path = format!("{home}/{DIRECTORY}");
        let flags = OFlag::O_DIRECTORY | READ_FLAGS;
        match openat(above, DIRECTORY, flags, Mode::empty()) {
            Ok(file) => Ok(Some(Self {
                file: File::from(file),
                path,
            })),
            Err(Errno::ENOENT) => Ok(None),
            Err(Errno::ELOOP | Errno::ENOTDIR) => Err(io::Error::other(format!(
                "{path} is a symbolic link or not a directory (below a home directory no links are followed; it \
                 must be a directory)"
            ))),
            Err(error) => Err(io::Error::other(format!("{path}: {}", error.desc()))),
        }
    }

    /// The content of the file of keys; empty if it does not exist.
    ///
    /// # Errors
    ///
    /// It cannot be read, is a symbolic link or not a regular file, has another hard link, or is too large.
    pub(super) fn read(&self) -> io::Result<Vec<u8>> {
        let path = format!("{}/{KEYS}", self.path);
        let file = match openat(&self.file, KEYS, READ_FLAGS, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::ENOENT) => return Ok(Vec::new()),
            Err(Errno::ELOOP) => {
                return Err(io::Error::other(format!(
                    "{path} is a symbolic link (below a home directory no links are followed; it must be a file)"
                )));
            }
            Err(error) => return Err(io::Error::other(format!("{path}: {}", error.desc()))),
        };
        let found = file.metadata()?;
        let problem = if !found.is_file() {
            "is not a regular file"
        } else if found.nlink() > 1 {
            "has more than one hard link and may belong to another user"
        } else if found.len() > KEYS_BYTES_MAX {
            "is larger than 16 MiB"
        } else {
            let mut content = Vec::new();
            file.take(KEYS_BYTES_MAX).read_to_end(&mut content)?;
            return Ok(content);
        };
        Err(io::Error::other(format!("{path} {problem}")))
    }

    /// Replaces the file of keys. Returns whether its owner could be set.
    ///
    /// # Errors
    ///
    /// The file cannot be created, written, renamed or synced. The old one is kept.
    pub(super) fn write(&self, content: &[u8], owner: Option<Ids>) -> io::Result<bool> {
        let wanted = Wanted {
            content,
            mode: 0o600,
            owner,
        };
        // An interrupted run may have left a temporary file.
        match self.unlink() {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
        let temporary = openat(
            &self.file,
            disk::TEMPORARY,
            flags,
            Mode::S_IRUSR | Mode::S_IWUSR,
        )?;
        let done = wanted.fill(&File::from(temporary)).and_then(|owned| {
            renameat(&self.file, disk::TEMPORARY, &self.file, KEYS)?;
            Ok(owned)
        });
        if done.is_err() {
            let _ = self.unlink();
        }
        let owned = done?;
        self.file.sync_all()?;
        Ok(owned)
    }

    fn unlink(&self) -> nix::Result<()> {
        unlinkat(&self.file, disk::TEMPORARY, UnlinkatFlags::NoRemoveDir)
    }
}

/// How entries are opened: without following links, and without waiting for the writer of a pipe.
const READ_FLAGS: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_NONBLOCK)
    .union(OFlag::O_CLOEXEC);

/// Opens the home directory, which like those above it is controlled by the administrator.
fn open_home(root: &Path, home: &str) -> io::Result<File> {
    let below = root::resolve_parent(root, &format!("{home}/{DIRECTORY}"))?;
    File::open(disk::parent_of(&below)?)
}

/// The content of a file of keys with the missing keys appended, and their number; `None` if none is missing.
/// The existing content is kept byte for byte.
pub(super) fn add_missing(current: &[u8], keys: &[String]) -> Option<(Vec<u8>, usize)> {
    let is_missing = |key: &&String| {
        let mut lines = current.split(|byte| *byte == b'\n');
        !lines.any(|line| line.trim_ascii() == key.as_bytes())
    };
    let missing: Vec<&String> = keys.iter().filter(is_missing).collect();
    if missing.is_empty() {
        return None;
    }
    let mut content = current.to_vec();
    if !content.is_empty() && !content.ends_with(b"\n") {
        content.push(b'\n');
    }
    for key in &missing {
        content.extend_from_slice(key.as_bytes());
        content.push(b'\n');
    }
    Some((content, missing.len()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use nix::unistd::mkfifo;

    use super::*;

    fn message<T>(result: io::Result<T>) -> String {
        result
            .err()
            .map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn keys_are_written_and_read_and_no_temporary_file_is_left() {
        let root = tempfile::tempdir().expect("a directory");
        let root = root.path();
        assert!(SshDirectory::open(root, "/home/a").expect("none").is_none());
        let (directory, owned) = SshDirectory::create(root, "/home/a", None).expect("a directory");
        assert!(owned && directory.read().expect("no keys").is_empty());
        let left = root.join("home/a/.ssh").join(disk::TEMPORARY);
        symlink("/etc/passwd", left).expect("a link left by an interrupted run, or by the user");
        assert!(directory.write(b"\xff key\n", None).expect("keys"));
        let directory = SshDirectory::open(root, "/home/a")
            .expect("open")
            .expect("there");
        assert_eq!(directory.read().expect("keys"), b"\xff key\n");
        let mode = |path: &str| fs::symlink_metadata(root.join(path)).expect("it").mode();
        assert_eq!(mode("home/a/.ssh") & 0o7777, 0o700);
        assert_eq!(mode("home/a/.ssh/authorized_keys"), 0o100_600);
        let names = fs::read_dir(root.join("home/a/.ssh")).expect("a directory");
        assert_eq!(names.count(), 1);
    }

    #[test]
    fn links_and_pipes_below_a_home_directory_are_rejected() {
        let root = tempfile::tempdir().expect("a directory");
        let root = root.path();
        fs::write(root.join("shadow"), "secret").expect("a file");
        let directory = |home: &str| {
            let made = SshDirectory::create(root, home, None).expect("a directory");
            (made.0, root.join(&home[1..]).join(".ssh/authorized_keys"))
        };
        let (link, target) = directory("/home/link");
        symlink("../../../shadow", target).expect("a link");
        assert!(
            message(link.read()).contains("/home/link/.ssh/authorized_keys is a symbolic link")
        );
        let (pipe, target) = directory("/home/pipe");
        mkfifo(&target, Mode::S_IRWXU).expect("a pipe");
        assert!(
            message(pipe.read()).contains("/home/pipe/.ssh/authorized_keys is not a regular file")
        );
        let (twin, target) = directory("/home/twin");
        fs::hard_link(root.join("shadow"), target).expect("a hard link");
        assert!(message(twin.read()).contains("more than one hard link"));

        fs::create_dir_all(root.join("home/b")).expect("a directory");
        symlink("../link/.ssh", root.join("home/b/.ssh")).expect("a link");
        assert!(
            message(SshDirectory::open(root, "/home/b"))
                .contains("/home/b/.ssh is a symbolic link")
        );
        assert!(SshDirectory::create(root, "/home/b", None).is_err());
    }

    /// The user moves the directory and replaces it with a link while it is open.
    #[test]
    fn a_directory_that_is_replaced_while_open_is_not_followed() {
        let root = tempfile::tempdir().expect("a directory");
        let root = root.path();
        let (directory, _) = SshDirectory::create(root, "/home/a", None).expect("a directory");
        fs::create_dir(root.join("victim")).expect("a directory");
        fs::rename(root.join("home/a/.ssh"), root.join("home/a/away")).expect("moved");
        symlink("../../victim", root.join("home/a/.ssh")).expect("a link");
        directory.write(b"key\n", None).expect("keys");
        let keys = fs::read(root.join("home/a/away/authorized_keys"));
        assert_eq!(keys.expect("keys"), b"key\n");
        assert_eq!(
            fs::read_dir(root.join("victim"))
                .expect("a directory")
                .count(),
            0
        );
    }

    #[test]
    fn only_missing_keys_are_appended() {
        let keys = ["a 1", "b 2"].map(String::from);
        let added = add_missing(b"\xfe\xff\n  a 1 \r\nlast", &keys);
        assert_eq!(
            added,
            Some((b"\xfe\xff\n  a 1 \r\nlast\nb 2\n".to_vec(), 1))
        );
        assert_eq!(add_missing(b"b 2\na 1\n", &keys), None);
    }
}
