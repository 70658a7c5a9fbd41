//! Which code a folder must not name.

use crate::report;
use crate::source::{Source, code, is_test, names, root, sources};

/// What touches the world, or depends on it.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::net",
    "std::thread",
    "std::env",
    "std::process",
    "std::io",
    "tokio",
    "hyper",
    "SystemTime",
    "Instant",
    "println!",
    "eprintln!",
];

/// (Folder, what its code must not name, why.)
const FORBIDDEN: &[(&str, &[&str], &str)] = &[
    (
        "src/store",
        &[
            "std::fs",
            "std::net",
            "std::thread",
            "std::env",
            "std::io",
            "tokio",
            "hyper",
            "SystemTime",
            "Instant",
            "rand::",
            "RandomState",
            "HashMap",
            "tracing::",
            "println!",
            "f64",
        ],
        "the store is pure: the same log gives the same bytes on every member",
    ),
    (
        "src/cluster",
        &[
            "std::fs",
            "std::net",
            "std::thread",
            "std::env",
            "tokio",
            "hyper",
            "SystemTime",
            "Instant",
        ],
        "who the members are is plain data",
    ),
    (
        "src/config",
        &[
            "std::net::Tcp",
            "std::thread",
            "tokio",
            "hyper",
            "crate::store",
            "crate::consensus",
            "crate::wal",
            "crate::http",
            "crate::transport",
            "crate::server",
            "crate::client",
        ],
        "the configuration is plain data",
    ),
    (
        "src/store",
        &[
            "crate::wal",
            "crate::consensus",
            "crate::transport",
            "crate::http",
            "crate::config",
            "crate::server",
            "crate::bootstrap",
            "crate::client",
        ],
        "nothing points back up",
    ),
    (
        "src/wal",
        &[
            "crate::consensus",
            "crate::transport",
            "crate::http",
            "crate::config",
            "crate::server",
            "crate::bootstrap",
            "crate::client",
            "tokio",
            "hyper",
        ],
        "nothing points back up, and the log blocks its own thread only",
    ),
    (
        "src/consensus",
        &[
            "crate::transport",
            "crate::http",
            "crate::server",
            "crate::bootstrap",
            "crate::client",
            "hyper",
        ],
        "the driver answers by channels, never by a call upward",
    ),
    (
        "src/transport",
        &[
            "crate::http",
            "crate::server",
            "crate::ctl",
            "crate::client",
        ],
        "nothing points back up",
    ),
    (
        "src/http",
        &[
            "crate::server",
            "crate::discovery",
            "crate::ctl",
            "crate::client",
            "crate::wal",
        ],
        "nothing points back up",
    ),
    (
        "src/client",
        &[
            "crate::store",
            "crate::consensus",
            "crate::wal",
            "crate::http",
            "crate::server",
            "crate::ctl",
        ],
        "the client knows the API, not the server",
    ),
    (
        "src/ctl",
        &[
            "crate::store",
            "crate::consensus",
            "crate::wal",
            "crate::http",
            "crate::server",
        ],
        "etcdctl knows the API, not the server",
    ),
    (
        "src/bootstrap",
        &[
            "crate::server",
            "crate::http",
            "crate::discovery",
            "crate::ctl",
        ],
        "nothing points back up",
    ),
    (
        "src/discovery",
        &[
            "crate::ctl",
            "crate::bootstrap",
            "crate::transport",
            "std::fs",
            "TcpListener",
        ],
        "the service stands on a member or on a cluster's API, and keeps nothing itself",
    ),
    (
        "src/cloud_config",
        &[
            "crate::store",
            "crate::consensus",
            "crate::wal",
            "crate::http",
            "crate::server",
            "crate::transport",
        ],
        "etcd-cloudinit sets a machine up; it does not serve",
    ),
    ("src/cloud_config/plan", IMPURE, "the plan is pure"),
    ("src/cloud_config/check", IMPURE, "checking is pure"),
    (
        "src/cloud_config/document",
        IMPURE,
        "reading a document is pure",
    ),
    (
        "src/bin",
        &["std::fs", "std::net", "hyper", "fn run_"],
        "parse, run, exit code, nothing else",
    ),
];

/// Where serde may derive: the edges, never the domain.
const SERDE_EDGES: &[&str] = &[
    "src/http",
    "src/membership",
    "src/client",
    "src/hook",
    "src/cloud_config/read.rs",
    "src/ctl",
    "src/config",
];

/// What in `source` goes against a rule of what code may not name.
fn misnamed(source: &Source, words: &[&str], why: &str) -> Vec<String> {
    if is_test(&source.path) {
        return Vec::new();
    }
    let mut complaints = Vec::new();
    for (number, line) in code(&source.text) {
        for word in words.iter().filter(|word| names(&line, word)) {
            complaints.push(format!("{}:{number}: {word}: {why}", source.path));
        }
    }
    complaints
}

#[test]
fn each_layer_names_only_what_it_may() {
    let mut complaints = Vec::new();
    for (folder, words, why) in FORBIDDEN {
        if root().join(folder).is_dir() {
            for source in sources(folder) {
                complaints.extend(misnamed(&source, words, why));
            }
        }
    }
    report(&complaints);
}

#[test]
fn only_consensus_names_the_raft_crate() {
    let words = ["raft::", "raft_proto", "eraftpb", "protobuf"];
    let outside = sources("src")
        .into_iter()
        .filter(|source| !source.path.starts_with("src/consensus"));
    let complaints: Vec<String> = outside
        .flat_map(|source| misnamed(&source, &words, "Raft is fenced behind consensus"))
        .collect();
    report(&complaints);
}

#[test]
fn serde_stays_at_the_edges() {
    let inside = |source: &Source| !SERDE_EDGES.iter().any(|edge| source.path.starts_with(edge));
    let complaints: Vec<String> = sources("src")
        .into_iter()
        .filter(inside)
        .flat_map(|source| {
            misnamed(
                &source,
                &["Serialize", "Deserialize"],
                "a domain type is not a format",
            )
        })
        .collect();
    report(&complaints);
}

/// The check above can fail.
mod can_fail {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source {
            path: String::from(path),
            text: String::from(text),
        }
    }

    #[test]
    fn what_code_names_is_seen_and_what_it_says_is_not() {
        let words = ["std::fs", "Instant"];
        let found = |text: &str| misnamed(&source("src/store/x.rs", text), &words, "").len();
        assert_eq!(found("use std::fs;\nlet x = Instant::now();"), 2);
        assert_eq!(
            found("// std::fs\n/// Instant\nlet x = \"std::fs \\\" Instant\"; // Instant"),
            0
        );
        assert_eq!(found("struct Instantly; mod my_Instant;"), 0);
        assert_eq!(
            found("#[cfg(test)]\nmod tests {\n    use std::fs;\n}\nuse std::fs;"),
            1
        );
        assert_eq!(found("#[cfg(test)]\nmod tests;\nuse std::fs;"), 1);
        assert_eq!(
            misnamed(&source("src/store/tests.rs", "use std::fs;"), &words, "").len(),
            0
        );
    }
}
