//! The keys of the cluster itself.

use super::{Command, Path};

/// The directory of the members' addresses: one key per member, by name.
pub const MACHINES: &str = "/_etcd/machines";

/// The key of the cluster's settings.
pub const CONFIG: &str = "/_etcd/config";

/// The directory of both.
const ETCD: &str = "/_etcd";

/// The key of a client's command if the command would change what only membership commands may write: a key at
/// or below [`MACHINES`] or [`CONFIG`], or above both.
pub(super) fn reserved_path(command: &Command) -> Option<&Path> {
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

/// Whether a key exists in every store: the root, [`MACHINES`], [`CONFIG`], and the keys between and below
/// them.
pub(super) fn is_internal(path: &Path) -> bool {
    let text = path.text();
    path.is_root()
        || text == ETCD
        || text == CONFIG
        || text == MACHINES
        || text.starts_with("/_etcd/machines/")
}
