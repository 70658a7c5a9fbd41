//! The data directory of a member or standby.
//!
//! ```text
//! lock      locked while a daemon runs; contains its process id
//! member    the identity of the member
//! standby   the members of the cluster, while this host is a standby
//! wal/      the log
//! snap/     the snapshots
//! aside-N/  a former member that was set aside, with its log and snapshots
//! ```

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::access::check_access;
use super::aside;
use super::disk::Disk;
use super::error::StorageError;
use super::foreign;
use super::identity::{Founding, Identity, MEMBER_FILE, MEMBER_FILE_NEXT};
use super::lock::lock;
use super::log::{LogOptions, Wal};
use super::owner::{current_user, owner_name};
use super::real_disk::RealDisk;
use super::standby_file::{self, STANDBY_FILE, STANDBY_FILE_NEXT};
use super::{segment, snapshot};
use crate::cluster::{ClusterId, MemberId};

/// How many zeros in a row a source of randomness may return before it is considered broken.
const ZEROS_MAX: u32 = 4;

/// A data directory, locked for this process while this value lives.
#[derive(Debug)]
pub struct DataDir {
    disk: RealDisk,
    identity: Option<Identity>,
    /// Released when dropped.
    _lock: File,
}

/// What [`DataDir::destroy`] deleted. `Display` is a summary for a log line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Destroyed {
    /// The member of the directory, if its file could be read.
    pub identity: Option<Identity>,
    /// The number of log files.
    pub log_files: usize,
    /// The number of snapshots.
    pub snapshots: usize,
}

