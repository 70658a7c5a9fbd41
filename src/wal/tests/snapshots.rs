//! Snapshot files are complete or absent.

use super::model::{meta_of, write_snapshot};
use crate::wal::simulated::{Fault, Operation, SimDisk};
use crate::wal::snapshot::remove_old_snapshots;
use crate::wal::{Disk, Snapshot, SnapshotMeta, SnapshotWriter, StorageError};

fn disk() -> SimDisk {
    let disk = SimDisk::new(3);
    disk.make_folder("snap").expect("a good disk");
    disk
}

fn meta(index: u64) -> SnapshotMeta {
    meta_of(index, 2)
}

#[test]
fn an_image_reads_as_written_at_once_and_in_chunks() {
    let disk = disk();
    let image: Vec<u8> = (0..700_000_u32).flat_map(u32::to_le_bytes).collect();
    let mut writer = SnapshotWriter::create(&disk, meta(5)).expect("a good disk");
    for chunk in image.chunks(9_999) {
        writer.write(chunk).expect("a good disk");
    }
    assert_eq!(writer.finish().expect("a good disk"), image.len() as u64);
    let snapshot = Snapshot::open(&disk.crash(), &meta(5)).expect("whole");
    assert_eq!(snapshot.image_bytes(), image.len() as u64);
    assert!(snapshot.image().expect("readable") == image);
    let mut chunks = Vec::new();
    loop {
        let chunk = snapshot
            .chunk(chunks.len() as u64, 65_536)
            .expect("readable");
        if chunk.is_empty() {
            break;
        }
        chunks.extend(chunk);
    }
    assert!(chunks == image);
}

#[test]
fn a_crash_leaves_a_complete_file_or_none() {
    for after in 0..8 {
        for seed in 0..20 {
            let disk = SimDisk::new(seed);
            disk.make_folder("snap").expect("a good disk");
            disk.plan(Operation::Change, after, Fault::Crash);
            let finished = write_snapshot(&disk, &meta(5)).is_ok();
            let disk = disk.crash();
            let there = disk.names().iter().any(|name| name.ends_with(".snap"));
            if there || finished {
                Snapshot::open(&disk, &meta(5)).expect("whole");
            }
        }
    }
}

#[test]
fn an_unfinished_snapshot_leaves_no_file() {
    let disk = disk();
    let writer = SnapshotWriter::create(&disk, meta(5)).expect("a good disk");
    let other = SnapshotWriter::create(&disk, meta(5)).expect("two at once");
    drop(writer);
    drop(other);
    assert_eq!(disk.names(), Vec::<String>::new());

    disk.plan(Operation::Sync, 0, Fault::Io);
    assert!(write_snapshot(&disk, &meta(5)).is_err());
    assert_eq!(disk.names(), Vec::<String>::new());
}

#[test]
fn no_flipped_bit_passes() {
    let disk = disk();
    write_snapshot(&disk, &meta(5)).expect("a good disk");
    let name = disk.names().remove(0);
    let good = disk.bytes(&name).expect("there");
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        disk.replace(&name, bad);
        assert!(Snapshot::open(&disk, &meta(5)).is_err(), "bit {bit}");
    }
    for length in 0..good.len() {
        disk.replace(&name, good[..length].to_vec());
        assert!(Snapshot::open(&disk, &meta(5)).is_err(), "length {length}");
    }
}

#[test]
fn the_order_of_members_does_not_matter() {
    let disk = disk();
    let mut other = meta(9);
    other.configuration.voters.reverse();
    write_snapshot(&disk, &other).expect("a good disk");
    Snapshot::open(&disk, &meta(9)).expect("the same");
}

#[test]
fn the_current_snapshot_and_the_one_before_are_kept() {
    let disk = disk();
    for index in [1, 2, 3, 4, 9] {
        write_snapshot(&disk, &meta(index)).expect("a good disk");
    }
    remove_old_snapshots(&disk, &meta(4)).expect("a good disk");
    for (index, there) in [(1, false), (2, false), (3, true), (4, true), (9, true)] {
        let open = Snapshot::open(&disk, &meta(index));
        assert_eq!(open.is_ok(), there, "{index}");
        if let Err(error) = open {
            assert!(matches!(error, StorageError::Damaged { .. }));
        }
    }
}
