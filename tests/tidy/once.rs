//! What is said once: status numbers, the paths of the peer port, and the rules about who may join.

use std::fs;

use crate::report;
use crate::source::{code, is_test, names, root, sources};

/// Where status numbers are named: the pages of both ports, the handshake of peers (both of its sides), and
/// the discovery service.
const STATUS_FILES: &[&str] = &[
    "src/http/reply.rs",
    "src/transport/refusal.rs",
    "src/discovery/reply.rs",
];

/// The one file that matches paths of the peer port.
const PEER_PATHS: &str = "src/membership/api.rs";

/// Clients of the API, which know it from outside and share no code with the server.
const CLIENTS: &[&str] = &["src/client/", "src/ctl/"];

/// The rooms in which rules about members live.
const MEMBER_RULES: &str = "src/cluster/";

#[test]
fn status_numbers_are_named_in_one_file_per_server() {
    let mut complaints = Vec::new();
    for source in sources("src") {
        if is_test(&source.path) || STATUS_FILES.contains(&source.path.as_str()) {
            continue;
        }
        for (number, line) in code(&source.text) {
            for (at, _) in line.match_indices("StatusCode::") {
                let name = &line[at + "StatusCode::".len()..];
                if name.starts_with(|c: char| c.is_ascii_uppercase()) {
                    complaints.push(format!(
                        "{}:{number}: a status number is named outside of {}: {}",
                        source.path,
                        STATUS_FILES.join(" and "),
                        line.trim()
                    ));
                }
            }
        }
    }
    report(&complaints);
}

#[test]
fn paths_of_the_peer_port_are_matched_in_one_place() {
    let mut complaints = Vec::new();
    for source in sources("src") {
        let is_client = CLIENTS.iter().any(|room| source.path.starts_with(room));
        if is_test(&source.path) || is_client || source.path == PEER_PATHS {
            continue;
        }
        let text = without_tests(&source.text);
        for (number, line) in text {
            let quoted = line.contains("\"/oxetcd/") || line.contains("\"/v2/admin");
            if quoted {
                complaints.push(format!(
                    "{}:{number}: a path of the peer port outside of {PEER_PATHS}: {}",
                    source.path,
                    line.trim()
                ));
            }
        }
    }
    report(&complaints);
}

#[test]
fn rules_about_members_are_written_once() {
    // What a refusal is made of is decided in `cluster/` alone; others pass it on or show it.
    let deciding = [
        "Refusal::NameTaken",
        "Refusal::AddressTaken",
        "Refusal::Full",
    ];
    let mut complaints = Vec::new();
    let mut found = 0;
    for source in sources("src") {
        if is_test(&source.path) {
            continue;
        }
        for (number, line) in code(&source.text) {
            let makes = deciding
                .iter()
                .any(|name| names(&line, name) && line.contains("Err("));
            if makes && source.path.starts_with(MEMBER_RULES) {
                found += 1;
            } else if makes {
                complaints.push(format!(
                    "{}:{number}: a rule about members outside of {MEMBER_RULES}: {}",
                    source.path,
                    line.trim()
                ));
            }
        }
    }
    assert!(found > 0, "the rules were not found");
    report(&complaints);
}

#[test]
fn the_home_of_membership_is_whole() {
    for file in [
        "src/cluster/admission.rs",
        "src/cluster/refusal.rs",
        "src/cluster/quorum.rs",
        "src/membership/join.rs",
        "src/membership/admin.rs",
        "src/membership/api.rs",
        "src/membership/client.rs",
        "src/http/peer.rs",
    ] {
        assert!(root().join(file).is_file(), "{file} is missing");
    }
    let bootstrap: Vec<_> = sources("src/bootstrap")
        .into_iter()
        .filter(|source| !is_test(&source.path) && !source.path.ends_with("/mod.rs"))
        .collect();
    assert!(
        bootstrap.len() <= 7,
        "bootstrap is startup only, in at most seven files"
    );
}

/// The lines with what they quote, up to the unit tests.
fn without_tests(text: &str) -> Vec<(usize, String)> {
    let lines = text
        .lines()
        .take_while(|line| line.trim() != "#[cfg(test)]");
    lines
        .enumerate()
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(at, line)| (at + 1, line.to_owned()))
        .collect()
}

#[test]
fn result_of_string_stays_at_the_edge() {
    // What a program prints as it ends may be a sentence; below, an error has a type.
    const EDGE: &[&str] = &["src/bin/", "src/ctl/", "src/cloud_config/command.rs"];
    let mut complaints = Vec::new();
    for source in sources("src") {
        let edge = EDGE.iter().any(|edge| source.path.starts_with(edge));
        if edge || is_test(&source.path) {
            continue;
        }
        for (number, line) in code(&source.text) {
            if line.contains("Result<") && line.contains(", String>") {
                complaints.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    report(&complaints);
}

#[test]
fn the_readme_is_short() {
    let readme = fs::read_to_string(root().join("README.md")).expect("text");
    let lines = readme.lines().count();
    assert!(lines <= 150, "README.md has {lines} lines; 150 at most");
}
