//! `PUT` with `prevExist=true`, and with `refresh=true`.

use std::time::Duration;

use bytes::Bytes;

use super::super::command::Condition;
use super::super::counters::Counter;
use super::super::node::Node;
use super::super::{Action, Code, Error, Event, Path, Store};

impl Store {
    /// Set the value of a file (empty if there is none), and the time to live of a file or directory.
    pub(super) fn update(
        &mut self,
        path: &Path,
        value: Option<&Bytes>,
        directory: bool,
        ttl: Option<Duration>,
    ) -> Result<Event, Error> {
        if path.is_root() {
            // etcd 0.4 does not count these.
            return Err(self.error(Code::RootReadOnly, path));
        }
        let updated = self
            .updatable(path, value, directory)
            .map(|node| self.change(Action::Update, path, node, value, ttl));
        self.counters
            .count_result(&updated, Counter::UpdateSuccess, Counter::UpdateFail);
        updated
    }

    /// Set the time to live of a node and keep its value, without an event for watchers and history. It is
    /// answered and counted like an update, or like a compare-and-swap if there is a condition.
    pub(super) fn refresh(
        &mut self,
        path: &Path,
        condition: &Condition,
        ttl: Option<Duration>,
    ) -> Result<Event, Error> {
        if path.is_root() {
            return Err(self.error(Code::RootReadOnly, path));
        }
        if condition.is_empty() {
            let found = self.tree.find(path, self.index).cloned();
            let refreshed = found.map(|node| self.change_ttl(Action::Update, path, node, ttl));
            self.counters
                .count_result(&refreshed, Counter::UpdateSuccess, Counter::UpdateFail);
            return refreshed;
        }
        let matching = self.matching(path, condition);
        let refreshed =
            matching.map(|node| self.change_ttl(Action::CompareAndSwap, path, node, ttl));
        self.counters.count_result(
            &refreshed,
            Counter::CompareAndSwapSuccess,
            Counter::CompareAndSwapFail,
        );
        refreshed
    }

    fn updatable(
        &self,
        path: &Path,
        value: Option<&Bytes>,
        directory: bool,
    ) -> Result<Node, Error> {
        let node = self.tree.find(path, self.index)?;
        if node.is_directory() && value.is_some_and(|value| !value.is_empty()) {
            return Err(self.error(Code::NotFile, path));
        }
        if directory && !node.is_directory() {
            return Err(self.error(Code::NotDirectory, path));
        }
        Ok(node.clone())
    }

    /// Change the time to live of `node` only.
    fn change_ttl(
        &mut self,
        action: Action,
        path: &Path,
        node: Node,
        ttl: Option<Duration>,
    ) -> Event {
        let value = node.value.clone();
        self.change(action, path, node, value.as_ref(), ttl)
    }

    /// Put the changed `node` back at `path`. The modifiedIndex of a directory does not change, that of its event
    /// does.
    pub(super) fn change(
        &mut self,
        action: Action,
        path: &Path,
        mut node: Node,
        value: Option<&Bytes>,
        ttl: Option<Duration>,
    ) -> Event {
        let prev_node = node.view(path, self.clock);
        self.index += 1;
        node.deadline = self.deadline(ttl);
        if !node.is_directory() {
            node.value = Some(value.cloned().unwrap_or_default());
            node.modified = self.index;
        }
        let mut view = node.view(path, self.clock);
        view.modified = self.index;
        self.tree.put(path.clone(), node);
        Event {
            action,
            node: view,
            prev_node: Some(prev_node),
            removed: Box::default(),
        }
    }
}
