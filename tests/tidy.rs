//! The conventions that matter, as tests: what a layer may not name, how long things may get, and what
//! may not be left behind.
//!
//! Comments, texts in quotes and unit tests are not looked at where it is about what code does.

use std::fs;
use std::path::{Path, PathBuf};

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

/// What may not be left behind, anywhere.
const LEFT_BEHIND: &[&str] = &[
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("dbg", "!("),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("TO", "DO"),
];

/// Endings of type names that say nothing.
const EMPTY_NAMES: &[&str] = &[
    "Manager", "Helper", "Helpers", "Util", "Utils", "Info", "Data",
];

/// The most lines of a file.
const FILE_MAX: usize = 600;

/// Nine in ten files are shorter than this.
const FILE_LONG: usize = 450;

/// The most lines of a function.
const FUNCTION_MAX: usize = 70;

/// Ninety-five in a hundred functions are shorter than this.
const FUNCTION_LONG: usize = 50;

/// A Rust file of ours.
struct Source {
    /// From the top of the project.
    path: String,
    text: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files below `folder`.
fn sources(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(Source {
                    text: fs::read_to_string(&path).expect("text"),
                    path: relative(&path),
                });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn relative(path: &Path) -> String {
    let relative = path.strip_prefix(root()).expect("below the root");
    relative.to_string_lossy().into_owned()
}

/// Whether a file holds unit tests only.
fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/") || path.ends_with("_tests.rs")
}

/// The lines that do something: without comments, quoted texts, and what is behind `#[cfg(test)]`.
fn code(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    // The indentation of an item for tests that is being skipped, and whether its block has begun.
    let mut skipped: Option<(usize, bool)> = None;
    for (place, line) in text.lines().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let trimmed = line.trim();
        if let Some((outer, begun)) = skipped {
            let begins = begun || trimmed.ends_with('{');
            let ends =
                indent == outer && (trimmed.starts_with('}') || !begins && trimmed.ends_with(';'));
            skipped = (!ends).then_some((outer, begins));
        } else if trimmed == "#[cfg(test)]" {
            skipped = Some((indent, false));
        } else {
            lines.push((place + 1, strip(line)));
        }
    }
    lines
}

/// A line without its comment and without what it quotes.
fn strip(line: &str) -> String {
    let mut kept = String::new();
    let mut quoted = false;
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if quoted => {
                letters.next();
            }
            '"' => quoted = !quoted,
            '/' if !quoted && letters.peek() == Some(&'/') => break,
            _ if !quoted => kept.push(letter),
            _ => {}
        }
    }
    kept
}

/// Whether a line names something: the word itself, not a part of a longer one.
fn names(line: &str, word: &str) -> bool {
    let part = |letter: Option<char>| letter.is_some_and(|l| l.is_alphanumeric() || l == '_');
    let first_is_part = part(word.chars().next());
    let last_is_part = part(word.chars().next_back());
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !(first_is_part && part(before) || last_is_part && part(after))
    })
}

/// The name and the number of lines of each function, as rustfmt lays them out.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (place, line) in lines.iter().enumerate() {
        let bare = strip(line);
        let Some(name) = bare.trim_start().split("fn ").nth(1) else {
            continue;
        };
        let before = bare.trim_start().split("fn ").next().unwrap_or_default();
        let declares = before.split_whitespace().all(|word| {
            matches!(word, "pub" | "async" | "const" | "unsafe" | "extern")
                || word.starts_with("pub(")
                || word.ends_with(')')
        });
        if !declares {
            continue;
        }
        let indent = &line[..line.len() - line.trim_start().len()];
        // Its last line, or that of a declaration without a body.
        let end = lines[place..].iter().position(|later| {
            let inside = later.strip_prefix(indent).unwrap_or_default();
            inside == "}" || !inside.starts_with(' ') && inside.ends_with(';')
        });
        let one_line = bare.trim_end().ends_with(['}', ';']);
        if let (Some(length), false) = (end, one_line) {
            let name = name.split(['(', '<']).next().unwrap_or_default();
            found.push((String::from(name), length + 1));
        }
    }
    found
}

fn report(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

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

#[test]
fn nothing_is_left_behind() {
    let mut complaints = Vec::new();
    for source in sources("src").into_iter().chain(sources("tests")) {
        for (place, line) in source.text.lines().enumerate() {
            for word in LEFT_BEHIND.iter().filter(|word| names(line, word)) {
                complaints.push(format!("{}:{}: {word}", source.path, place + 1));
            }
        }
    }
    report(&complaints);
}

#[test]
fn files_are_short() {
    let lengths: Vec<(usize, String)> = sources("src")
        .into_iter()
        .chain(sources("tests"))
        .map(|source| (source.text.lines().count(), source.path))
        .collect();
    let over = |max: usize| -> Vec<String> {
        let long = lengths.iter().filter(|(length, _)| *length > max);
        long.map(|(length, path)| format!("{path}: {length} lines"))
            .collect()
    };
    report(&over(FILE_MAX));
    let long = over(FILE_LONG);
    assert!(
        long.len() * 10 <= lengths.len(),
        "more than one file in ten is long:\n{}",
        long.join("\n")
    );
}

#[test]
fn functions_are_short() {
    let lengths: Vec<(usize, String)> = sources("src")
        .iter()
        .filter(|source| !is_test(&source.path))
        .flat_map(|source| {
            let named =
                move |(name, length)| (length, format!("{}: {name}: {length} lines", source.path));
            functions(&source.text).into_iter().map(named)
        })
        .collect();
    let over = |max: usize| -> Vec<String> {
        let long = lengths.iter().filter(|(length, _)| *length > max);
        long.map(|(_, shown)| shown.clone()).collect()
    };
    assert!(lengths.len() > 100, "the functions were not found");
    report(&over(FUNCTION_MAX));
    let long = over(FUNCTION_LONG);
    assert!(
        long.len() * 20 <= lengths.len(),
        "more than one function in twenty is long:\n{}",
        long.join("\n")
    );
}

#[test]
fn types_have_names_that_say_something() {
    let mut complaints = Vec::new();
    for source in sources("src") {
        for (number, line) in code(&source.text) {
            let mut words = line.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
            while let Some(word) = words.next() {
                if !matches!(word, "struct" | "enum" | "trait") {
                    continue;
                }
                let name = words.next().unwrap_or_default();
                if EMPTY_NAMES.iter().any(|empty| name.ends_with(empty)) {
                    complaints.push(format!("{}:{number}: {name}", source.path));
                }
            }
        }
    }
    report(&complaints);
}

#[test]
fn the_lints_are_on() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("text");
    for lint in [
        "unsafe_code = \"forbid\"",
        "missing_docs = \"warn\"",
        "unwrap_used = \"warn\"",
    ] {
        assert!(
            manifest.lines().any(|line| line == lint),
            "Cargo.toml lacks {lint}"
        );
    }
}

/// The checks above can fail.
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

    #[test]
    fn functions_are_measured() {
        let text = "pub(super) async fn long<T>(\n    x: T,\n) {\n    y();\n}\n\nfn short() {}\nlet f = \"fn no()\";\n\
                    impl X {\n    const fn inner() {\n        z();\n    }\n}\n";
        assert_eq!(
            functions(text),
            [(String::from("long"), 5), (String::from("inner"), 3)]
        );
    }
}
