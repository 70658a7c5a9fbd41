//! Snapshot files: an image of the store, and the metadata of the snapshot.
//!
//! ```text
//!  0  8    magic
//!  8  u32  version of the format
//! 12  u32  length of the metadata
//! 16       metadata: index, term, configuration
//!          the image
//!          u64  length of the image
//!          u32  CRC-32C of everything before
//! ```
//!
//! A file is written under a temporary name, and gets its final name once it is complete and synced: a file
//! with a snapshot's name is complete. The log determines which one is used.

use std::io;

use bytes::Bytes;

use super::codec::{Fields, put_snapshot_meta, put_u32, put_u64};
use super::disk::{Disk, DiskFile, read_up_to};
use super::entry::SnapshotMeta;
use super::error::StorageError;
use super::segment::hex;

/// The folder of the snapshots.
pub(super) const FOLDER: &str = "snap";

/// The version of snapshot files this program writes, and the latest it reads.
pub const SNAPSHOT_VERSION: u32 = 1;

/// How many bytes are written or read at a time.
const BUFFER_BYTES: usize = 256 << 10;

/// How many bytes are written between two syncs: a single large sync at the end would delay those of the log.
const SYNC_BYTES: u64 = 4 << 20;

/// How many temporary files of one snapshot may be written at the same time; another one is refused.
const WRITERS_MAX: u32 = 16;

const MAGIC: [u8; 8] = *b"oxetcd.s";

const FIXED_BYTES: usize = 16;

const TRAILER_BYTES: u64 = 12;

/// The longest metadata that is read, in bytes.
const META_BYTES_MAX: usize = 1 << 20;

/// Writes a snapshot file, on any thread and independently of the log. If it is dropped before
/// [`SnapshotWriter::finish`], the temporary file is removed.
pub struct SnapshotWriter<D: Disk> {
    disk: D,
    meta: SnapshotMeta,
    temporary: String,
    file: Option<D::File>,
    buffer: Vec<u8>,
    sum: u32,
    written: u64,
    unsynced: u64,
    image_bytes: u64,
}

impl<D: Disk> SnapshotWriter<D> {
    /// Create the file of a snapshot.
    ///
    /// # Errors
    ///
    /// [`StorageError::Io`]: the disk failed.
    pub fn create(disk: &D, meta: SnapshotMeta) -> Result<Self, StorageError> {
        let name = snapshot_name(meta.index, meta.term);
        let (temporary, file) =
            create_temporary(disk, &name).map_err(StorageError::io(disk, "create", &name))?;
        let mut encoded = Vec::new();
        put_snapshot_meta(&mut encoded, &meta);
        let mut buffer = MAGIC.to_vec();
        put_u32(&mut buffer, SNAPSHOT_VERSION);
        put_u32(
            &mut buffer,
            u32::try_from(encoded.len()).unwrap_or(u32::MAX),
        );
        buffer.extend_from_slice(&encoded);
        Ok(Self {
            disk: disk.clone(),
            meta,
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
    /// [`StorageError::Io`]: the disk failed. The writer must be dropped.
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

    /// Make the file durable under its final name. Returns the length of the image in bytes.
    ///
    /// # Errors
    ///
    /// [`StorageError::Io`]: the disk failed. There is no such snapshot then.
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
        let name = snapshot_name(self.meta.index, self.meta.term);
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
            // If this fails, the file is removed when the log is opened.
            let _ = self.disk.remove(&self.temporary);
        }
    }
}

/// Write a complete snapshot. Returns the length of the image in bytes.
///
/// # Errors
///
/// [`StorageError::Io`]: the disk failed. There is no such snapshot then.
pub fn write_snapshot<D: Disk>(
    disk: &D,
    meta: &SnapshotMeta,
    image: impl Iterator<Item = Bytes>,
) -> Result<u64, StorageError> {
    let mut writer = SnapshotWriter::create(disk, meta.clone())?;
    for chunk in image {
        writer.write(&chunk)?;
    }
    writer.finish()
}

/// An open snapshot file, which was checked completely.
pub struct Snapshot<D: Disk> {
    disk: D,
    name: String,
    file: D::File,
    image_start: u64,
    image_bytes: u64,
}

impl<D: Disk> Snapshot<D> {
    /// Open the file of a snapshot, and check all of it.
    ///
    /// # Errors
    ///
    /// - [`StorageError::Damaged`]: it is missing or damaged, or has other metadata.
    /// - [`StorageError::Newer`]: it was written by a later version.
    /// - [`StorageError::Io`]: the disk failed.
    pub fn open(disk: &D, meta: &SnapshotMeta) -> Result<Self, StorageError> {
        let name = snapshot_name(meta.index, meta.term);
        let file = match disk.open(&name) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let what = "the snapshot that the log begins with is missing";
                return Err(StorageError::damaged(disk, &name, 0, what));
            }
            Err(error) => return Err(StorageError::io(disk, "open", &name)(error)),
        };
        let (image_start, image_bytes) = check(disk, &name, &file, meta)?;
        Ok(Self {
            disk: disk.clone(),
            name,
            file,
            image_start,
            image_bytes,
        })
    }

    /// The length of the image in bytes.
    pub fn image_bytes(&self) -> u64 {
        self.image_bytes
    }

    /// At most `length` bytes of the image from `offset`; empty at its end. This works even if the file was
    /// removed meanwhile.
    ///
    /// # Errors
    ///
    /// [`StorageError::Io`]: the disk failed.
    pub fn chunk(&self, offset: u64, length: usize) -> Result<Vec<u8>, StorageError> {
        let left = self.image_bytes.saturating_sub(offset);
        let length = length.min(usize::try_from(left).unwrap_or(usize::MAX));
        read_up_to(&self.file, self.image_start + offset, length)
            .map_err(StorageError::io(&self.disk, "read", &self.name))
    }

    /// The whole image.
    ///
    /// # Errors
    ///
    /// [`StorageError::Io`]: the disk failed.
    pub fn image(&self) -> Result<Vec<u8>, StorageError> {
        self.chunk(0, usize::MAX)
    }
}

