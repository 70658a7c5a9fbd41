//! What is said about a document: findings with their places, for people and for programs.

use std::fmt;

use serde_json::{Value, json};

/// How many findings are kept; of those beyond, only their number.
const FINDINGS_MAX: usize = 1000;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The document is refused.
    Error,
    /// A part of it can't be used as it is and is left out, or will not do what it seems to.
    Warning,
    /// Worth knowing; it is applied as it is written.
    Note,
}

impl Severity {
    fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// Where something is in a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line, counted from 1; 0 for the document as a whole.
    pub line: usize,
    /// The letter in it, counted from 1; 0 where only the line is meant.
    pub column: usize,
}

impl Place {
    /// A line as a whole.
    #[must_use]
    pub fn line(line: usize) -> Self {
        Self { line, column: 0 }
    }

    /// The line of this place, as a whole.
    #[must_use]
    pub fn whole_line(self) -> Self {
        Self::line(self.line)
    }
}

/// One thing that is said about a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where it is.
    pub place: Place,
    /// How bad it is.
    pub severity: Severity,
    /// What it is, and what was expected.
    pub message: String,
}

/// Everything that is said about a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    findings: Vec<Finding>,
    left_out: usize,
    errors: usize,
}

impl Report {
    /// An error: the document will be refused.
    pub fn error(&mut self, place: Place, message: impl Into<String>) {
        self.errors += 1;
        self.add(place, Severity::Error, message.into());
    }

    /// A warning.
    pub fn warning(&mut self, place: Place, message: impl Into<String>) {
        self.add(place, Severity::Warning, message.into());
    }

    /// A note.
    pub fn note(&mut self, place: Place, message: impl Into<String>) {
        self.add(place, Severity::Note, message.into());
    }

    /// All that another report says, too.
    pub fn append(&mut self, other: Self) {
        self.errors += other.errors;
        self.left_out += other.left_out;
        for one in other.findings {
            self.add(one.place, one.severity, one.message);
        }
    }

    fn add(&mut self, place: Place, severity: Severity, message: String) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding {
                place,
                severity,
                message,
            });
        } else {
            self.left_out += 1;
        }
    }

    /// Whether the document is refused.
    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Whether there is nothing to mend.
    pub fn is_clean(&self) -> bool {
        self.errors == 0
            && self.left_out == 0
            && self
                .findings
                .iter()
                .all(|one| one.severity == Severity::Note)
    }

    /// The findings, in the order of the document.
    pub fn findings(&self) -> Vec<&Finding> {
        let mut sorted: Vec<&Finding> = self.findings.iter().collect();
        sorted.sort_by_key(|one| (one.place, one.severity));
        sorted
    }

    /// One line for each finding: `FILE:LINE: error|warning|note: what`.
    pub fn text(&self, file: &str) -> String {
        let mut text = String::new();
        for one in self.findings() {
            let place = Shown(file, one.place);
            let (word, message) = (one.severity.word(), one_line(&one.message));
            text.push_str(&format!("{place}: {word}: {message}\n"));
        }
        if self.left_out > 0 {
            text.push_str(&format!("{file}: and {} more\n", self.left_out));
        }
        text
    }

    /// The same for programs: one array of objects.
    pub fn json(&self, file: &str) -> Value {
        let finding = |one: &&Finding| {
            json!({
                "file": file,
                "line": one.place.line,
                "column": one.place.column,
                "severity": one.severity.word(),
                "message": one.message,
            })
        };
        Value::Array(self.findings().iter().map(finding).collect())
    }
}

/// `FILE`, `FILE:LINE` or `FILE:LINE:COLUMN`.
struct Shown<'a>(&'a str, Place);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)?;
        match self.1 {
            Place { line: 0, .. } => Ok(()),
            Place { line, column: 0 } => write!(f, ":{line}"),
            Place { line, column } => write!(f, ":{line}:{column}"),
        }
    }
}

/// A document may hold anything; what is said about it stays on its line.
fn one_line(message: &str) -> String {
    let shown = |letter: char| match letter.is_control() {
        true => letter.escape_default().to_string(),
        false => letter.to_string(),
    };
    message.chars().map(shown).collect()
}

/// The nearest of some words to one that is none of them, to be said behind a message.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    // A key that is longer than any of ours is not compared at all: it could be a megabyte.
    if word.len() > 64 {
        return String::new();
    }
    match crate::config::nearest::nearest(word, known) {
        Some(one) => format!("; did you mean {one}?"),
        None => String::new(),
    }
}

/// A key or value as it is shown in a message: not longer than a line.
pub(super) fn shown(text: &str) -> String {
    const LETTERS_MAX: usize = 60;
    if text.chars().count() <= LETTERS_MAX {
        return format!("{text:?}");
    }
    let cut: String = text.chars().take(LETTERS_MAX).collect();
    format!("{cut:?}...")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_shown_in_the_order_of_the_document() {
        let mut report = Report::default();
        report.warning(Place::line(7), "b\nc");
        report.error(Place { line: 3, column: 9 }, "a");
        report.note(Place::default(), "n");
        assert_eq!(
            report.text("x.yaml"),
            "x.yaml: note: n\nx.yaml:3:9: error: a\nx.yaml:7: warning: b\\nc\n"
        );
        assert!(report.has_errors() && !report.is_clean());
        assert_eq!(report.json("x.yaml")[1]["column"], 9);
    }

    #[test]
    fn notes_leave_it_clean_and_the_number_of_findings_is_bounded() {
        let mut report = Report::default();
        report.note(Place::default(), "n");
        assert!(report.is_clean());
        for line in 0..FINDINGS_MAX + 5 {
            report.warning(Place::line(line), "w");
        }
        assert!(!report.is_clean() && !report.has_errors());
        assert!(report.text("f").ends_with("f: and 6 more\n"));
    }

    #[test]
    fn the_nearest_word_is_named_only_when_it_is_near() {
        let known = ["addr", "peer_addr", "discovery"];
        assert_eq!(nearest("adrr", known), "; did you mean addr?");
        assert_eq!(nearest("no_such_option", known), "");
        assert_eq!(nearest(&"a".repeat(1 << 20), known), "");
        assert_eq!(shown(&"x".repeat(100)).len(), 65);
    }
}
