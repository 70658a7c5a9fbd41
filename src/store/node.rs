//! A node of the tree: a file or a directory.

use bytes::Bytes;

use super::{ClusterTime, Content, NodeView, Path};

/// A file or a directory. It is small, because it is copied when a shared part of the tree changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    /// A file's value; none for a directory.
    pub(super) value: Option<Bytes>,
    /// The index of its creation.
    pub(super) created: u64,
    /// The index of its last change; that of a directory does not change.
    pub(super) modified: u64,
    /// The time at which it expires.
    pub(super) deadline: Option<ClusterTime>,
}

impl Node {
    /// A node that is created at index `index`.
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

    /// A directory that is created at index `index`, without a deadline.
    pub(super) fn directory(index: u64) -> Self {
        Self::new(&Content::Directory, index, None)
    }

    /// Whether it is a directory.
    pub(super) fn is_directory(&self) -> bool {
        self.value.is_none()
    }

    /// The node as shown in answers and events at the time `now`.
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

    /// The node as shown in the event that removed it at index `index`.
    pub(super) fn view_removed(&self, path: &Path, index: u64) -> NodeView {
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

/// Whole seconds from `now` to `deadline`, rounded up: an existing key is never shown with 0.
fn seconds_left(deadline: ClusterTime, now: ClusterTime) -> u64 {
    let left = deadline.since(now);
    left.as_secs() + u64::from(left.subsec_nanos() > 0)
}