impl DataDir {
    /// Open a directory, or create it with mode 0700, and lock it. A directory of another program, or one
    /// that this process may not use, is not changed.
    ///
    /// # Errors
    ///
    /// - [`StorageError::Foreign`]: it contains files of another program.
    /// - [`StorageError::NotOurs`], [`StorageError::CannotCreate`]: it, or the directory above, belongs to
    ///   another user.
    /// - [`StorageError::NotADirectory`]: the path is that of another kind of file.
    /// - [`StorageError::InUse`]: another process has locked it.
    /// - [`StorageError::Damaged`], [`StorageError::Newer`]: the member file cannot be read.
    /// - [`StorageError::Io`]: the disk failed.
    pub fn open(path: &Path) -> Result<Self, StorageError> {
        create(path)?;
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

    /// The path of the directory.
    pub fn path(&self) -> &Path {
        self.disk.root()
    }

    /// The disk for the log and the snapshots.
    pub fn disk(&self) -> RealDisk {
        self.disk.clone()
    }

    /// The identity of the member; none in an empty directory.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// Create the member of an empty directory, with a new id and an empty log.
    ///
    /// # Errors
    ///
    /// - [`StorageError::Impossible`]: there is a member already.
    /// - [`StorageError::Damaged`]: there is a log without a member.
    /// - [`StorageError::Io`]: the disk failed.
    pub fn found(&mut self, name: &str, founding: Founding) -> Result<MemberId, StorageError> {
        if let Some(identity) = &self.identity {
            let what = format!("a second member, {name}, besides {}", identity.name);
            return Err(StorageError::Impossible { what });
        }
        // The log first: if a directory with a member has no log, the log was lost.
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

    /// Give the member a new id in this new cluster, and keep its data.
    ///
    /// # Errors
    ///
    /// - [`StorageError::Impossible`]: the directory has no member.
    /// - [`StorageError::Io`]: the disk failed.
    pub fn restart_as_new_cluster(&mut self, cluster: ClusterId) -> Result<MemberId, StorageError> {
        let mut identity = self.require_identity("a new cluster without a member")?;
        identity.id = draw_member()?;
        identity.cluster = Some(cluster);
        identity.founding = Founding::Forced;
        let id = identity.id;
        self.save(identity)?;
        Ok(id)
    }

    /// Count this start durably. Returns its number, from 1. Call it once, before anything that must differ
    /// from an earlier start.
    ///
    /// # Errors
    ///
    /// - [`StorageError::Impossible`]: the directory has no member.
    /// - [`StorageError::Io`]: the disk failed.
    pub fn boot(&mut self) -> Result<u64, StorageError> {
        let mut identity = self.require_identity("a start without a member")?;
        identity.boots = identity.boots.saturating_add(1);
        let boots = identity.boots;
        self.save(identity)?;
        Ok(boots)
    }

    /// Record the cluster of the member.
    ///
    /// # Errors
    ///
    /// - [`StorageError::Impossible`]: the directory has no member, or one of another cluster.
    /// - [`StorageError::Io`]: the disk failed.
    pub fn set_cluster(&mut self, cluster: ClusterId) -> Result<(), StorageError> {
        let mut identity = self.require_identity("a cluster without a member")?;
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

    /// Delete the member's files in a directory, damaged or not. The directory and other files in it are kept.
    /// A directory that does not exist counts as empty.
    ///
    /// # Errors
    ///
    /// As [`DataDir::open`], except for a damaged or newer member file.
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

    /// Delete the member and its data, whether they can be read or not. The standby file is kept; with it the
    /// directory does not count as empty.
    ///
    /// # Errors
    ///
    /// [`StorageError::Io`]: the disk failed.
    pub fn discard_member(&mut self) -> Result<Destroyed, StorageError> {
        self.identity = None;
        discard(&self.disk)
    }

    /// Move the member and its data into a new folder within the directory, which is then empty. Returns that
    /// folder.
    ///
    /// # Errors
    ///
    /// [`StorageError::Io`]: the disk failed.
    pub fn set_aside(self) -> Result<PathBuf, StorageError> {
        aside::set_aside(self.path())
    }

    /// The content of the standby file; none if this host is not a standby.
    ///
    /// # Errors
    ///
    /// [`StorageError::Io`]: the disk failed.
    pub fn standby_file(&self) -> Result<Option<Vec<u8>>, StorageError> {
        standby_file::load(&self.disk)
    }

    /// Replace the standby file durably.
    ///
    /// # Errors
    ///
    /// [`StorageError::Io`]: the disk failed.
    pub fn keep_standby_file(&self, bytes: &[u8]) -> Result<(), StorageError> {
        standby_file::save(&self.disk, bytes)
    }

    /// Remove the standby file, once this host is a member and has the data.
    ///
    /// # Errors
    ///
    /// [`StorageError::Io`]: the disk failed.
    pub fn remove_standby_file(&self) -> Result<(), StorageError> {
        standby_file::remove(&self.disk)
    }

    fn require_identity(&self, what: &str) -> Result<Identity, StorageError> {
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

/// A random number of the operating system, suitable for an id.
///
/// # Errors
///
/// [`StorageError::Io`]: the source of random numbers cannot be read.
pub fn random_number() -> Result<u64, StorageError> {
    let mut bytes = [0; 8];
    let source = "/dev/urandom";
    File::open(source)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|error| StorageError::Io {
            operation: "read",
            path: source.into(),
            error,
        })?;
    Ok(u64::from_le_bytes(bytes))
}

/// Draw the id of a new member.
fn draw_member() -> Result<MemberId, StorageError> {
    for _ in 0..ZEROS_MAX {
        if let Some(id) = MemberId::new(random_number()?) {
            return Ok(id);
        }
    }
    let what = "the system's random numbers are all zero".to_owned();
    Err(StorageError::Impossible { what })
}

/// Create the directory unless it exists.
fn create(path: &Path) -> Result<(), StorageError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => return Ok(()),
        Ok(_) => {
            let path = path.display().to_string();
            return Err(StorageError::NotADirectory { path });
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(StorageError::system(path, path, "open", error)),
    }
    let above = nearest(path);
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .and_then(|()| sync_names(path, &above))
        .map_err(|error| {
            if error.kind() != io::ErrorKind::PermissionDenied {
                return StorageError::system(path, path, "create", error);
            }
            StorageError::CannotCreate {
                directory: path.display().to_string(),
                above: above.display().to_string(),
                owner: owner_name(&above),
                user: current_user(),
            }
        })
}

/// Sync the names of new directories, whose content will be durable.
fn sync_names(path: &Path, above: &Path) -> io::Result<()> {
    for new in path.ancestors().skip(1) {
        if new == above || new.as_os_str().is_empty() {
            break;
        }
        File::open(new)?.sync_all()?;
    }
    File::open(above)?.sync_all()
}

/// The nearest existing directory above `path`.
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
    read().map_err(|error| StorageError::system(path, path, "read", error))
}

/// Delete the member's files, the member file last: after a crash a partly deleted directory does not count as
/// empty.
fn discard(disk: &RealDisk) -> Result<Destroyed, StorageError> {
    let destroyed = Destroyed {
        identity: Identity::load(disk).ok().flatten(),
        log_files: remove_in(disk, segment::FOLDER, &[".wal", ".spare", ".tmp"])?,
        snapshots: remove_in(disk, snapshot::FOLDER, &[".snap", ".tmp"])?,
    };
    remove_in(disk, "", &[MEMBER_FILE_NEXT, MEMBER_FILE])?;
    Ok(destroyed)
}

/// Remove the files in a folder whose names have one of the endings. Returns the number of those with the
/// first ending.
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
