//! `write_files`

use crate::cloud_config::node::{Located, Node};
use crate::cloud_config::report::{Position, Report};

/// An item of `write_files`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileEntry {
    /// Its first line.
    pub position: Position,
    /// The path of the file.
    pub path: Option<Located<String>>,
    /// The content, still encoded; `None` for an empty file.
    pub content: Option<Located<String>>,
    /// The encoding of the content.
    pub encoding: Option<Located<String>>,
    /// The permissions, octal.
    pub permissions: Option<Located<String>>,
    /// `user` or `user:group`, by name or by number.
    pub owner: Option<Located<String>>,
}

const KEYS: &[&str] = &["content", "encoding", "owner", "path", "permissions"];

pub(super) fn parse(node: &Node, report: &mut Report) -> Option<FileEntry> {
    const WHAT: &str = "a file";
    let mut file = FileEntry {
        position: node.position.without_column(),
        ..FileEntry::default()
    };
    let entries = node.entries(WHAT, report);
    if !node.is_map() {
        return None;
    }
    for entry in entries {
        let part = match entry.name.as_str() {
            "path" => &mut file.path,
            "content" => &mut file.content,
            "encoding" => &mut file.encoding,
            "permissions" => &mut file.permissions,
            "owner" => &mut file.owner,
            _ => {
                entry.report_unknown(WHAT, KEYS, report);
                continue;
            }
        };
        let value = entry.text(&format!("the {} of a file", entry.name), report);
        *part = value.or(part.take());
    }
    Some(file)
}
