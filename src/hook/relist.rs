//! What changed while no events were received: the tree as it is now, compared with the known keys. Pure.
//!
//! A key that is new or has another index than the known one is a change with the action `set`, a key that no
//! longer exists one with `delete`. A directory with children is represented by its children. Keys that were
//! created and removed in between are not seen, and of several changes of a key only the last one is.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use super::ledger::KnownKeys;
use super::queue::Item;
use crate::client::watch::Change;
use crate::client::{Event, Node};

/// The keys that exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    /// The store's index at the time.
    pub(super) index: u64,
    /// The nodes that are watched, each without its children, by key.
    nodes: BTreeMap<String, Listed>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Listed {
    node: Node,
    /// Whether it is a directory with children.
    has_children: bool,
}

/// Which of the existing nodes become changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Selection {
    /// Those that changed, with the action `set`.
    Changed,
    /// All, with the action `get`.
    All,
}

impl Listing {
    /// From the response to a read; none if the key does not exist. Without `recursive` only the key itself
    /// is watched.
    pub(super) fn new(index: u64, node: Option<Node>, recursive: bool) -> Self {
        let mut listing = Self {
            index,
            nodes: BTreeMap::new(),
        };
        let mut rest: Vec<Node> = node.into_iter().collect();
        while let Some(mut node) = rest.pop() {
            let below = std::mem::take(&mut node.nodes);
            let has_children = !below.is_empty();
            if recursive {
                rest.extend(below);
            }
            // The root is not a key.
            if !node.key.is_empty() && node.key != "/" {
                listing
                    .nodes
                    .insert(node.key.clone(), Listed { node, has_children });
            }
        }
        listing
    }

    /// The keys that existed unchanged at this index.
    pub(super) fn known_at(&self, index: u64) -> KnownKeys {
        let nodes = self.nodes.iter();
        nodes
            .map(|(key, listed)| (key.clone(), listed.node.modified_index))
            .filter(|(_, changed)| *changed <= index)
            .collect()
    }

    /// The changes, in order: removed keys from the leaves up, then existing keys by age.
    pub(super) fn changes(&self, known: &KnownKeys, selection: Selection) -> Vec<Item> {
        let removed = known
            .keys()
            .rev()
            .filter(|key| !self.nodes.contains_key(*key));
        let mut items: Vec<Item> = removed.map(|key| self.removal(key)).collect();
        let mut existing: Vec<&Node> = self
            .nodes
            .values()
            .filter(|listed| !listed.has_children)
            .map(|listed| &listed.node)
            .filter(|node| match selection {
                Selection::Changed => known.get(&node.key) != Some(&node.modified_index),
                Selection::All => true,
            })
            .collect();
        existing.sort_by_key(|node| node.modified_index);
        let action = match selection {
            Selection::Changed => "set",
            Selection::All => "get",
        };
        items.extend(
            existing
                .into_iter()
                .map(|node| self.item(action, node.clone())),
        );
        items
    }

    fn removal(&self, key: &str) -> Item {
        let node = Node {
            key: key.to_owned(),
            modified_index: self.index,
            ..Node::default()
        };
        self.item("delete", node)
    }

    fn item(&self, action: &str, node: Node) -> Item {
        let text = json!({ "action": action, "node": to_json(&node) }).to_string();
        let event = Event {
            action: action.to_owned(),
            node,
            prev_node: None,
        };
        Item {
            position: self.index,
            change: Arc::new(Change {
                event,
                json: Bytes::from(text),
            }),
        }
    }
}

/// A node in the API's JSON form.
fn to_json(node: &Node) -> Value {
    let mut json = json!({
        "key": node.key,
        "modifiedIndex": node.modified_index,
        "createdIndex": node.created_index,
    });
    if let Some(value) = &node.value {
        json["value"] = json!(value);
    }
    if node.dir {
        json["dir"] = json!(true);
    }
    if let Some(ttl) = node.ttl {
        json["ttl"] = json!(ttl);
        json["expiration"] = json!(node.expiration);
    }
    json
}
