//! What a read found, and how it looks.

use imbl::OrdMap;

use super::node::Node;
use super::tree::children;
use super::{ClusterTime, NodeView, Path};

/// What is at a key: a cheap handle, taken under the lock and looked at outside it.
pub struct Found {
    path: Path,
    node: Node,
    /// For a directory: the tree as it was then.
    tree: Option<OrdMap<Path, Node>>,
    /// Whether a listing names what is hidden.
    hidden: bool,
}

/// A node with what is below it, as a read answers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The node.
    pub node: NodeView,
    /// What is in it, by name, without what is hidden unless that was asked for; empty for a file, and for directories below the
    /// one asked for unless the listing is recursive.
    pub nodes: Vec<Listing>,
}

impl Found {
    /// What is at `path`: `node`, which is in `tree`.
    pub(super) fn new(path: &Path, node: &Node, tree: &OrdMap<Path, Node>) -> Self {
        Self {
            path: path.clone(),
            node: node.clone(),
            tree: node.is_directory().then(|| tree.clone()),
            hidden: false,
        }
    }

    /// The same; its listing names what is hidden too, if `hidden`.
    #[must_use]
    pub fn with_hidden(self, hidden: bool) -> Self {
        Self { hidden, ..self }
    }

    /// The node with what is in it, `recursive` to the leaves, as of the time `now`.
    ///
    /// It recurses once per level of the tree, of which there are at most
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
