//! `PUT` and `DELETE` with `prevValue` or `prevIndex`.

use std::time::Duration;

use bytes::Bytes;

use super::super::command::Condition;
use super::super::counters::Counter;
use super::super::lossy;
use super::super::node::Node;
use super::super::{Action, Code, Error, Event, Path, Store};

impl Store {
    /// Replace the value of a file if the condition matches.
    pub(super) fn compare_and_swap(
        &mut self,
        path: &Path,
        condition: &Condition,
        value: &Bytes,
        ttl: Option<Duration>,
    ) -> Result<Event, Error> {
        if path.is_root() {
            // etcd 0.4 does not count these.
            return Err(self.error(Code::RootReadOnly, path));
        }
        let matching = self.matching(path, condition);
        self.counters.count_result(
            &matching,
            Counter::CompareAndSwapSuccess,
            Counter::CompareAndSwapFail,
        );
        matching.map(|node| self.change(Action::CompareAndSwap, path, node, Some(value), ttl))
    }

    /// Remove a file if the condition matches.
    pub(super) fn compare_and_delete(
        &mut self,
        path: &Path,
        condition: &Condition,
    ) -> Result<Event, Error> {
        let matching = self.matching(path, condition);
        self.counters.count(match &matching {
            Ok(_) => Counter::CompareAndDeleteSuccess,
            // For a directory, etcd 0.4 counts this.
            Err(error) if error.code == Code::NotFile => Counter::CompareAndSwapFail,
            Err(_) => Counter::CompareAndDeleteFail,
        });
        matching.map(|node| self.remove_node(Action::CompareAndDelete, path, &node))
    }

    /// The file at `path`, if the condition matches.
    pub(super) fn matching(&self, path: &Path, condition: &Condition) -> Result<Node, Error> {
        let node = self.tree.find(path, self.index)?;
        let Some(value) = &node.value else {
            return Err(self.error(Code::NotFile, path));
        };
        match mismatch(condition, value, node.modified) {
            None => Ok(node.clone()),
            Some(cause) => Err(Error {
                code: Code::TestFailed,
                cause,
                index: self.index,
            }),
        }
    }
}

impl Condition {
    /// Whether it matches any file.
    pub(super) fn is_empty(&self) -> bool {
        self.wanted_value().is_none() && self.wanted_index().is_none()
    }

    fn wanted_value(&self) -> Option<&Bytes> {
        self.value.as_ref().filter(|value| !value.is_empty())
    }

    fn wanted_index(&self) -> Option<u64> {
        self.index.filter(|&index| index != 0)
    }
}

/// The cause of a mismatch, in the words of etcd 0.4; none if the condition matches.
fn mismatch(condition: &Condition, value: &Bytes, modified: u64) -> Option<String> {
    let values = condition.wanted_value().filter(|wanted| *wanted != value);
    let values = values.map(|wanted| format!("[{} != {}]", lossy(wanted), lossy(value)));
    let indices = condition
        .wanted_index()
        .filter(|&wanted| wanted != modified);
    let indices = indices.map(|wanted| format!("[{wanted} != {modified}]"));
    match (values, indices) {
        (None, None) => None,
        (Some(values), Some(indices)) => Some(format!("{values} {indices}")),
        (one, other) => one.or(other),
    }
}
