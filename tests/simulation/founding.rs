//! What all members begin with, and how a member's images get on its disk and back.

use bytes::Bytes;
use oxetcd::cluster::Member;
use oxetcd::store::{ClusterTime, Command, HistoryLimits, Stamped, Store, image};
use oxetcd::wal::{
    Batch, Configuration, HardState, LogOptions, Snapshot, SnapshotMeta, SnapshotWriter, Wal,
};

use crate::disk::SimDisk;
use crate::machine::Machine;

/// The length of a segment of the log, in bytes: short, so that there are many.
const SEGMENT_BYTES: u64 = 4 << 10;

/// The entry the first image stands for.
pub const FIRST: u64 = 1;

/// The tree all members begin with: empty, but for themselves.
pub fn first_store(members: usize, limits: HistoryLimits) -> Store {
    let mut store = Store::new(limits);
    for number in 0..members {
        let command = Command::PutMember(member(number, &format!("m{number}")));
        let stamped = Stamped {
            stamp: ClusterTime::ZERO,
            id: None,
            command,
        };
        store.apply(&stamped, &mut Vec::new()).expect("a member");
    }
    store
}

/// The member with this number, at a machine of this name.
pub fn member(number: usize, name: &str) -> Member {
    Member {
        id: Machine::id(number),
        name: name.to_owned(),
        client_url: format!("http://{name}:4001"),
        peer_url: format!("http://{name}:7001"),
    }
}

/// The disk of a machine that is to join: an empty log.
pub fn found_empty(disk: &SimDisk) {
    Wal::create(disk, log_options(0)).expect("a new log");
}

/// Put it on a disk, as the snapshot a log begins with.
pub fn found(disk: &SimDisk, members: usize, store: &Store) {
    let voters = (0..members)
        .map(|number| Machine::id(number).get())
        .collect();
    let configuration = Configuration {
        voters,
        ..Configuration::default()
    };
    let meta = SnapshotMeta {
        index: FIRST,
        term: 1,
        configuration,
    };
    Wal::create(disk, log_options(0)).expect("a new log");
    let (mut wal, _) = Wal::open(disk.clone(), log_options(0)).expect("a new log");
    save(disk, &meta, &mut image::encode(store)).expect("a snapshot");
    let hard_state = Some(HardState {
        term: 1,
        vote: 0,
        commit: FIRST,
    });
    let batch = Batch {
        hard_state,
        reset: Some(meta),
        ..Batch::default()
    };
    wal.write(&batch, true).expect("a healthy disk");
}

/// How the log of this life is written.
pub fn log_options(life: u64) -> LogOptions {
    LogOptions {
        segment_bytes: SEGMENT_BYTES,
        seed: life,
    }
}

/// Write a snapshot; how long its image is.
///
/// # Errors
///
/// The disk's.
pub fn save(
    disk: &SimDisk,
    meta: &SnapshotMeta,
    chunks: &mut dyn Iterator<Item = Bytes>,
) -> Result<u64, String> {
    let mut writer =
        SnapshotWriter::create(disk, meta.clone()).map_err(|error| error.to_string())?;
    for chunk in chunks {
        writer.write(&chunk).map_err(|error| error.to_string())?;
    }
    writer.finish().map_err(|error| error.to_string())
}

/// Read a snapshot's image.
///
/// # Errors
///
/// It is gone, or damaged.
pub fn read_snapshot(disk: &SimDisk, meta: &SnapshotMeta) -> Result<Bytes, String> {
    let snapshot = Snapshot::open(disk, meta).map_err(|error| error.to_string())?;
    snapshot
        .image()
        .map(Bytes::from)
        .map_err(|error| error.to_string())
}
