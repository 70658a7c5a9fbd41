//! Sends snapshots from this member's disk, and stores received ones on it.

use std::io::{self, Read};
use std::sync::Arc;

use super::{OpenSnapshot, ReceiveSnapshot, SnapshotBody};
use crate::wal::{Disk, Snapshot, SnapshotWriter, StorageError};

/// How many bytes are read or written at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// Opens snapshots on `disk`. A damaged file is an error, so it is not sent.
pub fn open_from<D: Disk + Sync>(disk: D) -> OpenSnapshot {
    Arc::new(move |meta| {
        let snapshot = Snapshot::open(&disk, meta).map_err(other)?;
        Ok(SnapshotBody {
            length: snapshot.image_bytes(),
            bytes: Box::new(Image {
                snapshot,
                offset: 0,
            }),
        })
    })
}

/// Stores snapshots on `disk`, durably; only a complete one gets its final name.
pub fn receive_to<D: Disk + Sync>(disk: D) -> ReceiveSnapshot {
    Arc::new(move |meta, bytes| {
        let mut writer = SnapshotWriter::create(&disk, meta.clone()).map_err(other)?;
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let length = match bytes.read(&mut chunk) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            match chunk.get(..length) {
                Some(read) if !read.is_empty() => writer.write(read).map_err(other)?,
                Some(_) | None => break,
            }
        }
        writer.finish().map_err(other)?;
        Ok(())
    })
}

/// The image in a snapshot file, read sequentially.
struct Image<D: Disk> {
    snapshot: Snapshot<D>,
    offset: u64,
}

impl<D: Disk> Read for Image<D> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let chunk = self.snapshot.chunk(self.offset, buffer.len());
        let chunk = chunk.map_err(other)?;
        self.offset += chunk.len() as u64;
        chunk.as_slice().read(buffer)
    }
}

fn other(error: StorageError) -> io::Error {
    io::Error::other(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wal::{RealDisk, SnapshotMeta};

    fn meta(index: u64) -> SnapshotMeta {
        SnapshotMeta {
            index,
            term: 1,
            ..SnapshotMeta::default()
        }
    }

    #[test]
    fn from_one_disk_to_another() {
        let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
        let [from, to] = folders.each_ref().map(|folder| {
            let disk = RealDisk::new(folder.path());
            disk.make_folder("snap").expect("made");
            disk
        });
        let image: Vec<u8> = (0..700_000_u32).flat_map(u32::to_le_bytes).collect();
        let store = |disk: &RealDisk, mut bytes: &[u8]| {
            receive_to(disk.clone())(&meta(5), &mut bytes).expect("stored");
        };
        store(&from, &image);
        let mut sent = open_from(from.clone())(&meta(5)).expect("opened");
        assert_eq!(sent.length, image.len() as u64);
        receive_to(to.clone())(&meta(5), &mut sent.bytes).expect("stored");
        let stored = Snapshot::open(&to, &meta(5)).expect("whole");
        assert_eq!(stored.image().expect("read"), image);
        assert!(open_from(from)(&meta(6)).is_err());
    }

    #[test]
    fn a_truncated_transfer_leaves_no_file() {
        struct Cut;
        impl Read for Cut {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::UnexpectedEof.into())
            }
        }
        let folder = tempfile::tempdir().expect("a folder");
        let disk = RealDisk::new(folder.path());
        disk.make_folder("snap").expect("made");
        let half = vec![7; 1_000_000];
        let mut bytes = half.as_slice().chain(Cut);
        assert!(receive_to(disk.clone())(&meta(5), &mut bytes).is_err());
        assert_eq!(disk.list("snap").expect("listed"), Vec::<String>::new());
    }
}
