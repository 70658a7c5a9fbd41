//! The data directory: whose it is, whether it is ours to use, and that nobody else uses it.
//!
//! ```text
//! lock      held while a daemon runs; its process number, for people
//! member    who this member is
//! standby   where its cluster is, while it has no place in it
//! wal/      the log
//! snap/     the snapshots
//! aside-N/  a member that was here before, with its log and snapshots
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::aside;
use super::disk::Disk;
use super::error::StorageError;
use super::foreign;
use super::identity::{Founding, Identity, MEMBER_FILE, MEMBER_FILE_NEXT};
use super::log::{LogOptions, Wal};
use super::owner::{is_closed_to_us, our_name, our_uid, owner_name};
use super::real_disk::RealDisk;
use super::standby_file::{self, STANDBY_FILE, STANDBY_FILE_NEXT};
use super::{segment, snapshot};
use crate::cluster::{ClusterId, MemberId};

/// The lock file's name.
pub(super) const LOCK_FILE: &str = "lock";

/// How many zeros in a row a source of randomness may give before it is taken for broken.
const ZEROS_MAX: u32 = 4;

/// A data directory that is ours, and ours alone while this value lives.
#[derive(Debug)]
pub struct DataDir {
    disk: RealDisk,
    identity: Option<Identity>,
    /// Held; released when dropped.
    _lock: File,
}

/// What [`DataDir::destroy`] threw away. `Display` says it to a person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Destroyed {
    /// Whose directory it was, as far as that could be read.
    pub identity: Option<Identity>,
    /// How many files of the log.
    pub log_files: usize,
    /// How many snapshots.
    pub snapshots: usize,
}

impl DataDir {
    /// Open a directory, or make it with mode 0700, and lock it. In one that is not ours, or that we may
    /// not use, nothing is touched.
    ///
    /// # Errors
    ///
    /// Why it cannot be used, in a sentence that says what to do.
    pub fn open(path: &Path) -> Result<Self, StorageError> {
        make(path)?;
        foreign::check(path, &list(path)?)?;
        check_access(path)?;
        let lock = lock(path)?;
        aside::finish(path, &list(path)?)?;
        let disk = RealDisk::new(path);
        let identity = Identity::load(&disk)?;
        Ok(Self {
            disk,
            identity,
            _lock: lock,
        })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.disk.root()
    }

    /// Its files; for the log and the snapshots.
    pub fn disk(&self) -> RealDisk {
        self.disk.clone()
    }

    /// Who this member is; none in a fresh directory.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// Make the member of a fresh directory, with a new id and an empty log.
    ///
    /// # Errors
    ///
    /// The disk's; that there is a member already, or a log without one.
    pub fn found(&mut self, name: &str, founding: Founding) -> Result<MemberId, StorageError> {
        if let Some(identity) = &self.identity {
            let what = format!("a second member, {name}, where {} is", identity.name);
            return Err(StorageError::Impossible { what });
        }
        // The log first: a directory that has a member has a log, or has lost it.
        Wal::create(&self.disk, LogOptions::new(random_number()?))?;
        let id = draw_member()?;
        self.save(Identity {
            id,
            cluster: None,
            name: name.to_string(),
            founding,
            boots: 0,
        })?;
        Ok(id)
    }

    /// Be another member from now on, of this new cluster, with what the directory holds.
    ///
    /// # Errors
    ///
    /// The disk's, or that the directory is fresh.
    pub fn begin_anew(&mut self, cluster: ClusterId) -> Result<MemberId, StorageError> {
        let mut identity = self.known("a new cluster of no member")?;
        identity.id = draw_member()?;
        identity.cluster = Some(cluster);
        identity.founding = Founding::Forced;
        let id = identity.id;
        self.save(identity)?;
        Ok(id)
    }

    /// Count this start, durably, and return its number, from 1. To be called once, before anything that
    /// must not be confused with an earlier start.
    ///
    /// # Errors
    ///
    /// The disk's, or that the directory is fresh.
    pub fn boot(&mut self) -> Result<u64, StorageError> {
        let mut identity = self.known("a start of no member")?;
        identity.boots = identity.boots.saturating_add(1);
        let boots = identity.boots;
        self.save(identity)?;
        Ok(boots)
    }

    /// Remember which cluster this is a member of.
    ///
    /// # Errors
    ///
    /// The disk's; that the directory is fresh, or belongs to another cluster.
    pub fn set_cluster(&mut self, cluster: ClusterId) -> Result<(), StorageError> {
        let mut identity = self.known("a cluster of no member")?;
        match identity.cluster {
            Some(known) if known == cluster => Ok(()),
            Some(known) => {
                let what = format!("cluster {cluster} for a member of cluster {known}");
                Err(StorageError::Impossible { what })
            }
            None => {
                identity.cluster = Some(cluster);
                self.save(identity)
            }
        }
    }

