//! What changed while nobody could tell: the tree as it is now beside the keys as they were known. Pure.
//!
//! A key that is new or has another index than the one known is a change with the action `set`; one that is
//! gone is a `delete`. A directory that holds something is told by what it holds. Keys that came and went
//! in between are not seen, and of several changes of a key only the last.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use super::ledger::Known;
use super::queue::Item;
use crate::client::watch::Change;
use crate::client::{Event, Node};

/// What is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    /// As of this index.
    pub(super) index: u64,
    /// The nodes that are watched, each without those below it, by key.
    nodes: BTreeMap<String, Found>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    node: Node,
    /// Whether it is a directory that holds something.
    holds: bool,
}

/// Which of the nodes that are there are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Those that changed.
    Changed,
    /// Each, with the action `get`.
    All,
}

impl Listing {
    /// Of what a read answered; none if the key is not there. Without `recursive` only the key itself is
    /// watched.
    pub(super) fn new(index: u64, node: Option<Node>, recursive: bool) -> Self {
        let mut listing = Self {
            index,
            nodes: BTreeMap::new(),
        };
        let mut rest: Vec<Node> = node.into_iter().collect();
        while let Some(mut node) = rest.pop() {
            let below = std::mem::take(&mut node.nodes);
            let holds = !below.is_empty();
            if recursive {
                rest.extend(below);
            }
            // The root is no key.
            if !node.key.is_empty() && node.key != "/" {
                listing
                    .nodes
                    .insert(node.key.clone(), Found { node, holds });
            }
        }
        listing
    }

    /// What is there and was already at this index.
    pub(super) fn known_at(&self, index: u64) -> Known {
        let nodes = self.nodes.iter();
        nodes
            .map(|(key, found)| (key.clone(), found.node.modified_index))
            .filter(|(_, changed)| *changed <= index)
            .collect()
    }

    /// What to run for, in order: what is gone, from the leaves up, then what is there, by age.
    pub(super) fn changes(&self, known: &Known, told: Told) -> Vec<Item> {
        let gone = known
            .keys()
            .rev()
            .filter(|key| !self.nodes.contains_key(*key));
        let mut items: Vec<Item> = gone.map(|key| self.gone(key)).collect();
        let mut there: Vec<&Node> = self
            .nodes
            .values()
            .filter(|found| !found.holds)
            .map(|found| &found.node)
            .filter(|node| match told {
                Told::Changed => known.get(&node.key) != Some(&node.modified_index),
                Told::All => true,
            })
            .collect();
        there.sort_by_key(|node| node.modified_index);
        let action = match told {
            Told::Changed => "set",
            Told::All => "get",
        };
        items.extend(
            there
                .into_iter()
                .map(|node| self.item(action, node.clone())),
        );
        items
    }

    fn gone(&self, key: &str) -> Item {
        let node = Node {
            key: key.to_owned(),
            modified_index: self.index,
            ..Node::default()
        };
        self.item("delete", node)
    }

    fn item(&self, action: &str, node: Node) -> Item {
        let text = json!({ "action": action, "node": shown(&node) }).to_string();
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

/// A node as the API writes it.
fn shown(node: &Node) -> Value {
    let mut shown = json!({
        "key": node.key,
        "modifiedIndex": node.modified_index,
        "createdIndex": node.created_index,
    });
    if let Some(value) = &node.value {
        shown["value"] = json!(value);
    }
    if node.dir {
        shown["dir"] = json!(true);
    }
    if let Some(ttl) = node.ttl {
        shown["ttl"] = json!(ttl);
        shown["expiration"] = json!(node.expiration);
    }
    shown
}
