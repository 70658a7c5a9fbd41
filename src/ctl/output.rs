//! How answers are printed.

use std::fmt::Write as _;
use std::io::{self, Write};

use crate::client::{Answer, Event};

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// The value alone.
    Simple,
    /// The value, and what is known about it.
    Extended,
    /// The server's answer, with the indices it came with.
    Json,
}

impl Output {
    /// Their names on the command line.
    pub(crate) const NAMES: [&'static str; 3] = ["simple", "extended", "json"];

    /// The one of that name; simple, if there is none.
    pub(crate) fn named(name: &str) -> Self {
        match name {
            "extended" => Self::Extended,
            "json" => Self::Json,
            _ => Self::Simple,
        }
    }

    /// Print what became of a file; of a directory only its JSON.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub(crate) fn file(self, answer: &Answer, event: &Event) -> io::Result<()> {
        match self {
            Self::Json => self.directory(answer),
            Self::Simple | Self::Extended if event.node.dir => Ok(()),
            Self::Simple => {
                let mut line = event.node.value.clone().unwrap_or_default();
                line.push('\n');
                print(&line)
            }
            Self::Extended => print(&extended(answer, event)),
        }
    }

    /// Print what became of a directory: nothing but JSON.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub(crate) fn directory(self, answer: &Answer) -> io::Result<()> {
        match self {
            Self::Json => print(&json(answer)),
            Self::Simple | Self::Extended => Ok(()),
        }
    }
}

/// Print a text as it is.
///
/// # Errors
///
/// It cannot be written.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

fn extended(answer: &Answer, event: &Event) -> String {
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

/// The answer as the server gave it, with the indices of its headers at the end.
fn json(answer: &Answer) -> String {
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
