//! The tree of keys: pure, deterministic, and the same on every member.

pub mod command;
pub mod error;
pub mod event;
pub mod path;
pub mod time;

pub use command::{Command, CommandId, Content, Stamped};
pub use error::{Code, Error};
pub use event::{Action, Event, NodeView};
pub use path::Path;
pub use time::ClusterTime;
pub mod interest {
    //! placeholder
}
/// What a watcher wants to hear about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interest {
    /// The key.
    pub path: Path,
    /// Whether what is below it counts too.
    pub recursive: bool,
}
/// The tree.
#[derive(Clone)]
pub struct Store {}
impl Store {
    /// The index.
    pub fn index(&self) -> u64 {
        0
    }
}
