//! The tree: one flat ordered map, so that a clone is cheap independent of its size.

use std::time::Duration;

use imbl::{OrdMap, OrdSet};

use super::node::Node;
use super::{ClusterTime, Code, Error, Path};

/// All nodes by path. The root always exists, and the parent of every node exists and is a directory.
///
/// A clone shares its structure with the original. A later change copies the shared parts that it affects, and
/// modifies other parts in place.
#[derive(Clone)]
pub(super) struct Tree {
    nodes: OrdMap<Path, Node>,
    /// The nodes with a deadline, earliest first; derived from `nodes`.
    deadlines: OrdSet<(ClusterTime, Path)>,
}

impl Tree {
    /// A tree with only the root.
    pub(super) fn new() -> Self {
        Self {
            nodes: OrdMap::unit(Path::root(), Node::directory(0)),
            deadlines: OrdSet::new(),
        }
    }

    /// All nodes, parents before children.
    pub(super) fn nodes(&self) -> &OrdMap<Path, Node> {
        &self.nodes
    }

    /// The node at `path`, if there is one.
    pub(super) fn get(&self, path: &Path) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// The node at `path`; `index` is the store's, for the error.
    ///
    /// # Errors
    ///
    /// - [`Code::KeyNotFound`]: the key or one of its parents is missing; names the first missing one.
    /// - [`Code::NotDirectory`]: one of its parents is a file; names that file.
    pub(super) fn find(&self, path: &Path, index: u64) -> Result<&Node, Error> {
        match self.nodes.get(path) {
            Some(node) => Ok(node),
            None => Err(self.find_error(path, index)),
        }
    }

    /// The direct children of the directory `path`, by name.
    pub(super) fn children(&self, path: &Path) -> impl Iterator<Item = (&Path, &Node)> {
        children(&self.nodes, path)
    }

    /// Put a node at `path`, replacing an existing one. Its parent must exist.
    pub(super) fn put(&mut self, path: Path, node: Node) {
        if let Some(deadline) = node.deadline {
            self.deadlines.insert((deadline, path.clone()));
        }
        let deadline = node.deadline;
        if let Some(before) = self.nodes.insert(path.clone(), node) {
            self.remove_deadline(
                before.deadline.filter(|_| before.deadline != deadline),
                path,
            );
        }
    }

    /// Create the missing directories above `path`, at index `index` + 1.
    ///
    /// # Errors
    ///
    /// [`Code::NotDirectory`]: one of them is a file; names that file, at `index`. Nothing was created.
    pub(super) fn create_parents(&mut self, path: &Path, index: u64) -> Result<(), Error> {
        let Some(parent) = path.parent() else {
            return Ok(());
        };
        if self.get(&parent).is_some_and(Node::is_directory) {
            return Ok(());
        }
        for directory in parent.ancestors_and_self() {
            match self.nodes.get(&directory) {
                Some(node) if node.is_directory() => {}
                Some(_) => return Err(Error::at(Code::NotDirectory, &directory, index)),
                None => {
                    self.nodes.insert(directory, Node::directory(index + 1));
                }
            }
        }
        Ok(())
    }

    /// Remove the node at `path` with all nodes below it. Returns the keys that were below, sorted.
    pub(super) fn remove(&mut self, path: &Path) -> Box<[Path]> {
        let below = self.below(path);
        for removed in below.iter().chain([path]) {
            if let Some(node) = self.nodes.remove(removed) {
                self.remove_deadline(node.deadline, removed.clone());
            }
        }
        below
    }

    /// The earliest deadline and its key.
    pub(super) fn next_deadline(&self) -> Option<&(ClusterTime, Path)> {
        self.deadlines.get_min()
    }

    /// The earliest deadline after `time`.
    pub(super) fn next_deadline_after(&self, time: ClusterTime) -> Option<ClusterTime> {
        // Nothing sorts before the root: a deadline at the next instant comes after this bound.
        let least = (time.plus(Duration::from_nanos(1)), Path::root());
        let (deadline, _) = self.deadlines.range(least..).next()?;
        Some(*deadline)
    }

    /// All keys below `path`, sorted.
    fn below(&self, path: &Path) -> Box<[Path]> {
        let mut below = Vec::new();
        if !self.get(path).is_some_and(Node::is_directory) {
            return below.into();
        }
        for levels in 1.. {
            let found = below.len();
            below.extend(level_below(&self.nodes, path, levels).map(|(path, _)| path.clone()));
            if below.len() == found {
                break;
            }
        }
        below.into()
    }

    fn remove_deadline(&mut self, deadline: Option<ClusterTime>, path: Path) {
        if let Some(deadline) = deadline {
            self.deadlines.remove(&(deadline, path));
        }
    }

    fn find_error(&self, path: &Path, index: u64) -> Error {
        for step in path.ancestors_and_self() {
            match self.nodes.get(&step) {
                Some(node) if node.is_directory() => {}
                Some(_) => return Error::at(Code::NotDirectory, &step, index),
                None => return Error::at(Code::KeyNotFound, &step, index),
            }
        }
        Error::at(Code::KeyNotFound, path, index)
    }
}

/// The direct children of the directory `path`, by name.
pub(super) fn children<'a>(
    nodes: &'a OrdMap<Path, Node>,
    path: &Path,
) -> impl Iterator<Item = (&'a Path, &'a Node)> {
    level_below(nodes, path, 1)
}

/// The keys exactly `levels` levels below `path`, sorted.
fn level_below<'a>(
    nodes: &'a OrdMap<Path, Node>,
    path: &Path,
    levels: u16,
) -> impl Iterator<Item = (&'a Path, &'a Node)> {
    let bound = path.lower_bound_below(levels);
    nodes.range(bound.clone()..).take_while(move |(path, _)| {
        path.depth() == bound.depth() && path.text().starts_with(bound.text())
    })
}
