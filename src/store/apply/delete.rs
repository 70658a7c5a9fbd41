//! `DELETE`.

use super::super::counters::Counter;
use super::super::node::Node;
use super::super::{Action, Code, Error, Event, Path, Store};

impl Store {
    /// Remove a file, and a directory where it is allowed.
    pub(super) fn delete(
        &mut self,
        path: &Path,
        directory: bool,
        recursive: bool,
    ) -> Result<Event, Error> {
        if path.is_root() {
            // 0.4 doesn't count these.
            return Err(self.error(Code::RootReadOnly, path));
        }
        let deletable = self.deletable(path, directory, recursive);
        self.counters
            .count_result(&deletable, Counter::DeleteSuccess, Counter::DeleteFail);
        deletable.map(|node| self.take_away(Action::Delete, path, &node))
    }

    /// Take `node`, which is at `path`, out of the tree with all below it.
    pub(super) fn take_away(&mut self, action: Action, path: &Path, node: &Node) -> Event {
        self.index += 1;
        Event {
            action,
            node: node.view_gone(path, self.index),
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
