//! Words and turns of phrase that were retired, wherever a person reads: each with what to write instead.
//!
//! They were a private language: names that meant several things, or sentences that had to be guessed.

use std::fs;
use std::path::Path;

use crate::report;
use crate::source::{relative, root};

/// (What is retired, what to write instead.) A letter in front or behind makes it another word. Upper and
/// lower case count.
const RETIRED: &[(&str, &str)] = &[
    ("hand_on", "forward, propose"),
    ("take_fresh", "take_new"),
    ("take_again", "take_retries"),
    ("hand_over", "transfer_leadership"),
    ("is_in_vain", "is_stale_identity"),
    ("first_good", "staggered_race"),
    ("hearers", "matches"),
    ("belied", "tag_errors"),
    ("anew", "again, a new …"),
    ("Standing", "RaftStatus"),
    ("Stranding", "QuorumLoss"),
    ("Census", "Liveness"),
    ("Roster", "MemberList"),
    ("Beginning", "PreparedMember"),
    ("Begun", "Started"),
    ("Treatment", "DataDirAction"),
    ("Patience", "RetryPolicy"),
    ("Manners", "ConnectionPolicy"),
    ("Teller", "Sender"),
    ("Deaf", "Closed"),
    ("Ear", "Subscriber"),
    ("is no valid", "is not a valid"),
    ("is no variable", "unknown variable"),
    ("is no option", "unknown option"),
    ("is no flag", "unknown flag"),
    ("is no moment", "is not a valid moment"),
    ("is no number", "is not a number"),
    ("is no address", "is not an address"),
    ("is no member", "is not a member"),
    ("is no command", "unknown command"),
    ("is no key", "is not a key"),
    ("of no help", "unavailable"),
    ("of no use", "cannot be used, and why"),
    ("whoever calls", "the client, the peer, the caller"),
    ("whoever asks", "the client, the peer, the caller"),
    ("whoever comes", "the client, the peer, the caller"),
    ("Whoever calls", "the client, the peer, the caller"),
    ("Whoever asks", "the client, the peer, the caller"),
    ("whatever it is", "name it"),
    ("whatever becomes", "name it"),
    ("whatever became", "name it"),
    ("became of", "name the result"),
    ("seldomer", "fewer, less often"),
    ("are others now", "changed"),
    ("is others now", "changed"),
    ("comes to nothing", "fails"),
    ("came to nothing", "failed"),
    ("come to nothing", "fail"),
    ("thrown away", "discarded, deleted"),
    ("throw away", "discard, delete"),
    ("ends no", "does not apply to"),
    ("Ends no", "Does not apply to"),
    ("those who call", "clients, peers"),
    ("those who ask", "clients, peers"),
    ("those who are called", "servers"),
    ("a new start", "a restart"),
    ("unlike any other", "name the difference"),
];

/// Where people read, from the top of the project.
const READ: &[&str] = &[
    "src",
    "docs",
    "units",
    "packaging",
    "cloud-config",
    ".ci",
    "tests",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.toml",
];

/// Where a retired word may stand: this list, and what was recorded of the originals.
const LEFT_OUT: &[&str] = &[
    "tests/tidy/words.rs",
    "tests/data",
    "tests/fuzz/seeds",
    "tests/fuzz/target",
];

#[test]
fn retired_words_are_not_used() {
    let mut complaints = Vec::new();
    for name in READ {
        read(&root().join(name), &mut |path, text| {
            complaints.extend(retired(path, text));
        });
    }
    report(&complaints);
}

/// Show each text file at or below `path`, and its path from the top of the project.
fn read(path: &Path, show: &mut impl FnMut(&str, &str)) {
    let name = relative(path);
    if LEFT_OUT.contains(&name.as_str()) {
        return;
    }
    if path.is_dir() {
        for entry in fs::read_dir(path).expect("a folder") {
            read(&entry.expect("an entry").path(), show);
        }
    } else if let Ok(text) = fs::read_to_string(path) {
        show(&name, &text);
    }
}

/// Where a text uses what is retired; line breaks inside of a phrase do not hide it.
fn retired(path: &str, text: &str) -> Vec<String> {
    // A phrase may run over the end of a line, and a comment's mark stands between.
    let lines: Vec<&str> = text
        .lines()
        .map(|line| {
            let line = line.trim();
            let line = line
                .trim_start_matches(['/', '!', '#', '*'])
                .trim_end_matches('\\');
            line.trim()
        })
        .collect();
    let mut complaints = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let next = lines.get(at + 1).copied().unwrap_or_default();
        let two = format!("{line} {next}");
        for (word, instead) in RETIRED {
            let stands = |start: &usize| *start < line.len();
            if occurrences(&two, word).iter().any(stands) {
                complaints.push(format!(
                    "{path}:{}: \"{word}\" is retired; write: {instead}",
                    at + 1
                ));
            }
        }
    }
    complaints
}

/// Where a word begins in a line, as a word of its own.
fn occurrences(line: &str, word: &str) -> Vec<usize> {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let whole = |(at, found): &(usize, &str)| {
        !is_part(line[..*at].chars().next_back())
            && !is_part(line[at + found.len()..].chars().next())
    };
    line.match_indices(word)
        .filter(whole)
        .map(|(at, _)| at)
        .collect()
}

/// The check above can fail.
#[test]
fn a_retired_word_is_found() {
    let found = |text: &str| retired("x", text).len();
    assert_eq!(
        found("let hand_on = 1;\nhand_only(); on_hand_on_x;\n// Ears"),
        1
    );
    assert_eq!(found("/// It is thrown\n/// away.\nnothing"), 1);
    assert_eq!(found("Standing; standing; Ear(1)"), 2);
}
