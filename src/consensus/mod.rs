//! Raft and the one thread that drives it.

pub mod handle;
pub mod message;
pub mod view;

pub use handle::{Handle, Live, Next, Position, Refused, Watching, Written};
pub use view::{Role, View};
