//! Raft, and the one thread that runs it.
//!
//! In reading order: `input` is what the driver receives and `answer` how requests are answered; `handle`
//! is the way in for requests, `applied_state` what every task may read. `driver` is the thread, `core`
//! what it runs, `wal_thread` the owner of the log on disk.
//!
//! `core` is built from `pending_writes`, `pending_reads`, `subscriptions` and `member_changes` (the
//! requests that wait), `change` (what a membership change requires), `apply` (committed entries into the
//! store), `pending_ready` (what waits for the disk), `snapshot_schedule` (when a snapshot is due),
//! `hashes`, `clock` and `raft_log`. `convert` keeps the raft crate's types out of all other rooms.

mod answer;
mod applied_state;
mod apply;
pub mod change;
pub mod clock;
mod convert;
pub mod core;
pub mod driver;
mod error;
pub mod handle;
pub mod hashes;
pub mod input;
mod member_changes;
pub mod message;
pub mod outbox;
mod pending_reads;
mod pending_ready;
mod pending_writes;
mod raft_log;
mod raft_logger;
pub mod settings;
pub mod snapshot_schedule;
pub mod start;
mod subscriptions;
mod wal_thread;

pub use answer::{Position, Refused, Written};
pub use applied_state::{AppliedState, RaftStatus, Role};
pub use change::Change;
pub use driver::End;
pub use error::{DriverError, StartError};
pub use handle::Handle;
pub use input::{Input, Inputs, LiveWatch, StartedWatch, WatchRest};
pub use member_changes::command_of;
pub use settings::Settings;
pub use start::{Running, Start};
pub use wal_thread::{commit, gather};
