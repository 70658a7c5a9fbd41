//! `PUT`.

use std::time::Duration;

use super::super::counters::Counter;
use super::super::{Action, Content, Error, Event, Path, Store};
use super::create::Existing;

impl Store {
    /// Create a node, or put a new one in the place of a file.
    pub(super) fn set(
        &mut self,
        path: &Path,
        content: &Content,
        ttl: Option<Duration>,
    ) -> Result<Event, Error> {
        let placed = self.place(Action::Set, path, content, ttl, Existing::Replace);
        self.counters
            .count_result(&placed, Counter::SetsSuccess, Counter::SetsFail);
        placed
    }
}
