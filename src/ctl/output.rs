//! The output formats.

use std::fmt::Write as _;
use std::io::{self, Write};

use crate::client::{Answer, Event};

/// An output format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// The value alone.
    Simple,
    /// The value, the key and the indices.
    Extended,
    /// The server's response, with the indices of its headers.
    Json,
}

impl Output {
    /// The names on the command line.
    pub(crate) const NAMES: [&'static str; 3] = ["simple", "extended", "json"];

    /// The format of this name; simple if there is none.
    pub(crate) fn from_name(name: &str) -> Self {
        match name {
            "extended" => Self::Extended,
            "json" => Self::Json,
            _ => Self::Simple,
        }
    }

    /// Print a file; a directory only as JSON.
    ///
    /// # Errors
    ///
    /// Stdout cannot be written.
    pub(crate) fn print_file(self, answer: &Answer, event: &Event) -> io::Result<()> {
        match self {
            Self::Json => self.print_directory(answer),
            Self::Simple | Self::Extended if event.node.dir => Ok(()),
            Self::Simple => {
                let mut line = event.node.value.clone().unwrap_or_default();
                line.push('\n');
                print(&line)
            }
            Self::Extended => print(&format_extended(answer, event)),
        }
    }

    /// Print a directory: only as JSON.
    ///
    /// # Errors
    ///
    /// Stdout cannot be written.
    pub(crate) fn print_directory(self, answer: &Answer) -> io::Result<()> {
        match self {
            Self::Json => print(&format_json(answer)),
            Self::Simple | Self::Extended => Ok(()),
        }
    }
}

/// Print a text to stdout.
///
/// # Errors
///
/// Stdout cannot be written.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

fn format_extended(answer: &Answer, event: &Event) -> String {
    let node = &event.node;
    // Writing to a string cannot fail.
    let mut text = String::new();
    let _ = writeln!(text, "Key: {}", node.key);
    let _ = writeln!(text, "Created-Index: {}", node.created_index);
    let _ = writeln!(text, "Modified-Index: {}", node.modified_index);
    if let Some(previous) = &event.prev_node {
        let value = previous.value.as_deref().unwrap_or_default();
        let _ = writeln!(text, "PrevNode.Value: {value}");
    }
    let _ = writeln!(text, "TTL: {}", node.ttl.unwrap_or_default());
    let _ = writeln!(text, "Etcd-Index: {}", answer.index.unwrap_or_default());
    let _ = writeln!(
        text,
        "Raft-Index: {}",
        answer.raft_index.unwrap_or_default()
    );
    let _ = writeln!(text, "Raft-Term: {}", answer.raft_term.unwrap_or_default());
    let _ = writeln!(text, "\n{}", node.value.as_deref().unwrap_or_default());
    text
}

/// The server's JSON, with the indices of the response's headers at the end.
fn format_json(answer: &Answer) -> String {
    let body = String::from_utf8_lossy(&answer.body);
    let body = body.trim_end();
    let object = body.strip_suffix('}').unwrap_or(body);
    format!(
        "{object},\"etcdIndex\":{},\"raftIndex\":{},\"raftTerm\":{}}}\n",
        answer.index.unwrap_or_default(),
        answer.raft_index.unwrap_or_default(),
        answer.raft_term.unwrap_or_default()
    )
}
