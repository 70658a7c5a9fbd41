//! Files: written beside, synced, renamed; nothing is left over.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown, symlink};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::{AccessFlags, access};

use super::root;

/// The name a file has until it is whole.
pub(super) const BESIDE: &str = ".etcd-cloudinit.new";

/// How long a text may be that is read to be compared, in bytes.
const TEXT_BYTES_MAX: u64 = 1 << 20;

/// A user's and a group's number, each none to leave it.
pub(super) type Numbers = (Option<u32>, Option<u32>);

/// A file as it shall be.
pub(super) struct Wanted<'c> {
    pub(super) content: &'c [u8],
    pub(super) mode: u32,
    /// None where nobody asked for one.
    pub(super) owner: Option<Numbers>,
}

impl Wanted<'_> {
    /// Whether it is like that already.
    pub(super) fn is_there(&self, place: &Path) -> bool {
        let Ok(found) = fs::symlink_metadata(place) else {
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
            && read(place, found.len()).is_ok_and(|content| content == self.content)
    }

    /// Make it so.
    pub(super) fn put(&self, place: &Path) -> io::Result<Put> {
        let folder = folder_of(place)?;
        make_folders(folder)?;
        let mut owned = true;
        let replaced = replace(place, folder, |beside| {
            let file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(beside)?;
            owned = self.fill(&file)?;
            Ok(())
        });
        match replaced {
            Ok(()) => Ok(Put {
                owned,
                in_place: false,
            }),
            Err(error) if is_mounted(&error) && is_file(place) => self.put_in_place(place),
            Err(error) => Err(error),
        }
    }

    /// Write over what is there, which others may see half done.
    fn put_in_place(&self, place: &Path) -> io::Result<Put> {
        let file = OpenOptions::new().write(true).open(place)?;
        let owned = self.fill(&file)?;
        Ok(Put {
            owned,
            in_place: true,
        })
    }

    /// Fill a file and give it away; answers whether that was allowed.
    pub(super) fn fill(&self, mut file: &File) -> io::Result<bool> {
        let mut owned = true;
        file.write_all(self.content)?;
        file.set_len(file.stream_position()?)?;
        // Before the permissions, as a new owner takes the special bits away.
        if let Some((user, group)) = self.owner {
            owned = was_allowed(fchown(file, user, group))?;
        }
        file.set_permissions(Permissions::from_mode(self.mode))?;
        file.sync_all()?;
        Ok(owned)
    }
}

/// What is in a file, up to a number of bytes. What is no file, such as a pipe, is not waited for.
///
/// # Errors
///
/// It cannot be read, or is no file.
pub(super) fn read(place: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(place)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other(format!("{} is no file", place.display())));
    }
    let mut content = Vec::new();
    file.take(bytes_max).read_to_end(&mut content)?;
    Ok(content)
}

/// How a file was put where it is.
pub(super) struct Put {
    /// Whether it could be given to its owner.
    pub(super) owned: bool,
    /// Whether it had to be written over, as something is mounted there and keeps it from being replaced.
    pub(super) in_place: bool,
}

/// Whether nothing can be renamed to a place because something is mounted there, as `/etc/hosts` is in a
/// container.
fn is_mounted(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ResourceBusy | io::ErrorKind::CrossesDevices
    )
}

fn is_file(place: &Path) -> bool {
    fs::symlink_metadata(place).is_ok_and(|found| found.is_file())
}

/// Put something beside a place, and then there.
fn replace(
    place: &Path,
    folder: &Path,
    put: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let beside = folder.join(BESIDE);
    // What a crash left.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let done = put(&beside).and_then(|()| fs::rename(&beside, place));
    if done.is_err() {
        let _ = fs::remove_file(&beside);
    }
    done?;
    File::open(folder)?.sync_all()
}

/// Whether something was allowed.
pub(super) fn was_allowed(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(false),
        Err(error) => Err(error),
    }
}

/// The directory that a place is in.
pub(super) fn folder_of(place: &Path) -> io::Result<&Path> {
    let none = || io::Error::other("it is in no directory");
    place.parent().ok_or_else(none)
}

/// Make the directory that a place is in.
pub(super) fn make_folder_of(place: &Path) -> io::Result<()> {
    make_folders(folder_of(place)?)
}

