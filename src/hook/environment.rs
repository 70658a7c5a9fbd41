//! The environment variables that describe a change to a command.

use crate::client::watch::Change;

/// The longest variable that Linux accepts, its name included, in bytes.
const VARIABLE_BYTES_MAX: usize = (128 << 10) - 2;

/// Variables for a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Variables {
    pub(super) set: Vec<(&'static str, String)>,
    /// Those that cannot be set, each with the reason; they must not be inherited either.
    pub(super) left_out: Vec<(&'static str, &'static str)>,
}

/// The variables for a change. One without a value is empty.
pub(super) fn variables(change: &Change) -> Variables {
    let event = &change.event;
    let node = &event.node;
    let before = event.prev_node.as_ref();
    let is_directory = node.dir || before.is_some_and(|before| before.dir);
    let ttl = node.ttl.map(|ttl| ttl.to_string());
    let previous = before.and_then(|before| before.value.clone());
    let all = [
        ("ETCD_WATCH_ACTION", event.action.clone()),
        ("ETCD_WATCH_KEY", node.key.clone()),
        ("ETCD_WATCH_VALUE", node.value.clone().unwrap_or_default()),
        ("ETCD_WATCH_MODIFIED_INDEX", node.modified_index.to_string()),
        ("ETCD_WATCH_PREV_VALUE", previous.unwrap_or_default()),
        ("ETCD_WATCH_TTL", ttl.unwrap_or_default()),
        ("ETCD_WATCH_DIR", is_directory.to_string()),
    ];
    let mut variables = Variables::default();
    for (name, value) in all {
        if name.len() + 1 + value.len() > VARIABLE_BYTES_MAX {
            variables.left_out.push((name, "longer than 128 KiB"));
        } else if value.contains('\0') {
            variables.left_out.push((name, "contains a NUL character"));
        } else {
            variables.set.push((name, value));
        }
    }
    variables
}
