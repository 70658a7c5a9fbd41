//! Tests of the pure modules and of the state file.

mod environment;
mod file;
mod ledger;
mod queue;
mod relist;
mod state;

use std::sync::Arc;

use super::queue::Item;
use crate::client::watch::Change;

/// A change from the JSON of a server.
fn change(json: &str) -> Arc<Change> {
    let event = serde_json::from_str(json).expect("an event");
    let json = bytes::Bytes::copy_from_slice(json.as_bytes());
    Arc::new(Change { event, json })
}

/// A file that was set at this index.
fn set(key: &str, index: u64) -> Item {
    let json = format!(
        r#"{{"action":"set","node":{{"key":"{key}","value":"{index}","modifiedIndex":{index},"createdIndex":1}}}}"#
    );
    Item {
        position: index,
        change: change(&json),
    }
}

/// A directory that was removed at this index.
fn removed_directory(key: &str, index: u64) -> Item {
    let json = format!(
        r#"{{"action":"delete","node":{{"key":"{key}","dir":true,"modifiedIndex":{index},"createdIndex":1}},
            "prevNode":{{"key":"{key}","dir":true,"modifiedIndex":1,"createdIndex":1}}}}"#
    );
    Item {
        position: index,
        change: change(&json),
    }
}
