//! A tree in a file: what `export` writes and `import` reads.
//!
//! One JSON object with the nodes as a flat list in the order of their keys, one on a line. Directories
//! are in it only if they say something that the keys in them do not: that they are empty, or that they
//! will go.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::client::Node;

/// What a file says it is.
pub(super) const FORMAT: &str = "etcd-v2-tree/1";

/// What a cluster keeps about itself; no client may write it.
const CLUSTER: [&str; 2] = ["/_etcd/machines", "/_etcd/config"];

/// A tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Dump {
    /// [`FORMAT`].
    pub(super) format: String,
    /// What the server said it is.
    pub(super) server: String,
    /// When it was read, by the clock of the machine that read it; times to live count from here.
    pub(super) exported: Timestamp,
    /// The store's index then.
    pub(super) etcd_index: u64,
    /// The directory that was read.
    pub(super) prefix: String,
    /// What is in it.
    pub(super) nodes: Vec<Saved>,
}

/// A file or a directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Saved {
    /// The key.
    pub(super) key: String,
    /// The value of a file; none for a directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) value: Option<String>,
    /// Seconds to live; none for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ttl: Option<u64>,
}

impl Dump {
    /// How long a node with `ttl` has left at `now`, in whole seconds; none if it is gone.
    pub(super) fn left(&self, ttl: u64, now: Timestamp) -> Option<u64> {
        let passed = Duration::try_from(now.duration_since(self.exported)).unwrap_or_default();
        let left = Duration::from_secs(ttl).checked_sub(passed)?;
        // To the nearest second, so that it is half a second off at most.
        let left = (left + Duration::from_millis(500)).as_secs();
        Some(left.max(1))
    }
}

impl Saved {
    /// Whether it is `directory` or below it.
    pub(super) fn is_in(&self, directory: &str) -> bool {
        let rest = self.key.strip_prefix(directory.trim_end_matches('/'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// What is to be kept of `node` and all below it.
pub(super) fn flat(node: &Node, saved: &mut Vec<Saved>) {
    let key = node.shown_key();
    if CLUSTER.contains(&key) {
        return;
    }
    let ttl = node.ttl.and_then(|ttl| u64::try_from(ttl).ok());
    let says_something = !node.dir || node.nodes.is_empty() || ttl.is_some();
    if says_something && key != "/" {
        saved.push(Saved {
            key: String::from(key),
            value: (!node.dir).then(|| node.value.clone().unwrap_or_default()),
            ttl,
        });
    }
    for child in &node.nodes {
        flat(child, saved);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(key: &str, value: Option<&str>, nodes: Vec<Node>) -> Node {
        Node {
            key: String::from(key),
            value: value.map(String::from),
            dir: value.is_none(),
            nodes,
            ..Node::default()
        }
    }

    fn dump() -> Dump {
        Dump {
            format: String::from(FORMAT),
            server: String::from("etcd 0.4.6"),
            exported: "2014-10-01T12:00:00Z".parse().expect("a time"),
            etcd_index: 7,
            prefix: String::from("/"),
            nodes: Vec::new(),
        }
    }

    #[test]
    fn directories_are_kept_when_they_say_something() {
        let leased = Node {
            ttl: Some(9),
            ..node("/leased", None, vec![node("/leased/x", Some(""), vec![])])
        };
        let tree = node(
            "",
            None,
            vec![
                node(
                    "/_etcd",
                    None,
                    vec![
                        node("/_etcd/config", Some("{}"), vec![]),
                        node(
                            "/_etcd/registry",
                            None,
                            vec![node(
                                "/_etcd/registry/token",
                                None,
                                vec![node("/_etcd/registry/token/n1", Some("u"), vec![])],
                            )],
                        ),
                    ],
                ),
                node("/empty", None, vec![]),
                node("/full", None, vec![node("/full/k", Some("v"), vec![])]),
                leased,
            ],
        );
        let mut saved = Vec::new();
        flat(&tree, &mut saved);
        let keys: Vec<&str> = saved.iter().map(|saved| saved.key.as_str()).collect();
        assert_eq!(
            keys,
            [
                "/_etcd/registry/token/n1",
                "/empty",
                "/full/k",
                "/leased",
                "/leased/x"
            ]
        );
        assert_eq!((saved[3].ttl, &saved[3].value), (Some(9), &None));
        assert_eq!(saved[4].value.as_deref(), Some(""));
    }

    #[test]
    fn time_passes_between_export_and_import() {
        let dump = dump();
        let at = |text: &str| text.parse().expect("a time");
        assert_eq!(dump.left(60, at("2014-10-01T12:00:10.4Z")), Some(50));
        assert_eq!(dump.left(60, at("2014-10-01T12:00:59.9Z")), Some(1));
        assert_eq!(dump.left(60, at("2014-10-01T12:01:01Z")), None);
        // A clock that is behind makes nothing live longer.
        assert_eq!(dump.left(60, at("2014-10-01T11:00:00Z")), Some(60));
    }

    #[test]
    fn what_is_below_is_told_by_whole_names() {
        let saved = |key: &str| Saved {
            key: String::from(key),
            value: None,
            ttl: None,
        };
        assert!(saved("/a/b").is_in("/a") && saved("/a").is_in("/a/") && saved("/a").is_in("/"));
        assert!(!saved("/ab").is_in("/a") && !saved("/").is_in("/a"));
    }

    #[test]
    fn a_file_can_be_read_back() {
        let mut dump = dump();
        dump.nodes.push(Saved {
            key: String::from("/a\n\"b"),
            value: Some(String::from("ü")),
            ttl: Some(3),
        });
        let text = serde_json::to_string(&dump).expect("JSON");
        assert_eq!(serde_json::from_str::<Dump>(&text).expect("a dump"), dump);
    }
}
