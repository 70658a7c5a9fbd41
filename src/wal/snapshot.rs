//! Snapshot files: an image of the store, and which entry it stands for.
//!
//! ```text
//!  0  8    magic
//!  8  u32  version of the format
//! 12  u32  length of the mark
//! 16       mark: index, term, configuration
//!          the image
//!          u64  length of the image
//!          u32  CRC-32C of everything before
//! ```
//!
//! A file is written under a temporary name, and gets its own when it is whole and synced: a file by name
//! is complete. Which one counts is for the log to say.

use std::io;

use bytes::Bytes;

use super::codec::{Fields, put_mark, put_u32, put_u64};
use super::disk::{Disk, DiskFile, read_up_to};
use super::entry::SnapshotMeta;
use super::error::StorageError;
use super::segment::hex;

/// Where the snapshots are.
pub(super) const FOLDER: &str = "snap";

/// The version of snapshot files this program writes, and the latest it reads.
pub const SNAPSHOT_VERSION: u32 = 1;

/// Bytes gathered before they are written, and read at a time.
const BUFFER_BYTES: usize = 256 << 10;

/// So many bytes are written between two syncs: one large sync at the end would hold up the log's.
const SYNC_BYTES: u64 = 4 << 20;

/// How many temporary files of one snapshot may be written at once; one more is refused.
const WRITERS_MAX: u32 = 16;

const MAGIC: [u8; 8] = *b"oxetcd.s";

const FIXED_BYTES: usize = 16;

const TRAILER_BYTES: u64 = 12;

/// The longest mark read, in bytes.
const MARK_BYTES_MAX: usize = 1 << 20;

/// Writes a snapshot file. On any thread; it needs nothing of the log's. Dropped before
/// [`SnapshotWriter::finish`] it leaves nothing behind.
pub struct SnapshotWriter<D: Disk> {
    disk: D,
    mark: SnapshotMeta,
    temporary: String,
    file: Option<D::File>,
    buffer: Vec<u8>,
    sum: u32,
    written: u64,
    unsynced: u64,
    image_bytes: u64,
}

impl<D: Disk> SnapshotWriter<D> {
    /// Begin the file for `mark`.
    ///
    /// # Errors
    ///
    /// The disk's.
    pub fn create(disk: &D, mark: SnapshotMeta) -> Result<Self, StorageError> {
        let name = snapshot_name(mark.index, mark.term);
        let (temporary, file) =
            create_temporary(disk, &name).map_err(StorageError::io(disk, "make", &name))?;
        let mut encoded = Vec::new();
        put_mark(&mut encoded, &mark);
        let mut buffer = MAGIC.to_vec();
        put_u32(&mut buffer, SNAPSHOT_VERSION);
        put_u32(
            &mut buffer,
            u32::try_from(encoded.len()).unwrap_or(u32::MAX),
        );
        buffer.extend_from_slice(&encoded);
        Ok(Self {
            disk: disk.clone(),
            mark,
            temporary,
            file: Some(file),
            buffer,
            sum: 0,
            written: 0,
            unsynced: 0,
            image_bytes: 0,
        })
    }

    /// Append to the image.
    ///
    /// # Errors
    ///
    /// The disk's; the writer is then of no more use.
    pub fn write(&mut self, chunk: &[u8]) -> Result<(), StorageError> {
        self.image_bytes += chunk.len() as u64;
        for piece in chunk.chunks(BUFFER_BYTES) {
            self.buffer.extend_from_slice(piece);
            if self.buffer.len() >= BUFFER_BYTES {
                self.flush()
                    .map_err(StorageError::io(&self.disk, "write", &self.temporary))?;
            }
        }
        Ok(())
    }

    /// Make the file durable under its name. Returns the image's length in bytes.
    ///
    /// # Errors
    ///
    /// The disk's; then there is no such snapshot.
    pub fn finish(mut self) -> Result<u64, StorageError> {
        self.complete()
            .map_err(StorageError::io(&self.disk, "write", &self.temporary))?;
        Ok(self.image_bytes)
    }

    fn complete(&mut self) -> io::Result<()> {
        let image_bytes = self.image_bytes;
        put_u64(&mut self.buffer, image_bytes);
        let sum = crc32c::crc32c_append(self.sum, &self.buffer);
        put_u32(&mut self.buffer, sum);
        self.flush()?;
        let Some(mut file) = self.file.take() else {
            return Ok(());
        };
        let name = snapshot_name(self.mark.index, self.mark.term);
        let renamed = file
            .sync()
            .and_then(|()| self.disk.rename(&self.temporary, &name));
        if renamed.is_err() {
            // Dropping the writer removes the temporary file.
            self.file = Some(file);
        }
        renamed?;
        self.disk.sync_folder(FOLDER)
    }

