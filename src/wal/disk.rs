//! The interface between storage and a disk: files by name below one directory.
//!
//! The real disk is [`RealDisk`](super::RealDisk); the simulation has another one, which loses, tears and
//! reorders everything that was not synced. The guarantees here are the weakest that file systems give: bytes
//! are durable once [`DiskFile::sync`] has returned, names once [`Disk::sync_folder`] has. Overwriting a byte
//! with the same value is assumed to leave it intact if the power fails.

use std::io;

/// The files below one directory. A handle: clones refer to the same directory.
///
/// A name is `FILE` or `FOLDER/FILE`; a folder is one of those or `""` for the directory itself.
pub trait Disk: Clone + Send + 'static {
    /// An open file of this disk.
    type File: DiskFile;

    /// The full path of a name, for messages.
    fn path_of(&self, name: &str) -> String;

    /// Create a folder unless it exists, durably.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    fn make_folder(&self, folder: &str) -> io::Result<()>;

    /// The names of the files in a folder, without the folder's name, sorted.
    ///
    /// # Errors
    ///
    /// Those of the file system; `NotFound` if there is no such folder.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;

    /// Create an empty file, open for reading and writing.
    ///
    /// # Errors
    ///
    /// Those of the file system; `AlreadyExists` if there is a file with that name.
    fn create(&self, name: &str) -> io::Result<Self::File>;

    /// Open a file for reading and writing.
    ///
    /// # Errors
    ///
    /// Those of the file system; `NotFound` if there is no such file.
    fn open(&self, name: &str) -> io::Result<Self::File>;

    /// Rename a file within a folder, replacing a file with the new name.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Remove a file.
    ///
    /// # Errors
    ///
    /// Those of the file system; `NotFound` if there is no such file.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Make durable what was created, renamed and removed in a folder.
    ///
    /// # Errors
    ///
    /// Those of the file system. After an error it is unknown what is durable, and the call must not be
    /// repeated.
    fn sync_folder(&self, folder: &str) -> io::Result<()>;
}

/// An open file of a [`Disk`].
pub trait DiskFile: Send {
    /// Its length, in bytes.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    fn length(&self) -> io::Result<u64>;

    /// Read from `offset` into `buffer`. Returns the number of bytes read, 0 at the end.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Write all of `bytes` at `offset`, which is at most the file's length.
    ///
    /// # Errors
    ///
    /// Those of the file system; then any part may have been written.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Make all written bytes and the length durable.
    ///
    /// # Errors
    ///
    /// Those of the file system. After an error it is unknown what is durable, and the call must not be
    /// repeated: the system may have dropped the bytes, and a second call would report success.
    fn sync(&mut self) -> io::Result<()>;
}

/// Replace a file of the directory itself by `bytes`, durably and atomically. `next` is the name under which it
/// is written.
pub(super) fn replace<D: Disk>(disk: &D, name: &str, next: &str, bytes: &[u8]) -> io::Result<()> {
    remove_if_there(disk, next)?;
    let mut file = disk.create(next)?;
    file.write_at(0, bytes)?;
    file.sync()?;
    disk.rename(next, name)?;
    disk.sync_folder("")
}

/// Remove a file if it exists.
pub(super) fn remove_if_there<D: Disk>(disk: &D, name: &str) -> io::Result<()> {
    match disk.remove(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// A whole file, or its first `length_max` bytes; none if there is no such file.
pub(super) fn read_file<D: Disk>(
    disk: &D,
    name: &str,
    length_max: usize,
) -> io::Result<Option<Vec<u8>>> {
    let file = match disk.open(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let length = usize::try_from(file.length()?).unwrap_or(usize::MAX);
    read_up_to(&file, 0, length.min(length_max)).map(Some)
}

/// Read `length` bytes from `offset`, or fewer at the end of the file.
pub(super) fn read_up_to<F: DiskFile>(file: &F, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..)
        && !rest.is_empty()
    {
        match file.read_at(offset + filled as u64, rest) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}
