//! The initial state of all members, and reading and writing of snapshots.

use bytes::Bytes;
use oxetcd::cluster::Member;
use oxetcd::store::{ClusterTime, Command, HistoryLimits, Stamped, Store, image};
use oxetcd::wal::{
    Batch, Configuration, HardState, LogOptions, Snapshot, SnapshotMeta, SnapshotWriter, Wal,
};

use crate::disk::SimDisk;
use crate::host::Host;

/// Length of a segment of the log, in bytes: short, so that there are many.
const SEGMENT_BYTES: u64 = 4 << 10;

/// Index of the entry of the first snapshot.
pub const FIRST_INDEX: u64 = 1;

/// The initial tree of all members, which has only the members.
pub fn initial_store(members: usize, limits: HistoryLimits) -> Store {
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

/// The member with this number on the host with this name.
pub fn member(number: usize, name: &str) -> Member {
    Member {
        id: Host::id(number),
        name: name.to_owned(),
        client_url: format!("http://{name}:4001"),
        peer_url: format!("http://{name}:7001"),
    }
}

/// Prepare the disk of a host that is to join: an empty log.
pub fn create_empty_disk(disk: &SimDisk) {
    Wal::create(disk, log_options(0)).expect("a new log");
}

/// Prepare the disk of an initial member: a log that starts with a snapshot of the store.
pub fn create_member_disk(disk: &SimDisk, members: usize, store: &Store) {
    let voters = (0..members).map(|number| Host::id(number).get()).collect();
    let configuration = Configuration {
        voters,
        ..Configuration::default()
    };
    let meta = SnapshotMeta {
        index: FIRST_INDEX,
        term: 1,
        configuration,
    };
    Wal::create(disk, log_options(0)).expect("a new log");
    let (mut wal, _) = Wal::open(disk.clone(), log_options(0)).expect("a new log");
    save(disk, &meta, &mut image::encode(store)).expect("a snapshot");
    let hard_state = Some(HardState {
        term: 1,
        vote: 0,
        commit: FIRST_INDEX,
    });
    let batch = Batch {
        hard_state,
        reset: Some(meta),
        ..Batch::default()
    };
    wal.write(&batch, true).expect("a healthy disk");
}

/// Options of the log of an incarnation.
pub fn log_options(incarnation: u64) -> LogOptions {
    LogOptions {
        segment_bytes: SEGMENT_BYTES,
        seed: incarnation,
    }
}

/// Write a snapshot. Returns the length of its image.
///
/// # Errors
///
/// If the disk fails.
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

/// Read the image of a snapshot.
///
/// # Errors
///
/// If the file is missing or damaged.
pub fn read_snapshot(disk: &SimDisk, meta: &SnapshotMeta) -> Result<Bytes, String> {
    let snapshot = Snapshot::open(disk, meta).map_err(|error| error.to_string())?;
    snapshot
        .image()
        .map(Bytes::from)
        .map_err(|error| error.to_string())
}
