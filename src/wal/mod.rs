//! The write-ahead log, snapshot files and the data directory. They contain bytes whose meaning is known
//! only to `consensus` and `store`.
//!
//! In reading order: [`disk`] is the interface of a disk; [`entry`] and [`batch`] are what is written,
//! `record` and `segment` its format; `state` checks which batches are valid; [`log`] writes and [`recover`]
//! reads; [`snapshot`] is the image files. [`identity`] is the member file, `standby_file` the record of a
//! standby, `aside` a member that is set aside; `lock`, `access` and `foreign` protect the directory, and
//! [`data_dir`] is the directory around all of it. Everything is synchronous.

mod access;
mod aside;
pub mod batch;
mod codec;
pub mod data_dir;
pub mod disk;
pub mod entry;
pub mod error;
mod foreign;
pub mod identity;
mod lock;
pub mod log;
mod owner;
mod preallocated;
mod real_disk;
mod record;
pub mod recover;
mod segment;
pub mod snapshot;
mod standby_file;
mod state;

#[cfg(test)]
#[path = "../../tests/simulation/disk.rs"]
pub mod simulated;
#[cfg(test)]
mod tests;

pub use batch::{Batch, ENTRY_BYTES_MAX};
pub use data_dir::{DataDir, Destroyed, random_number};
pub use disk::{Disk, DiskFile};
pub use entry::{Configuration, Entry, EntryKind, HardState, SnapshotMeta};
pub use error::StorageError;
pub use identity::{Founding, Identity, MEMBER_VERSION};
pub use log::{LogOptions, SEGMENT_BYTES, Wal};
pub use preallocated::PREALLOCATED_MAX;
pub use real_disk::{RealDisk, RealFile};
pub use recover::{Dropped, Recovered};
pub use segment::LOG_VERSION;
pub use snapshot::{
    SNAPSHOT_VERSION, Snapshot, SnapshotWriter, remove_old_snapshots, write_snapshot,
};