/// Remove the snapshots that are no longer needed once the log begins with `meta`: all older ones except the
/// latest of them. Newer ones may be in the process of being written, and are kept.
///
/// # Errors
///
/// [`StorageError::Io`]: the disk failed. The files only take space.
pub fn remove_old_snapshots<D: Disk>(disk: &D, meta: &SnapshotMeta) -> Result<(), StorageError> {
    let named = (meta.index, meta.term);
    let mut older: Vec<_> = snapshots(disk)?
        .into_iter()
        .filter(|found| *found < named)
        .collect();
    older.pop();
    remove(disk, older.into_iter().map(|(i, t)| snapshot_name(i, t)))
}

/// Remove the snapshots that are newer than the one of the log, and temporary files.
pub(super) fn remove_unnamed<D: Disk>(
    disk: &D,
    named: Option<&SnapshotMeta>,
) -> Result<(), StorageError> {
    let newer = snapshots(disk)?
        .into_iter()
        .filter(|found| named.is_none_or(|meta| *found > (meta.index, meta.term)))
        .map(|(index, term)| snapshot_name(index, term));
    let unfinished = files(disk)?
        .into_iter()
        .filter(|file| file.ends_with(".tmp"))
        .map(|file| format!("{FOLDER}/{file}"));
    remove(disk, newer.chain(unfinished))
}

/// The indices and terms of all snapshot files, oldest first.
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

/// Check a whole file. Returns the offset and the length of its image.
fn check<D: Disk>(
    disk: &D,
    name: &str,
    file: &D::File,
    meta: &SnapshotMeta,
) -> Result<(u64, u64), StorageError> {
    let damaged = |at: u64, what: &str| StorageError::damaged(disk, name, at, what);
    let io = || StorageError::io(disk, "read", name);
    let length = file.length().map_err(io())?;
    let head = read_up_to(file, 0, FIXED_BYTES + META_BYTES_MAX).map_err(io())?;
    let mut fields = Fields::new(&head);
    if fields.bytes(MAGIC.len()) != Some(&MAGIC) {
        return Err(damaged(0, "not a snapshot file"));
    }
    let version = fields.u32().ok_or(damaged(8, "the file is truncated"))?;
    if version > SNAPSHOT_VERSION {
        return Err(StorageError::Newer {
            path: disk.path_of(name),
            version,
            known: SNAPSHOT_VERSION,
        });
    }
    let meta_bytes = fields.u32().ok_or(damaged(12, "the file is truncated"))? as usize;
    let encoded = fields
        .bytes(meta_bytes)
        .ok_or(damaged(12, "the file is truncated"))?;
    let image_start = (FIXED_BYTES + meta_bytes) as u64;
    let image_bytes = length
        .checked_sub(image_start + TRAILER_BYTES)
        .ok_or(damaged(length, "the file is truncated"))?;

    let trailer_start = length - TRAILER_BYTES;
    let trailer = read_up_to(file, trailer_start, 12).map_err(io())?;
    let mut fields = Fields::new(&trailer);
    if fields.u64() != Some(image_bytes) {
        return Err(damaged(trailer_start, "wrong length"));
    }
    let sum = checksum(file, length - 4).map_err(io())?;
    if fields.u32() != Some(sum) {
        return Err(damaged(length - 4, "checksum mismatch"));
    }
    let mut expected = Vec::new();
    put_snapshot_meta(&mut expected, meta);
    if version != SNAPSHOT_VERSION || encoded != expected {
        return Err(damaged(16, "its metadata differs from that in the log"));
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
