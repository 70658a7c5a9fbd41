//! What the log and the snapshots ask of a disk: files by name below one directory.
//!
//! The real one is [`RealDisk`](super::RealDisk); the simulation brings its own, which forgets, tears and
//! reorders whatever was not synced. The promises here are therefore the weakest a file system keeps:
//! bytes last once [`DiskFile::sync`] has returned, names once [`Disk::sync_folder`] has.
//! Overwriting a byte with the same byte is assumed to leave it whole whenever the power fails.

use std::io;

/// The files below one directory. A handle: clones mean the same directory.
///
/// A name is `FILE` or `FOLDER/FILE`; a folder is one of those or `""` for the directory itself.
pub trait Disk: Clone + Send + 'static {
    /// An open file of this disk.
    type File: DiskFile;

    /// The name as a person would type it, for messages.
    fn path_of(&self, name: &str) -> String;

    /// Make a folder unless it is there, and make it last.
    ///
    /// # Errors
    ///
    /// The disk's.
    fn make_folder(&self, folder: &str) -> io::Result<()>;

    /// The names of the files in a folder, without the folder's, sorted.
    ///
    /// # Errors
    ///
    /// The disk's; `NotFound` when there is no such folder.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;

    /// Make an empty file, open for reading and writing.
    ///
    /// # Errors
    ///
    /// The disk's; `AlreadyExists` when the name is taken.
    fn create(&self, name: &str) -> io::Result<Self::File>;

    /// Open a file for reading and writing.
    ///
    /// # Errors
    ///
    /// The disk's; `NotFound` when there is none.
    fn open(&self, name: &str) -> io::Result<Self::File>;

    /// Give a file another name in the same folder, replacing what has that name.
    ///
    /// # Errors
    ///
    /// The disk's.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Remove a file.
    ///
    /// # Errors
    ///
    /// The disk's; `NotFound` when there is none.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Return once all that was created, renamed and removed in a folder will outlast a power cut.
    ///
    /// # Errors
    ///
    /// The disk's; then nothing is known about what lasts, and it must not be tried again.
    fn sync_folder(&self, folder: &str) -> io::Result<()>;
}

/// An open file of a [`Disk`].
pub trait DiskFile: Send {
    /// How many bytes it has.
    ///
    /// # Errors
    ///
    /// The disk's.
    fn length(&self) -> io::Result<u64>;

    /// Read from `offset` on into `buffer`; how many bytes there were, 0 at the end.
    ///
    /// # Errors
    ///
    /// The disk's.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Write all of `bytes` at `offset`, which is at most the file's length.
    ///
    /// # Errors
    ///
    /// The disk's; then any part may have been written.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Return once all written bytes, and the length, will outlast a power cut.
    ///
    /// # Errors
    ///
    /// The disk's; then nothing is known about what lasts, and it must not be tried again: the system
    /// may have dropped the bytes, and would then report success.
    fn sync(&mut self) -> io::Result<()>;
}

/// Put `bytes` in the place of a file of the directory itself, durably: it has the old bytes or the new
/// ones, whenever the power fails. `next` is its name while it is written.
pub(super) fn replace<D: Disk>(disk: &D, name: &str, next: &str, bytes: &[u8]) -> io::Result<()> {
    remove_if_there(disk, next)?;
    let mut file = disk.create(next)?;
    file.write_at(0, bytes)?;
    file.sync()?;
    disk.rename(next, name)?;
    disk.sync_folder("")
}

/// Remove a file unless it is gone already.
pub(super) fn remove_if_there<D: Disk>(disk: &D, name: &str) -> io::Result<()> {
    match disk.remove(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// A whole file, or its first `length_max` bytes; none when there is no such file.
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

/// Read `length` bytes from `offset` on, or as many as there are.
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