    fn flush(&mut self) -> io::Result<()> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        file.write_at(self.written, &self.buffer)?;
        self.sum = crc32c::crc32c_append(self.sum, &self.buffer);
        self.written += self.buffer.len() as u64;
        self.unsynced += self.buffer.len() as u64;
        self.buffer.clear();
        if self.unsynced >= SYNC_BYTES {
            file.sync()?;
            self.unsynced = 0;
        }
        Ok(())
    }
}

impl<D: Disk> Drop for SnapshotWriter<D> {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // What stays is removed when the log is opened.
            let _ = self.disk.remove(&self.temporary);
        }
    }
}

/// Write a whole snapshot; the image's length in bytes.
///
/// # Errors
///
/// The disk's; then there is no such snapshot.
pub fn write_snapshot<D: Disk>(
    disk: &D,
    mark: &SnapshotMeta,
    image: impl Iterator<Item = Bytes>,
) -> Result<u64, StorageError> {
    let mut writer = SnapshotWriter::create(disk, mark.clone())?;
    for chunk in image {
        writer.write(&chunk)?;
    }
    writer.finish()
}

/// A snapshot file that was read through once and is whole.
pub struct Snapshot<D: Disk> {
    disk: D,
    name: String,
    file: D::File,
    image_start: u64,
    image_bytes: u64,
}

impl<D: Disk> Snapshot<D> {
    /// Open the file for `mark`, and check all of it.
    ///
    /// # Errors
    ///
    /// That it is missing, damaged, another's, or from a later version, or the disk's.
    pub fn open(disk: &D, mark: &SnapshotMeta) -> Result<Self, StorageError> {
        let name = snapshot_name(mark.index, mark.term);
        let file = match disk.open(&name) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let what = "the snapshot that the log begins with is missing";
                return Err(StorageError::damaged(disk, &name, 0, what));
            }
            Err(error) => return Err(StorageError::io(disk, "open", &name)(error)),
        };
        let (image_start, image_bytes) = check(disk, &name, &file, mark)?;
        Ok(Self {
            disk: disk.clone(),
            name,
            file,
            image_start,
            image_bytes,
        })
    }

    /// The image's length in bytes.
    pub fn image_bytes(&self) -> u64 {
        self.image_bytes
    }

    /// At most `length` bytes of the image from `offset` on; none at its end. The file may meanwhile
    /// have been removed.
    ///
    /// # Errors
    ///
    /// The disk's.
    pub fn chunk(&self, offset: u64, length: usize) -> Result<Vec<u8>, StorageError> {
        let left = self.image_bytes.saturating_sub(offset);
        let length = length.min(usize::try_from(left).unwrap_or(usize::MAX));
        read_up_to(&self.file, self.image_start + offset, length)
            .map_err(StorageError::io(&self.disk, "read", &self.name))
    }

    /// The whole image, in memory.
    ///
    /// # Errors
    ///
    /// The disk's.
    pub fn image(&self) -> Result<Vec<u8>, StorageError> {
        self.chunk(0, usize::MAX)
    }
}

/// Remove the snapshots that are no longer needed once the log begins with `mark`: all before it but the
/// latest. Those after it may be on their way and stay.
///
/// # Errors
///
/// The disk's; nothing is lost by it but room.
pub fn remove_old_snapshots<D: Disk>(disk: &D, mark: &SnapshotMeta) -> Result<(), StorageError> {
    let named = (mark.index, mark.term);
    let mut older: Vec<_> = snapshots(disk)?
        .into_iter()
        .filter(|found| *found < named)
        .collect();
    older.pop();
    remove(disk, older.into_iter().map(|(i, t)| snapshot_name(i, t)))
}

/// Remove what is left of snapshots the log never came to name.
pub(super) fn remove_unnamed<D: Disk>(
    disk: &D,
    named: Option<&SnapshotMeta>,
) -> Result<(), StorageError> {
    let newer = snapshots(disk)?
        .into_iter()
        .filter(|found| named.is_none_or(|mark| *found > (mark.index, mark.term)))
        .map(|(index, term)| snapshot_name(index, term));
    let unfinished = files(disk)?
        .into_iter()
        .filter(|file| file.ends_with(".tmp"))
        .map(|file| format!("{FOLDER}/{file}"));
    remove(disk, newer.chain(unfinished))
}

