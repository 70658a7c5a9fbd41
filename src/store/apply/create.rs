//! `PUT` with `prevExist=false`, and `POST`.

use std::time::Duration;

use super::super::counters::Counter;
use super::super::node::Node;
use super::super::{Action, Code, Content, Error, Event, Path, PathError, Store};

/// What becomes of a file that is where a new node is to be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Existing {
    /// The new node takes its place.
    Replace,
    /// It stays, and the command fails.
    Keep,
}

impl Store {
    /// Create a node where there is none.
    pub(super) fn create(
        &mut self,
        path: &Path,
        content: &Content,
        ttl: Option<Duration>,
    ) -> Result<Event, Error> {
        let placed = self.place(Action::Create, path, content, ttl, Existing::Keep);
        self.count_creation(&placed);
        placed
    }

    /// Create a node under the next index as its name, with all its digits, so that names sort as they
    /// were made; if that name is taken, under the next one that is free.
    pub(super) fn create_in_order(
        &mut self,
        directory: &Path,
        content: &Content,
        ttl: Option<Duration>,
    ) -> Result<Event, Error> {
        let placed = self
            .next_in_order(directory)
            .and_then(|path| self.place(Action::Create, &path, content, ttl, Existing::Keep));
        self.count_creation(&placed);
        placed
    }

    /// Put a new node at `path`, with the directories on the way to it.
    pub(super) fn place(
        &mut self,
        action: Action,
        path: &Path,
        content: &Content,
        ttl: Option<Duration>,
        existing: Existing,
    ) -> Result<Event, Error> {
        if path.is_root() {
            return Err(self.error(Code::RootReadOnly, path));
        }
        let prev_node = match self.tree.get(path) {
            None => {
                self.tree.make_way(path, self.index)?;
                None
            }
            Some(_) if existing == Existing::Keep => {
                return Err(self.error(Code::NodeExists, path));
            }
            Some(node) if node.is_directory() => return Err(self.error(Code::NotFile, path)),
            Some(node) => Some(node.view(path, self.clock)),
        };
        self.index += 1;
        let node = Node::new(content, self.index, self.deadline(ttl));
        let view = node.view(path, self.clock);
        self.tree.put(path.clone(), node);
        Ok(Event {
            action,
            node: view,
            prev_node,
            removed: Box::default(),
        })
    }

    fn next_in_order(&self, directory: &Path) -> Result<Path, Error> {
        let unnamed = |error: PathError| Error {
            code: Code::InvalidForm,
            cause: error.to_string(),
            index: self.index,
        };
        let mut number = self.index + 1;
        let mut path = directory.child(&in_order(number)).map_err(unnamed)?;
        if self.tree.get(&path).is_none() {
            return Ok(path);
        }
        // Names taken in a row lie side by side: one walk over them finds the first gap.
        for (taken, _) in self.tree.nodes().range(path.clone()..) {
            if *taken != path {
                break;
            }
            let Some(next) = number.checked_add(1) else {
                return Err(self.error(Code::NodeExists, taken));
            };
            number = next;
            path = directory.child(&in_order(number)).map_err(unnamed)?;
        }
        Ok(path)
    }

    fn count_creation(&self, placed: &Result<Event, Error>) {
        if placed
            .as_ref()
            .is_err_and(|error| error.code == Code::NotDirectory)
        {
            // 0.4 counts a creation below a file as a failed set as well.
            self.counters.count(Counter::SetsFail);
        }
        self.counters
            .count_result(placed, Counter::CreateSuccess, Counter::CreateFail);
    }
}

/// An index as a name: as many digits as the largest has.
fn in_order(index: u64) -> String {
    format!("{index:020}")
}
