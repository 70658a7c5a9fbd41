//! The project's Rust files, read as text.

use std::fs;
use std::path::{Path, PathBuf};

/// A Rust file of ours.
pub(crate) struct Source {
    /// From the top of the project.
    pub(crate) path: String,
    pub(crate) text: String,
}

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files below `folder`.
pub(crate) fn sources(folder: &str) -> Vec<Source> {
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

pub(crate) fn relative(path: &Path) -> String {
    let relative = path.strip_prefix(root()).expect("below the root");
    relative.to_string_lossy().into_owned()
}

/// Whether a file holds unit tests only.
pub(crate) fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/") || path.ends_with("_tests.rs")
}

/// The lines that do something: without comments, quoted texts, and what is behind `#[cfg(test)]`.
pub(crate) fn code(text: &str) -> Vec<(usize, String)> {
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
pub(crate) fn strip(line: &str) -> String {
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
pub(crate) fn names(line: &str, word: &str) -> bool {
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
pub(crate) fn functions(text: &str) -> Vec<(String, usize)> {
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