/// Index and term of all snapshots by name, oldest first.
fn snapshots<D: Disk>(disk: &D) -> Result<Vec<(u64, u64)>, StorageError> {
    let mut found: Vec<_> = files(disk)?
        .iter()
        .filter_map(|file| {
            let (index, term) = file.strip_suffix(".snap")?.split_once('-')?;
            Some((hex(index)?, hex(term)?))
        })
        .collect();
    found.sort_unstable();
    Ok(found)
}

fn files<D: Disk>(disk: &D) -> Result<Vec<String>, StorageError> {
    match disk.list(FOLDER) {
        Ok(files) => Ok(files),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(StorageError::io(disk, "read", FOLDER)(error)),
    }
}

fn remove<D: Disk>(disk: &D, names: impl Iterator<Item = String>) -> Result<(), StorageError> {
    for name in names {
        disk.remove(&name)
            .map_err(StorageError::io(disk, "remove", &name))?;
    }
    Ok(())
}

fn snapshot_name(index: u64, term: u64) -> String {
    format!("{FOLDER}/{index:016x}-{term:016x}.snap")
}

fn create_temporary<D: Disk>(disk: &D, name: &str) -> io::Result<(String, D::File)> {
    let mut attempt = 0;
    loop {
        let temporary = format!("{name}.{attempt}.tmp");
        match disk.create(&temporary) {
            Ok(file) => return Ok((temporary, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempt < WRITERS_MAX => {
                attempt += 1;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Check a file from end to end. Returns where its image begins, and how long that is.
fn check<D: Disk>(
    disk: &D,
    name: &str,
    file: &D::File,
    mark: &SnapshotMeta,
) -> Result<(u64, u64), StorageError> {
    let damaged = |at: u64, what: &str| StorageError::damaged(disk, name, at, what);
    let io = || StorageError::io(disk, "read", name);
    let length = file.length().map_err(io())?;
    let head = read_up_to(file, 0, FIXED_BYTES + MARK_BYTES_MAX).map_err(io())?;
    let mut fields = Fields::new(&head);
    if fields.bytes(MAGIC.len()) != Some(&MAGIC) {
        return Err(damaged(0, "it does not begin like a snapshot"));
    }
    let version = fields.u32().ok_or(damaged(8, "it is cut short"))?;
    if version > SNAPSHOT_VERSION {
        return Err(StorageError::Newer {
            path: disk.path_of(name),
            version,
            known: SNAPSHOT_VERSION,
        });
    }
    let mark_bytes = fields.u32().ok_or(damaged(12, "it is cut short"))? as usize;
    let encoded = fields
        .bytes(mark_bytes)
        .ok_or(damaged(12, "it is cut short"))?;
    let image_start = (FIXED_BYTES + mark_bytes) as u64;
    let image_bytes = length
        .checked_sub(image_start + TRAILER_BYTES)
        .ok_or(damaged(length, "it is cut short"))?;

    let trailer_start = length - TRAILER_BYTES;
    let trailer = read_up_to(file, trailer_start, 12).map_err(io())?;
    let mut fields = Fields::new(&trailer);
    if fields.u64() != Some(image_bytes) {
        return Err(damaged(trailer_start, "it is not as long as it says"));
    }
    let sum = checksum(file, length - 4).map_err(io())?;
    if fields.u32() != Some(sum) {
        return Err(damaged(
            length - 4,
            "its content does not match its checksum",
        ));
    }
    let mut expected = Vec::new();
    put_mark(&mut expected, mark);
    if version != SNAPSHOT_VERSION || encoded != expected {
        return Err(damaged(16, "it is not the snapshot that the log names"));
    }
    Ok((image_start, image_bytes))
}

fn checksum<F: DiskFile>(file: &F, length: u64) -> io::Result<u32> {
    let mut sum = 0;
    let mut at = 0;
    while at < length {
        let left = usize::try_from(length - at).unwrap_or(usize::MAX);
        let bytes = read_up_to(file, at, left.min(BUFFER_BYTES))?;
        if bytes.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        sum = crc32c::crc32c_append(sum, &bytes);
        at += bytes.len() as u64;
    }
    Ok(sum)
}