    /// Throw away what a member left in a directory, damaged or not: only files of ours, and the directory
    /// and what else is in it stay. One that isn't there is as good as empty.
    ///
    /// # Errors
    ///
    /// That it is not ours, or in use, or the system's.
    pub fn destroy(path: &Path) -> Result<Destroyed, StorageError> {
        let names = match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Destroyed::default());
            }
            Ok(metadata) if !metadata.is_dir() => {
                let path = path.display().to_string();
                return Err(StorageError::NotADirectory { path });
            }
            Ok(_) | Err(_) => list(path)?,
        };
        foreign::check(path, &names)?;
        check_access(path)?;
        let _lock = lock(path)?;
        let disk = RealDisk::new(path);
        let destroyed = discard(&disk)?;
        remove_in(&disk, "", &[STANDBY_FILE_NEXT, STANDBY_FILE])?;
        Ok(destroyed)
    }

    /// Throw away the member and its data, whether it can be read or not. What a standby keeps stays, and
    /// with it the directory is not taken for a fresh one.
    ///
    /// # Errors
    ///
    /// The disk's.
    pub fn discard_member(&mut self) -> Result<Destroyed, StorageError> {
        self.identity = None;
        discard(&self.disk)
    }

    /// Move the member and its data into a folder of their own within the directory, which is a fresh one
    /// then; returns that folder.
    ///
    /// # Errors
    ///
    /// The disk's.
    pub fn set_aside(self) -> Result<PathBuf, StorageError> {
        aside::set_aside(self.path())
    }

    /// What a machine without a place keeps here; none when it has one, or never asked for one.
    ///
    /// # Errors
    ///
    /// The disk's.
    pub fn standby_file(&self) -> Result<Option<Vec<u8>>, StorageError> {
        standby_file::load(&self.disk)
    }

    /// Keep `bytes` for a machine without a place, durably.
    ///
    /// # Errors
    ///
    /// The disk's.
    pub fn keep_standby_file(&self, bytes: &[u8]) -> Result<(), StorageError> {
        standby_file::save(&self.disk, bytes)
    }

    /// The machine has a place, and its data.
    ///
    /// # Errors
    ///
    /// The disk's.
    pub fn remove_standby_file(&self) -> Result<(), StorageError> {
        standby_file::remove(&self.disk)
    }

    fn known(&self, what: &str) -> Result<Identity, StorageError> {
        let none = || StorageError::Impossible { what: what.into() };
        self.identity.clone().ok_or_else(none)
    }

    fn save(&mut self, identity: Identity) -> Result<(), StorageError> {
        identity.save(&self.disk)?;
        self.identity = Some(identity);
        Ok(())
    }
}

impl std::fmt::Display for Destroyed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.identity {
            Some(identity) => write!(f, "member {} ({})", identity.name, identity.id)?,
            None => write!(f, "no readable member")?,
        }
        write!(
            f,
            ", {} files of its log, {} snapshots",
            self.log_files, self.snapshots
        )
    }
}

/// A random number from the system, good enough for an identity.
///
/// # Errors
///
/// The system's.
pub fn random_number() -> Result<u64, StorageError> {
    let mut bytes = [0; 8];
    let source = "/dev/urandom";
    File::open(source)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|error| StorageError::Io {
            doing: "read",
            path: source.into(),
            error,
        })?;
    Ok(u64::from_le_bytes(bytes))
}

/// The id of a new member.
fn draw_member() -> Result<MemberId, StorageError> {
    for _ in 0..ZEROS_MAX {
        if let Some(id) = MemberId::new(random_number()?) {
            return Ok(id);
        }
    }
    let what = "the system's random numbers are all zero".to_owned();
    Err(StorageError::Impossible { what })
}

/// Make the directory unless it is there.
fn make(path: &Path) -> Result<(), StorageError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => return Ok(()),
        Ok(_) => {
            let path = path.display().to_string();
            return Err(StorageError::NotADirectory { path });
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(explain(path, path, "open", error)),
    }
    let above = nearest(path);
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .and_then(|()| sync_names(path, &above))
        .map_err(|error| {
            if error.kind() != io::ErrorKind::PermissionDenied {
                return explain(path, path, "make", error);
            }
            StorageError::CannotCreate {
                directory: path.display().to_string(),
                above: above.display().to_string(),
                owner: owner_name(&above),
                user: our_name(),
            }
        })
}

