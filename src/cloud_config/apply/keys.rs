//! A user's keys. Nothing below a home directory is trusted: its user may change it at any moment, and what
//! is read or written through a link there is somebody else's. So each part is opened without following
//! links, looked at once it is open, and from then on reached through what is open.

use std::fs::{File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::disk::{self, Numbers, Wanted};
use super::root;

/// How long a file of keys may be, in bytes.
const KEYS_BYTES_MAX: u64 = 16 << 20;

/// The directory of keys, below a home.
const FOLDER: &str = ".ssh";

/// The file of keys in it.
const KEYS: &str = "authorized_keys";

/// The directory that has a user's keys, open.
pub(super) struct Folder {
    file: File,
    /// Its path, to be named.
    path: String,
}

impl Folder {
    /// That of a home directory; none if there is none yet.
    ///
    /// # Errors
    ///
    /// Something else is there, such as a link.
    pub(super) fn open(root: &Path, home: &str) -> io::Result<Option<Self>> {
        match open_home(root, home) {
            Ok(above) => Self::below(&above, home),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Make that of a home directory for its owner; answers whether it could be given away, too.
    pub(super) fn make(
        root: &Path,
        home: &str,
        owner: Option<Numbers>,
    ) -> io::Result<(Self, bool)> {
        // Only what is above is made: the home may be a link that the administrator made.
        disk::make_folder_of(&root::within(root, &format!("{home}/{FOLDER}"))?)?;
        let above = open_home(root, home)?;
        mkdirat(&above, FOLDER, Mode::S_IRWXU)?;
        let gone = || io::Error::other(format!("{home}/{FOLDER} went while it was made"));
        let folder = Self::below(&above, home)?.ok_or_else(gone)?;
        folder.file.set_permissions(Permissions::from_mode(0o700))?;
        let owned = match owner {
            Some((user, group)) => disk::was_allowed(fchown(&folder.file, user, group))?,
            None => true,
        };
        Ok((folder, owned))
    }

    fn below(above: &File, home: &str) -> io::Result<Option<Self>> {
        let path = format!("{home}/{FOLDER}");
        match openat(above, FOLDER, OFlag::O_DIRECTORY | READING, Mode::empty()) {
            Ok(file) => Ok(Some(Self {
                file: File::from(file),
                path,
            })),
            Err(Errno::ENOENT) => Ok(None),
            Err(Errno::ELOOP | Errno::ENOTDIR) => Err(io::Error::other(format!(
                "{path} is a link or no directory, and nothing is followed below a home; make it a directory"
            ))),
            Err(error) => Err(io::Error::other(format!("{path}: {}", error.desc()))),
        }
    }

    /// What is in the file of keys; nothing if there is none.
    ///
    /// # Errors
    ///
    /// It is a link, a pipe, a file that has another name somewhere else, or too long.
    pub(super) fn read(&self) -> io::Result<Vec<u8>> {
        let path = format!("{}/{KEYS}", self.path);
        let file = match openat(&self.file, KEYS, READING, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::ENOENT) => return Ok(Vec::new()),
            Err(Errno::ELOOP) => {
                return Err(io::Error::other(format!(
                    "{path} is a link, and nothing is followed below a home; make it a file"
                )));
            }
            Err(error) => return Err(io::Error::other(format!("{path}: {}", error.desc()))),
        };
        let found = file.metadata()?;
        let wrong = if !found.is_file() {
            "is no file"
        } else if found.nlink() > 1 {
            "is a file that has another name, too, and may be somebody else's"
        } else if found.len() > KEYS_BYTES_MAX {
            "is longer than 16 MiB"
        } else {
            let mut content = Vec::new();
            file.take(KEYS_BYTES_MAX).read_to_end(&mut content)?;
            return Ok(content);
        };
        Err(io::Error::other(format!("{path} {wrong}")))
    }

    /// Put a file of keys there, whole or not at all; answers whether it could be given to its owner.
    pub(super) fn put(&self, content: &[u8], owner: Option<Numbers>) -> io::Result<bool> {
        let wanted = Wanted {
            content,
            mode: 0o600,
            owner,
        };
        // What a crash left.
        match self.unlink() {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
        let beside = openat(
            &self.file,
            disk::BESIDE,
            flags,
            Mode::S_IRUSR | Mode::S_IWUSR,
        )?;
        let done = wanted.fill(&File::from(beside)).and_then(|owned| {
            renameat(&self.file, disk::BESIDE, &self.file, KEYS)?;
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
        unlinkat(&self.file, disk::BESIDE, UnlinkatFlags::NoRemoveDir)
    }
}

/// A pipe that nobody writes to is not waited for.
const READING: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_NONBLOCK)
    .union(OFlag::O_CLOEXEC);

/// The home itself: it and what is above is the administrator's.
fn open_home(root: &Path, home: &str) -> io::Result<File> {
    let below = root::within(root, &format!("{home}/{FOLDER}"))?;
    File::open(disk::folder_of(&below)?)
}

/// The keys of some that a file does not have, on lines behind it; none if it has them all. What is there
/// stays as it is, be it text or not.
pub(super) fn with_missing(there: &[u8], keys: &[String]) -> Option<(Vec<u8>, usize)> {
    let has = |key: &&String| {
        let mut lines = there.split(|byte| *byte == b'\n');
        !lines.any(|line| line.trim_ascii() == key.as_bytes())
    };
    let missing: Vec<&String> = keys.iter().filter(has).collect();
    if missing.is_empty() {
        return None;
    }
    let mut content = there.to_vec();
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

    fn said<T>(result: io::Result<T>) -> String {
        result
            .err()
            .map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn keys_are_put_and_read_and_nothing_is_left_over() {
        let root = tempfile::tempdir().expect("a folder");
        let root = root.path();
        assert!(Folder::open(root, "/home/a").expect("none").is_none());
        let (folder, owned) = Folder::make(root, "/home/a", None).expect("a folder");
        assert!(owned && folder.read().expect("no keys").is_empty());
        let left = root.join("home/a/.ssh").join(disk::BESIDE);
        symlink("/etc/passwd", left).expect("what a crash, or the user, left");
        assert!(folder.put(b"\xff key\n", None).expect("keys"));
        let folder = Folder::open(root, "/home/a").expect("open").expect("there");
        assert_eq!(folder.read().expect("keys"), b"\xff key\n");
        let mode = |path: &str| fs::symlink_metadata(root.join(path)).expect("it").mode();
        assert_eq!(mode("home/a/.ssh") & 0o7777, 0o700);
        assert_eq!(mode("home/a/.ssh/authorized_keys"), 0o100_600);
        let names = fs::read_dir(root.join("home/a/.ssh")).expect("a folder");
        assert_eq!(names.count(), 1);
    }

    #[test]
    fn nothing_below_a_home_is_followed_or_waited_for() {
        let root = tempfile::tempdir().expect("a folder");
        let root = root.path();
        fs::write(root.join("shadow"), "secret").expect("a file");
        let folder = |home: &str| {
            let made = Folder::make(root, home, None).expect("a folder");
            (made.0, root.join(&home[1..]).join(".ssh/authorized_keys"))
        };
        let (link, place) = folder("/home/link");
        symlink("../../../shadow", place).expect("a link");
        assert!(said(link.read()).contains("/home/link/.ssh/authorized_keys is a link"));
        let (pipe, place) = folder("/home/pipe");
        mkfifo(&place, Mode::S_IRWXU).expect("a pipe");
        assert!(said(pipe.read()).contains("/home/pipe/.ssh/authorized_keys is no file"));
        let (twin, place) = folder("/home/twin");
        fs::hard_link(root.join("shadow"), place).expect("another name");
        assert!(said(twin.read()).contains("has another name"));

        fs::create_dir_all(root.join("home/b")).expect("a folder");
        symlink("../link/.ssh", root.join("home/b/.ssh")).expect("a link");
        assert!(said(Folder::open(root, "/home/b")).contains("/home/b/.ssh is a link"));
        assert!(Folder::make(root, "/home/b", None).is_err());
    }

    /// The user moves the directory away and puts a link in its place while it is in use.
    #[test]
    fn a_folder_that_is_swapped_leads_nowhere_else() {
        let root = tempfile::tempdir().expect("a folder");
        let root = root.path();
        let (folder, _) = Folder::make(root, "/home/a", None).expect("a folder");
        fs::create_dir(root.join("victim")).expect("a folder");
        fs::rename(root.join("home/a/.ssh"), root.join("home/a/away")).expect("moved");
        symlink("../../victim", root.join("home/a/.ssh")).expect("a link");
        folder.put(b"key\n", None).expect("keys");
        let keys = fs::read(root.join("home/a/away/authorized_keys"));
        assert_eq!(keys.expect("keys"), b"key\n");
        assert_eq!(
            fs::read_dir(root.join("victim")).expect("a folder").count(),
            0
        );
    }

    #[test]
    fn only_missing_keys_are_added_and_the_rest_stays() {
        let keys = ["a 1", "b 2"].map(String::from);
        let added = with_missing(b"\xfe\xff\n  a 1 \r\nlast", &keys);
        assert_eq!(
            added,
            Some((b"\xfe\xff\n  a 1 \r\nlast\nb 2\n".to_vec(), 1))
        );
        assert_eq!(with_missing(b"b 2\na 1\n", &keys), None);
    }
}
