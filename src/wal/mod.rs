//! The log on disk, snapshots and the data directory. Carries bytes; knows nothing of what they mean.
//!
//! In reading order: [`disk`] is what is asked of a disk, [`entry`] and [`batch`] what is written, `record`
//! and `segment` how it looks, `state` which batches make sense, [`log`] the writing, [`recover`] the
//! reading, [`snapshot`] the images, [`identity`] who the member is, `standby_file`
//! what a machine without a place remembers, `aside` a member that makes room for another, [`data_dir`] the directory around it all. Everything is synchronous.

mod aside;
pub mod batch;
mod codec;
pub mod data_dir;
pub mod disk;
pub mod entry;
pub mod error;
mod foreign;
pub mod identity;
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
pub use preallocated::SPARES_MAX;
pub use real_disk::{RealDisk, RealFile};
pub use recover::{Dropped, Recovered};
pub use segment::LOG_VERSION;
pub use snapshot::{
    SNAPSHOT_VERSION, Snapshot, SnapshotWriter, remove_old_snapshots, write_snapshot,
};
