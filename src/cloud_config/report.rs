//! Findings about a document, each with a position and a severity, as text or as JSON.

use std::fmt;

use serde_json::{Value, json};

/// Maximum number of findings kept; further ones are only counted.
const FINDINGS_MAX: usize = 1000;

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The document is rejected and nothing is changed.
    Error,
    /// A part of the document is ignored, or will probably not have the intended effect.
    Warning,
    /// For information; the document is applied as written.
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

/// A position in a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line, counted from 1; 0 for the whole document.
    pub line: usize,
    /// The column, in characters, counted from 1; 0 for the whole line.
    pub column: usize,
}

impl Position {
    /// The position of a whole line.
    #[must_use]
    pub fn line(line: usize) -> Self {
        Self { line, column: 0 }
    }

    /// This position without its column.
    #[must_use]
    pub fn without_column(self) -> Self {
        Self::line(self.line)
    }
}

/// One error, warning or note about a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The position it refers to.
    pub position: Position,
    /// The severity.
    pub severity: Severity,
    /// What is wrong and what was expected.
    pub message: String,
}

/// All findings about a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    findings: Vec<Finding>,
    not_kept: usize,
    errors: usize,
}

impl Report {
    /// Adds an error: the document will be rejected.
    pub fn error(&mut self, position: Position, message: impl Into<String>) {
        self.errors += 1;
        self.add(position, Severity::Error, message.into());
    }

    /// Adds an error where a value was expected, and returns `None` in its place.
    pub(super) fn reject<T>(
        &mut self,
        position: Position,
        message: impl Into<String>,
    ) -> Option<T> {
        self.error(position, message);
        None
    }

    /// Adds a warning.
    pub fn warning(&mut self, position: Position, message: impl Into<String>) {
        self.add(position, Severity::Warning, message.into());
    }

    /// Adds a note.
    pub fn note(&mut self, position: Position, message: impl Into<String>) {
        self.add(position, Severity::Note, message.into());
    }

    /// Adds all findings of another report.
    pub fn append(&mut self, other: Self) {
        self.errors += other.errors;
        self.not_kept += other.not_kept;
        for one in other.findings {
            self.add(one.position, one.severity, one.message);
        }
    }

    fn add(&mut self, position: Position, severity: Severity, message: String) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding {
                position,
                severity,
                message,
            });
        } else {
            self.not_kept += 1;
        }
    }

    /// Whether the document is rejected.
    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Whether there are no errors and no warnings.
    pub fn is_clean(&self) -> bool {
        self.errors == 0
            && self.not_kept == 0
            && self
                .findings
                .iter()
                .all(|one| one.severity == Severity::Note)
    }

    /// The findings, in the order of the document.
    pub fn findings(&self) -> Vec<&Finding> {
        let mut sorted: Vec<&Finding> = self.findings.iter().collect();
        sorted.sort_by_key(|one| (one.position, one.severity));
        sorted
    }

    /// One line per finding: `FILE:LINE: error|warning|note: MESSAGE`.
    pub fn to_text(&self, file: &str) -> String {
        let mut text = String::new();
        for one in self.findings() {
            let position = FilePosition(file, one.position);
            let (word, message) = (one.severity.word(), escape_controls(&one.message));
            text.push_str(&format!("{position}: {word}: {message}\n"));
        }
        if self.not_kept > 0 {
            text.push_str(&format!("{file}: {} more findings\n", self.not_kept));
        }
        text
    }

    /// A JSON array with one object per finding.
    pub fn to_json(&self, file: &str) -> Value {
        let finding = |one: &&Finding| {
            json!({
                "file": file,
                "line": one.position.line,
                "column": one.position.column,
                "severity": one.severity.word(),
                "message": one.message,
            })
        };
        Value::Array(self.findings().iter().map(finding).collect())
    }
}

/// `FILE`, `FILE:LINE` or `FILE:LINE:COLUMN`.
struct FilePosition<'a>(&'a str, Position);

impl fmt::Display for FilePosition<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)?;
        match self.1 {
            Position { line: 0, .. } => Ok(()),
            Position { line, column: 0 } => write!(f, ":{line}"),
            Position { line, column } => write!(f, ":{line}:{column}"),
        }
    }
}

/// Escapes control characters, which a quoted part of a document may contain, so that a finding is one line.
fn escape_controls(message: &str) -> String {
    let escape = |c: char| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    message.chars().map(escape).collect()
}

/// `; did you mean WORD?` with the known word nearest to a misspelled one; empty if none is near.
pub(super) fn suggestion<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    // A key longer than any known one is not compared: it could be a megabyte.
    if word.len() > 64 {
        return String::new();
    }
    match crate::config::nearest::nearest(word, known) {
        Some(one) => format!("; did you mean {one}?"),
        None => String::new(),
    }
}

/// A key or value of the document in quotes, shortened to fit on a line.
pub(super) fn quoted(text: &str) -> String {
    const CHARS_MAX: usize = 60;
    if text.chars().count() <= CHARS_MAX {
        return format!("{text:?}");
    }
    let cut: String = text.chars().take(CHARS_MAX).collect();
    format!("{cut:?}...")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_sorted_by_position() {
        let mut report = Report::default();
        report.warning(Position::line(7), "b\nc");
        report.error(Position { line: 3, column: 9 }, "a");
        report.note(Position::default(), "n");
        assert_eq!(
            report.to_text("x.yaml"),
            "x.yaml: note: n\nx.yaml:3:9: error: a\nx.yaml:7: warning: b\\nc\n"
        );
        assert!(report.has_errors() && !report.is_clean());
        assert_eq!(report.to_json("x.yaml")[1]["column"], 9);
    }

    #[test]
    fn a_report_of_notes_is_clean_and_the_number_of_findings_is_bounded() {
        let mut report = Report::default();
        report.note(Position::default(), "n");
        assert!(report.is_clean());
        for line in 0..FINDINGS_MAX + 5 {
            report.warning(Position::line(line), "w");
        }
        assert!(!report.is_clean() && !report.has_errors());
        assert!(report.to_text("f").ends_with("f: 6 more findings\n"));
    }

    #[test]
    fn only_a_near_word_is_suggested() {
        let known = ["addr", "peer_addr", "discovery"];
        assert_eq!(suggestion("adrr", known), "; did you mean addr?");
        assert_eq!(suggestion("no_such_option", known), "");
        assert_eq!(suggestion(&"a".repeat(1 << 20), known), "");
        assert_eq!(quoted(&"x".repeat(100)).len(), 65);
    }
}