/// Make the names of new directories last: what will be in them shall.
fn sync_names(path: &Path, above: &Path) -> io::Result<()> {
    for new in path.ancestors().skip(1) {
        if new == above || new.as_os_str().is_empty() {
            break;
        }
        File::open(new)?.sync_all()?;
    }
    File::open(above)?.sync_all()
}

/// The nearest directory above `path` that is there.
fn nearest(path: &Path) -> PathBuf {
    let above = path.ancestors().skip(1).find(|above| above.exists());
    match above {
        Some(above) if above.as_os_str().is_empty() => PathBuf::from("."),
        Some(above) => above.to_path_buf(),
        None => PathBuf::from("."),
    }
}

fn list(path: &Path) -> Result<Vec<String>, StorageError> {
    let read = || -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(path)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    };
    read().map_err(|error| explain(path, path, "read", error))
}

/// Check that we may use everything of ours, before anything is changed.
fn check_access(path: &Path) -> Result<(), StorageError> {
    let uid = our_uid();
    for folder in ["", segment::FOLDER, snapshot::FOLDER] {
        let folder = path.join(folder);
        if is_closed_to_us(&folder, uid) {
            return Err(not_ours(path, &folder));
        }
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(explain(path, &folder, "read", error)),
        };
        for entry in entries {
            let file = entry
                .map_err(|error| explain(path, &folder, "read", error))?
                .path();
            let is_ours = folder != path || file.file_name().is_some_and(is_our_file);
            if is_ours && file.is_file() {
                OpenOptions::new()
                    .read(true)
                    .write(true)
                    .open(&file)
                    .map_err(|error| explain(path, &file, "open", error))?;
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

fn lock(path: &Path) -> Result<File, StorageError> {
    let name = path.join(LOCK_FILE);
    let fail = |error| explain(path, &name, "open", error);
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
            // It only makes the sentence better.
            let _ = file.read_to_string(&mut text);
            return Err(StorageError::InUse {
                directory: path.display().to_string(),
                pid: text.trim().parse().ok(),
            });
        }
        Err(TryLockError::Error(error)) => return Err(explain(path, &name, "lock", error)),
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(|error| explain(path, &name, "write", error))?;
    Ok(file)
}

/// Remove what a member left, and the member last: a directory half destroyed is not taken for a fresh one.
fn discard(disk: &RealDisk) -> Result<Destroyed, StorageError> {
    let destroyed = Destroyed {
        identity: Identity::load(disk).ok().flatten(),
        log_files: remove_in(disk, segment::FOLDER, &[".wal", ".spare", ".tmp"])?,
        snapshots: remove_in(disk, snapshot::FOLDER, &[".snap", ".tmp"])?,
    };
    remove_in(disk, "", &[MEMBER_FILE_NEXT, MEMBER_FILE])?;
    Ok(destroyed)
}

/// Remove the files in a folder whose names end so. Returns how many had the first ending.
fn remove_in(disk: &RealDisk, folder: &str, endings: &[&str]) -> Result<usize, StorageError> {
    let files = match disk.list(folder) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(StorageError::io(disk, "read", folder)(error)),
    };
    let mut count = 0;
    for file in files {
        let is_ours = if folder.is_empty() {
            endings.contains(&file.as_str())
        } else {
            endings.iter().any(|ending| file.ends_with(ending))
        };
        if is_ours {
            let name = if folder.is_empty() {
                file.clone()
            } else {
                format!("{folder}/{file}")
            };
            disk.remove(&name)
                .map_err(StorageError::io(disk, "remove", &name))?;
            count += usize::from(endings.first().is_some_and(|first| file.ends_with(first)));
        }
    }
    disk.sync_folder(folder)
        .map_err(StorageError::io(disk, "sync", folder))?;
    Ok(count)
}

fn explain(directory: &Path, path: &Path, doing: &'static str, error: io::Error) -> StorageError {
    if error.kind() == io::ErrorKind::PermissionDenied {
        return not_ours(directory, path);
    }
    // Something on the way there is a file.
    if error.kind() == io::ErrorKind::NotADirectory {
        return StorageError::NotADirectory {
            path: directory.display().to_string(),
        };
    }
    StorageError::Io {
        doing,
        path: path.display().to_string(),
        error,
    }
}

fn not_ours(directory: &Path, path: &Path) -> StorageError {
    StorageError::NotOurs {
        directory: directory.display().to_string(),
        path: path.display().to_string(),
        owner: owner_name(path),
        user: our_name(),
    }
}
