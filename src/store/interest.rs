//! What a watcher wants to hear about.

use super::{Event, Path};

/// What a watcher wants to hear about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interest {
    /// The key; it need not exist.
    pub path: Path,
    /// Whether what is below it counts too.
    pub recursive: bool,
}

impl Interest {
    /// Whether an event is of interest, now or from history: it happened at the key; or below it where
    /// nothing on the way is hidden, if that counts; or it took the key away with a directory above.
    pub fn hears(&self, event: &Event) -> bool {
        let happened = &event.node.path;
        *happened == self.path
            || (self.recursive
                && happened.is_below(&self.path)
                && !happened.is_hidden_from(&self.path))
            || event.removed.binary_search(&self.path).is_ok()
    }
}
