//! What happened: the answer to a command, and what watchers hear.

use bytes::Bytes;

use super::{ClusterTime, Path};

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A read.
    Get,
    /// Created or replaced.
    Set,
    /// Created.
    Create,
    /// Changed.
    Update,
    /// Removed.
    Delete,
    /// Replaced because it was as expected.
    CompareAndSwap,
    /// Removed because it was as expected.
    CompareAndDelete,
    /// Removed because its time had come.
    Expire,
}

/// One node as an event shows it: without what is below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeView {
    /// Its key.
    pub path: Path,
    /// Its value; none for a directory, and for what was just removed.
    pub value: Option<Bytes>,
    /// Whether it is, or was, a directory.
    pub directory: bool,
    /// When it will be dropped, on the cluster's clock.
    pub deadline: Option<ClusterTime>,
    /// The seconds it had left when the event happened, rounded up; 0 is not shown.
    pub ttl: u64,
    /// The index of its last change.
    pub modified: u64,
    /// The index of its creation.
    pub created: u64,
}

/// A change of the tree. Immutable once made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What was done.
    pub action: Action,
    /// The node afterwards; its `modified` is the event's index.
    pub node: NodeView,
    /// The node before, if there was one.
    pub prev_node: Option<NodeView>,
    /// The keys below `node` that went with it, sorted; watchers of those hear the event too.
    pub removed: Box<[Path]>,
}

impl Event {
    /// The store's index of this change.
    pub fn index(&self) -> u64 {
        self.node.modified
    }

    /// Whether it made something that was not there: answered 201 instead of 200.
    pub fn created(&self) -> bool {
        match self.action {
            Action::Create => true,
            Action::Set => self.prev_node.is_none(),
            Action::Get
            | Action::Update
            | Action::Delete
            | Action::CompareAndSwap
            | Action::CompareAndDelete
            | Action::Expire => false,
        }
    }
}
