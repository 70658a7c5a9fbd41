//! `DELETE`.

use super::super::counters::Counter;
use super::super::node::Node;
use super::super::{Action, Code, Error, Event, Path, Store};

impl Store {
    /// Remove a file, or a directory if that is allowed.
    pub(super) fn delete(
        &mut self,
        path: &Path,
        directory: bool,
        recursive: bool,
    ) -> Result<Event, Error> {
        if path.is_root() {
            // etcd 0.4 does not count these.
            return Err(self.error(Code::RootReadOnly, path));
        }
        let deletable = self.deletable(path, directory, recursive);
        self.counters
            .count_result(&deletable, Counter::DeleteSuccess, Counter::DeleteFail);
        deletable.map(|node| self.remove_node(Action::Delete, path, &node))
    }

    /// Remove `node`, which is at `path`, with all nodes below it.
    pub(super) fn remove_node(&mut self, action: Action, path: &Path, node: &Node) -> Event {
        self.index += 1;
        Event {
            action,
            node: node.view_removed(path, self.index),
            prev_node: Some(node.view(path, self.clock)),
            removed: self.tree.remove(path),
        }
    }

    fn deletable(&self, path: &Path, directory: bool, recursive: bool) -> Result<Node, Error> {
        let node = self.tree.find(path, self.index)?;
        if node.is_directory() && !recursive {
            if !directory {
                return Err(self.error(Code::NotFile, path));
            }
            if self.tree.children(path).next().is_some() {
                return Err(self.error(Code::DirectoryNotEmpty, path));
            }
        }
        Ok(node.clone())
    }
}
