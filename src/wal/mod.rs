//! The log on disk, snapshots and the data directory. Carries bytes; knows nothing of what they mean.

pub mod entry;

pub use entry::{Configuration, Entry, EntryKind, HardState, SnapshotMark};
