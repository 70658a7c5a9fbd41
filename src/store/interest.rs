//! The events that a watcher waits for.

use super::{Event, Path};

/// The events that a watcher waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interest {
    /// The key; it does not have to exist.
    pub path: Path,
    /// Whether events below the key match too.
    pub recursive: bool,
}

impl Interest {
    /// Whether an event matches: it is an event of the key; or, if `recursive`, of a key below it that is not
    /// hidden from there; or it removed the key together with a directory above.
    pub fn matches(&self, event: &Event) -> bool {
        let path = &event.node.path;
        *path == self.path
            || (self.recursive && path.is_below(&self.path) && !path.is_hidden_from(&self.path))
            || event.removed.binary_search(&self.path).is_ok()
    }
}
