//! The format of `export` and `import`: a tree in a file.
//!
//! One JSON object with a flat list of nodes, sorted by key, one per line. A directory is in the list only if it
//! is empty or has a TTL; other directories follow from the keys in them.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::client::Node;

/// The value of `format`.
pub(super) const FORMAT: &str = "etcd-v2-tree/1";

/// Keys of the cluster itself, which no client may write.
const CLUSTER: [&str; 2] = ["/_etcd/machines", "/_etcd/config"];

/// A tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Dump {
    /// [`FORMAT`].
    pub(super) format: String,
    /// The server's version page.
    pub(super) server: String,
    /// When the tree was read, by the clock of the host that read it; TTLs count from here.
    pub(super) exported: Timestamp,
    /// The store's index at that time.
    pub(super) etcd_index: u64,
    /// The key of the directory that was read.
    pub(super) prefix: String,
    /// The nodes in it.
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
    /// The TTL in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ttl: Option<u64>,
}

impl Dump {
    /// The remaining TTL at `now` of a node exported with `ttl`, in seconds; none if it has expired.
    pub(super) fn left(&self, ttl: u64, now: Timestamp) -> Option<u64> {
        let passed = Duration::try_from(now.duration_since(self.exported)).unwrap_or_default();
        let left = Duration::from_secs(ttl).checked_sub(passed)?;
        // Rounded, so that it is off by half a second at most.
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

/// Append the nodes to save: `node` and all below it.
pub(super) fn flatten(node: &Node, saved: &mut Vec<Saved>) {
    let key = node.shown_key();
    if CLUSTER.contains(&key) {
        return;
    }
    let ttl = node.ttl.and_then(|ttl| u64::try_from(ttl).ok());
    let is_needed = !node.dir || node.nodes.is_empty() || ttl.is_some();
    if is_needed && key != "/" {
        saved.push(Saved {
            key: String::from(key),
            value: (!node.dir).then(|| node.value.clone().unwrap_or_default()),
            ttl,
        });
    }
    for child in &node.nodes {
        flatten(child, saved);
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
    fn only_empty_directories_and_those_with_a_ttl_are_saved() {
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
        flatten(&tree, &mut saved);
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
    fn a_ttl_counts_from_the_export() {
        let dump = dump();
        let at = |text: &str| text.parse().expect("a time");
        assert_eq!(dump.left(60, at("2014-10-01T12:00:10.4Z")), Some(50));
        assert_eq!(dump.left(60, at("2014-10-01T12:00:59.9Z")), Some(1));
        assert_eq!(dump.left(60, at("2014-10-01T12:01:01Z")), None);
        // A clock that is behind does not lengthen a TTL.
        assert_eq!(dump.left(60, at("2014-10-01T11:00:00Z")), Some(60));
    }

    #[test]
    fn a_prefix_is_a_whole_component() {
        let saved = |key: &str| Saved {
            key: String::from(key),
            value: None,
            ttl: None,
        };
        assert!(saved("/a/b").is_in("/a") && saved("/a").is_in("/a/") && saved("/a").is_in("/"));
        assert!(!saved("/ab").is_in("/a") && !saved("/").is_in("/a"));
    }

    #[test]
    fn an_exported_file_can_be_parsed() {
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
