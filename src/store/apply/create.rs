//! `PUT` with `prevExist=false`, and `POST`.

use std::time::Duration;

use super::super::counters::Counter;
use super::super::node::Node;
use super::super::{Action, Code, Content, Error, Event, Path, PathError, Store};

/// What happens to an existing file at the key of a new node.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Existing {
    /// The new node replaces it.
    Replace,
    /// It is kept, and the command fails.
    Keep,
}

impl Store {
    /// Create a node at a key that does not exist.
    pub(super) fn create(
        &mut self,
        path: &Path,
        content: &Content,
        ttl: Option<Duration>,
    ) -> Result<Event, Error> {
        let result = self.put_new(Action::Create, path, content, ttl, Existing::Keep);
        self.count_creation(&result);
        result
    }

    /// Create a node whose name is the next index with all digits, so that names sort by their creation; if that
    /// name exists, the next free number.
    pub(super) fn create_in_order(
        &mut self,
        directory: &Path,
        content: &Content,
        ttl: Option<Duration>,
    ) -> Result<Event, Error> {
        let result = self
            .next_in_order(directory)
            .and_then(|path| self.put_new(Action::Create, &path, content, ttl, Existing::Keep));
        self.count_creation(&result);
        result
    }

    /// Put a new node at `path`, and create the missing directories above it.
    pub(super) fn put_new(
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
                self.tree.create_parents(path, self.index)?;
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
        let invalid = |error: PathError| Error {
            code: Code::InvalidForm,
            cause: error.to_string(),
            index: self.index,
        };
        let mut number = self.index + 1;
        let mut path = directory.child(&name_in_order(number)).map_err(invalid)?;
        if self.tree.get(&path).is_none() {
            return Ok(path);
        }
        // Existing consecutive names are adjacent: iterating over them finds the first gap.
        for (taken, _) in self.tree.nodes().range(path.clone()..) {
            if *taken != path {
                break;
            }
            let Some(next) = number.checked_add(1) else {
                return Err(self.error(Code::NodeExists, taken));
            };
            number = next;
            path = directory.child(&name_in_order(number)).map_err(invalid)?;
        }
        Ok(path)
    }

    fn count_creation(&self, result: &Result<Event, Error>) {
        if result
            .as_ref()
            .is_err_and(|error| error.code == Code::NotDirectory)
        {
            // etcd 0.4 counts a creation below a file as a failed set as well.
            self.counters.count(Counter::SetsFail);
        }
        self.counters
            .count_result(result, Counter::CreateSuccess, Counter::CreateFail);
    }
}

/// The name for an index: as many digits as the largest index has.
fn name_in_order(index: u64) -> String {
    format!("{index:020}")
}
