//! `PUT`.

use std::time::Duration;

use super::super::counters::Counter;
use super::super::{Action, Content, Error, Event, Path, Store};
use super::create::Existing;

impl Store {
    /// Create a node, or replace a file.
    pub(super) fn set(
        &mut self,
        path: &Path,
        content: &Content,
        ttl: Option<Duration>,
    ) -> Result<Event, Error> {
        let result = self.put_new(Action::Set, path, content, ttl, Existing::Replace);
        self.counters
            .count_result(&result, Counter::SetsSuccess, Counter::SetsFail);
        result
    }
}
