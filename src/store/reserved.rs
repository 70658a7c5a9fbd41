//! The keys that belong to the cluster itself.

use super::{Command, Path};

/// Where the members' addresses are: one key a member, by name.
pub const MACHINES: &str = "/_etcd/machines";

/// Where the cluster's settings are.
pub const CONFIG: &str = "/_etcd/config";

/// The directory both are in.
const ETCD: &str = "/_etcd";

/// The key at which a client's command would touch what only membership commands may write: at or below
/// [`MACHINES`] or [`CONFIG`], or above both.
pub(super) fn touched(command: &Command) -> Option<&Path> {
    let (path, made_below) = match command {
        Command::Set { path, .. }
        | Command::Create { path, .. }
        | Command::Update { path, .. }
        | Command::Refresh { path, .. }
        | Command::CompareAndSwap { path, .. }
        | Command::Delete { path, .. }
        | Command::CompareAndDelete { path, .. } => (path, false),
        Command::CreateInOrder { directory, .. } => (directory, true),
        Command::Expire
        | Command::Tick
        | Command::PutMember(_)
        | Command::RemoveMember { .. }
        | Command::PutSettings(_) => return None,
    };
    let text = path.text();
    if !text.starts_with(ETCD) {
        return None;
    }
    let at_or_below = |key: &str| {
        let rest = text.strip_prefix(key);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let above = text == ETCD && !made_below;
    (above || at_or_below(MACHINES) || at_or_below(CONFIG)).then_some(path)
}

/// Whether a key is one of those every store has: the root, [`MACHINES`], [`CONFIG`] and what is below
/// and on the way.
pub(super) fn is_the_clusters(path: &Path) -> bool {
    let text = path.text();
    path.is_root()
        || text == ETCD
        || text == CONFIG
        || text == MACHINES
        || text.starts_with("/_etcd/machines/")
}
