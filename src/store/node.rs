//! What the tree holds at a key.

use bytes::Bytes;

use super::{ClusterTime, Content, NodeView, Path};

/// A file or a directory. Small, since it is copied when a shared part of the tree is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    /// A file's value; none for a directory.
    pub(super) value: Option<Bytes>,
    /// The index of its creation.
    pub(super) created: u64,
    /// The index of its last change; a directory's never moves.
    pub(super) modified: u64,
    /// When it is to be dropped.
    pub(super) deadline: Option<ClusterTime>,
}

impl Node {
    /// A node that index `index` makes.
    pub(super) fn new(content: &Content, index: u64, deadline: Option<ClusterTime>) -> Self {
        let value = match content {
            Content::Value(value) => Some(value.clone()),
            Content::Directory => None,
        };
        Self {
            value,
            created: index,
            modified: index,
            deadline,
        }
    }

    /// A directory that index `index` makes, to live for good.
    pub(super) fn directory(index: u64) -> Self {
        Self::new(&Content::Directory, index, None)
    }

    /// Whether it is a directory.
    pub(super) fn is_directory(&self) -> bool {
        self.value.is_none()
    }

    /// The node as answers and events show it at the time `now`.
    pub(super) fn view(&self, path: &Path, now: ClusterTime) -> NodeView {
        NodeView {
            path: path.clone(),
            value: self.value.clone(),
            directory: self.is_directory(),
            deadline: self.deadline,
            ttl: self
                .deadline
                .map_or(0, |deadline| seconds_left(deadline, now)),
            modified: self.modified,
            created: self.created,
        }
    }

    /// What an event shows of a node that index `index` took away.
    pub(super) fn view_gone(&self, path: &Path, index: u64) -> NodeView {
        NodeView {
            path: path.clone(),
            value: None,
            directory: self.is_directory(),
            deadline: None,
            ttl: 0,
            modified: index,
            created: self.created,
        }
    }
}

/// Whole seconds from `now` to `deadline`, rounded up: a key that lives is never shown with none.
fn seconds_left(deadline: ClusterTime, now: ClusterTime) -> u64 {
    let left = deadline.since(now);
    left.as_secs() + u64::from(left.subsec_nanos() > 0)
}
