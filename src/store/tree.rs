//! The tree: one flat ordered map, so that a clone of it costs nothing however large it is.

use std::time::Duration;

use imbl::{OrdMap, OrdSet};

use super::node::Node;
use super::{ClusterTime, Code, Error, Path};

/// All nodes by path. The root is always there, every node's parent is there and a directory.
///
/// A clone shares its structure with the original; what one of them changes later it copies first,
/// and what nobody shares is changed in place.
#[derive(Clone)]
pub(super) struct Tree {
    nodes: OrdMap<Path, Node>,
    /// Who has a deadline, soonest first; follows from `nodes`.
    deadlines: OrdSet<(ClusterTime, Path)>,
}

impl Tree {
    /// A tree of nothing but its root.
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

    /// The node at `path`.
    ///
    /// # Errors
    ///
    /// [`Code::KeyNotFound`] with the first key on the way that is missing, [`Code::NotDirectory`] with
    /// the file that is in the way; both at `index`, the store's.
    pub(super) fn find(&self, path: &Path, index: u64) -> Result<&Node, Error> {
        match self.nodes.get(path) {
            Some(node) => Ok(node),
            None => Err(self.why_not(path, index)),
        }
    }

    /// The keys right in the directory `path`, by name.
    pub(super) fn children(&self, path: &Path) -> impl Iterator<Item = (&Path, &Node)> {
        children(&self.nodes, path)
    }

    /// Put a node at `path`, whatever was there; its parent must be there.
    pub(super) fn put(&mut self, path: Path, node: Node) {
        if let Some(deadline) = node.deadline {
            self.deadlines.insert((deadline, path.clone()));
        }
        let gained = node.deadline;
        if let Some(before) = self.nodes.insert(path.clone(), node) {
            self.forget_deadline(before.deadline.filter(|_| before.deadline != gained), path);
        }
    }

    /// Make the directories on the way to `path` that are not there, as of index `index` + 1.
    ///
    /// # Errors
    ///
    /// [`Code::NotDirectory`] with the file in the way, at `index`; then nothing was made.
    pub(super) fn make_way(&mut self, path: &Path, index: u64) -> Result<(), Error> {
        let Some(parent) = path.parent() else {
            return Ok(());
        };
        if self.get(&parent).is_some_and(Node::is_directory) {
            return Ok(());
        }
        for directory in parent.from_the_top() {
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

    /// Take the node at `path` away with all below it; what was below, sorted.
    pub(super) fn remove(&mut self, path: &Path) -> Box<[Path]> {
        let below = self.below(path);
        for gone in below.iter().chain([path]) {
            if let Some(node) = self.nodes.remove(gone) {
                self.forget_deadline(node.deadline, gone.clone());
            }
        }
        below
    }

    /// The soonest deadline and whose it is.
    pub(super) fn next_deadline(&self) -> Option<&(ClusterTime, Path)> {
        self.deadlines.get_min()
    }

    /// The soonest deadline after `time`.
    pub(super) fn next_deadline_after(&self, time: ClusterTime) -> Option<ClusterTime> {
        // Nothing sorts before the root: whatever is due at the next instant comes after this.
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

    fn forget_deadline(&mut self, deadline: Option<ClusterTime>, path: Path) {
        if let Some(deadline) = deadline {
            self.deadlines.remove(&(deadline, path));
        }
    }

    fn why_not(&self, path: &Path, index: u64) -> Error {
        for step in path.from_the_top() {
            match self.nodes.get(&step) {
                Some(node) if node.is_directory() => {}
                Some(_) => return Error::at(Code::NotDirectory, &step, index),
                None => return Error::at(Code::KeyNotFound, &step, index),
            }
        }
        Error::at(Code::KeyNotFound, path, index)
    }
}

/// The keys right in the directory `path`, by name.
pub(super) fn children<'a>(
    nodes: &'a OrdMap<Path, Node>,
    path: &Path,
) -> impl Iterator<Item = (&'a Path, &'a Node)> {
    level_below(nodes, path, 1)
}

/// The keys below `path` by exactly `levels` levels, sorted.
fn level_below<'a>(
    nodes: &'a OrdMap<Path, Node>,
    path: &Path,
    levels: u16,
) -> impl Iterator<Item = (&'a Path, &'a Node)> {
    let bound = path.before_those_below(levels);
    nodes.range(bound.clone()..).take_while(move |(path, _)| {
        path.depth() == bound.depth() && path.text().starts_with(bound.text())
    })
}
