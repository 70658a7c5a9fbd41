//! The result of a read: a node, and the listing of a directory.

use imbl::OrdMap;

use super::node::Node;
use super::tree::children;
use super::{ClusterTime, NodeView, Path};

/// The node that a read found: a cheap handle, which is created under the lock and listed after it is released.
pub struct FoundNode {
    path: Path,
    node: Node,
    /// For a directory: the tree at that time.
    tree: Option<OrdMap<Path, Node>>,
    /// Whether a listing shows hidden keys.
    hidden: bool,
}

/// A node with the nodes below it, as the answer to a read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The node.
    pub node: NodeView,
    /// Its children by name, hidden ones only if requested; empty for a file, and for the directories below the
    /// requested one unless the listing is recursive.
    pub nodes: Vec<Listing>,
}

impl FoundNode {
    /// The `node` at `path` in `tree`.
    pub(super) fn new(path: &Path, node: &Node, tree: &OrdMap<Path, Node>) -> Self {
        Self {
            path: path.clone(),
            node: node.clone(),
            tree: node.is_directory().then(|| tree.clone()),
            hidden: false,
        }
    }

    /// The same node, with hidden keys in its listing if `hidden`.
    #[must_use]
    pub fn with_hidden(self, hidden: bool) -> Self {
        Self { hidden, ..self }
    }

    /// The node with its children, or with all nodes below it if `recursive`, at the time `now`.
    ///
    /// The depth of the recursion is that of the tree, at most
    /// [`PATH_LEVELS_MAX`](super::path::PATH_LEVELS_MAX).
    pub fn listing(self, recursive: bool, now: ClusterTime) -> Listing {
        let nodes = self
            .tree
            .map(|tree| list(&tree, &self.path, recursive, self.hidden, now))
            .unwrap_or_default();
        Listing {
            node: self.node.view(&self.path, now),
            nodes,
        }
    }
}

fn list(
    tree: &OrdMap<Path, Node>,
    directory: &Path,
    recursive: bool,
    hidden: bool,
    now: ClusterTime,
) -> Vec<Listing> {
    let seen = children(tree, directory).filter(|(path, _)| hidden || !path.is_hidden());
    seen.map(|(path, node)| Listing {
        node: node.view(path, now),
        nodes: if recursive && node.is_directory() {
            list(tree, path, recursive, hidden, now)
        } else {
            Vec::new()
        },
    })
    .collect()
}