/// Make a directory and those above it, open to all.
fn make_folders(folder: &Path) -> io::Result<()> {
    let mut missing: Vec<PathBuf> = Vec::new();
    let mut above = Some(folder);
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

/// Whether a file can be put at a path: no directory is there, and what is above is missing or is a directory
/// that can be written to.
pub(super) fn is_free(root: &Path, path: &str) -> io::Result<()> {
    let place = root::within(root, path)?;
    if fs::symlink_metadata(&place).is_ok_and(|found| found.is_dir()) {
        return Err(io::Error::other(
            "there is a directory, expected a file or nothing",
        ));
    }
    let mut above = place.parent();
    while let Some(one) = above {
        match fs::symlink_metadata(one) {
            Ok(found) if found.is_dir() => {
                let why = |errno: Errno| format!("{}: {}", one.display(), errno.desc());
                return access(one, AccessFlags::W_OK)
                    .map_err(|errno| io::Error::other(why(errno)));
            }
            Ok(_) => {
                let cause = format!("{} is no directory", one.display());
                return Err(io::Error::other(cause));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => above = one.parent(),
            // A part of the path is a file.
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether anything is there, be it a link to nothing.
pub(super) fn exists(place: &Path) -> bool {
    fs::symlink_metadata(place).is_ok()
}

/// Take a file away, for good.
pub(super) fn remove(place: &Path) -> io::Result<()> {
    fs::remove_file(place)?;
    File::open(folder_of(place)?)?.sync_all()
}

/// What the files in the folder of a place say whose names end so, by the name before that; none for what
/// is no file, or no text of 1 MiB at most. Hidden ones are left out.
pub(super) fn texts_beside(
    place: &Path,
    ending: &str,
) -> io::Result<BTreeMap<String, Option<String>>> {
    let mut texts = BTreeMap::new();
    for entry in fs::read_dir(folder_of(place)?)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(name) = name
            .strip_suffix(ending)
            .filter(|name| !name.starts_with('.'))
        else {
            continue;
        };
        let place = entry.path();
        let small = fs::symlink_metadata(&place)
            .is_ok_and(|found| found.is_file() && found.len() <= TEXT_BYTES_MAX);
        let text = small.then(|| fs::read_to_string(&place).ok()).flatten();
        texts.insert(String::from(name), text);
    }
    Ok(texts)
}

/// Whether a unit's file is a link to nothing.
pub(super) fn is_mask(place: &Path) -> bool {
    fs::read_link(place).is_ok_and(|target| target == Path::new("/dev/null"))
}

/// Whether a unit's file is empty, which masks it just as well.
pub(super) fn is_empty(place: &Path) -> bool {
    fs::symlink_metadata(place).is_ok_and(|found| found.is_file() && found.len() == 0)
}

/// Put a link to nothing there.
pub(super) fn mask(place: &Path) -> io::Result<()> {
    let folder = folder_of(place)?;
    make_folders(folder)?;
    replace(place, folder, |beside| symlink("/dev/null", beside))
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

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a folder");
        let name = |entry: io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
        entries
            .map(|entry| name(entry).to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn a_file_is_whole_or_not_there_and_nothing_is_left_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("a/b/file");
        let file = wanted(b"x", 0o4755);
        assert!(!file.is_there(&place));
        assert!(file.put(&place).expect("a file").owned);
        assert!(file.is_there(&place));
        assert!(!wanted(b"y", 0o4755).is_there(&place));
        assert!(!wanted(b"x", 0o755).is_there(&place));
        // What a crash left is in nobody's way.
        fs::write(folder.path().join("a/b").join(BESIDE), "half").expect("a file");
        wanted(b"new", 0o600).put(&place).expect("a file");
        assert_eq!(names(&folder.path().join("a/b")), ["file"]);
        assert_eq!(fs::read(&place).expect("a file"), b"new");
    }

    #[test]
    fn a_pipe_is_not_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("pipe");
        nix::unistd::mkfifo(&place, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
        assert!(read(&place, 1).is_err());
        wanted(b"x", 0o644).put(&place).expect("a file");
        assert_eq!(read(&place, 10).expect("a file"), b"x");
    }

    #[test]
    fn a_failed_write_leaves_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("taken");
        fs::create_dir_all(place.join("inside")).expect("a folder");
        assert!(wanted(b"x", 0o644).put(&place).is_err());
        assert_eq!(names(folder.path()), ["taken"]);
        assert!(is_free(folder.path(), "/taken").is_err());
        assert!(is_free(folder.path(), "/taken/inside/new").is_ok());
        fs::write(folder.path().join("file"), "").expect("a file");
        assert!(is_free(folder.path(), "/file/below").is_err());
    }

    #[test]
    fn a_file_is_written_over_where_it_cannot_be_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("hosts");
        fs::write(&place, "what was longer before").expect("a file");
        let number = |place: &Path| fs::metadata(place).expect("a file").ino();
        let before = number(&place);
        let put = wanted(b"short", 0o640)
            .put_in_place(&place)
            .expect("a file");
        assert!(put.in_place && put.owned);
        assert_eq!(number(&place), before);
        assert!(wanted(b"short", 0o640).is_there(&place));
    }

    #[test]
    fn a_link_is_replaced_not_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let (target, place) = (folder.path().join("target"), folder.path().join("link"));
        fs::write(&target, "old").expect("a file");
        symlink(&target, &place).expect("a link");
        wanted(b"x", 0o644).put(&place).expect("a file");
        assert_eq!(fs::read(&target).expect("a file"), b"old");
        mask(&place).expect("a link");
        assert!(is_mask(&place) && !is_empty(&place));
    }
}
