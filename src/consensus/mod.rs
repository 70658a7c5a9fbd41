//! Raft and the one thread that drives it.
//!
//! `handle` is the front door and `view` what anyone may read; `driver` is the thread, `core` what it
//! runs; `wal_thread` owns the log on disk. `core` is put together from `writes`, `reads`, `watches` and
//! `membership` (who waits for what), `change` (what a change of the membership comes to), `apply` (committed entries into the store), `unsynced` (what waits
//! for the disk), `snapshots` (when one is due), `clock` and `log`. `convert` keeps the raft crate out of
//! everything else.

mod apply;
pub mod change;
pub mod clock;
mod convert;
pub mod core;
pub mod driver;
pub mod handle;
mod log;
mod member_changes;
pub mod message;
pub mod outbox;
mod pending_reads;
mod pending_ready;
mod pending_writes;
mod raft_log;
pub mod settings;
pub mod snapshots;
pub mod start;
mod subscriptions;
pub mod view;
mod wal_thread;

pub use change::Change;
pub use driver::{End, Input, Inputs};
pub use handle::{Handle, Live, Next, Position, Refused, Watching, Written};
pub use member_changes::command_of;
pub use settings::Settings;
pub use start::{Running, Start};
pub use view::{AppliedState, RaftStatus, Role};
pub use wal_thread::{commit, gather};
