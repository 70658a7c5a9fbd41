//! Events: the answers to commands, and what watchers receive.

use bytes::Bytes;

use super::{ClusterTime, Path};

/// The action of an event.
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
    /// Replaced because the condition matched.
    CompareAndSwap,
    /// Removed because the condition matched.
    CompareAndDelete,
    /// Removed because its time to live ended.
    Expire,
}

/// A node as shown in an event, without the nodes below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeView {
    /// Its key.
    pub path: Path,
    /// Its value; none for a directory, and for a removed node.
    pub value: Option<Bytes>,
    /// Whether it is, or was, a directory.
    pub directory: bool,
    /// The time at which it expires, on the cluster's clock.
    pub deadline: Option<ClusterTime>,
    /// The seconds left at the time of the event, rounded up; 0 is not shown.
    pub ttl: u64,
    /// The index of its last change.
    pub modified: u64,
    /// The index of its creation.
    pub created: u64,
}

/// A change of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The action.
    pub action: Action,
    /// The node afterwards; its `modified` is the event's index.
    pub node: NodeView,
    /// The node before, if there was one.
    pub prev_node: Option<NodeView>,
    /// The keys below `node` that were removed with it, sorted; watchers of those receive the event too.
    pub removed: Box<[Path]>,
}

impl Event {
    /// The store's index of this change.
    pub fn index(&self) -> u64 {
        self.node.modified
    }

    /// Whether it created a node: answered with 201 instead of 200.
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
