//! `write_files`

use super::{Placed, text};
use crate::cloud_config::node::Node;
use crate::cloud_config::report::{Place, Report};

/// A file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileEntry {
    /// Where it begins.
    pub place: Place,
    /// Where it goes.
    pub path: Option<Placed<String>>,
    /// What is in it, still encoded; without it the file is empty.
    pub content: Option<Placed<String>>,
    /// How the content is encoded.
    pub encoding: Option<Placed<String>>,
    /// Who may do what, octal.
    pub permissions: Option<Placed<String>>,
    /// `user` or `user:group`, names or numbers.
    pub owner: Option<Placed<String>>,
}

const KEYS: &[&str] = &["content", "encoding", "owner", "path", "permissions"];

pub(super) fn parse(node: &Node, report: &mut Report) -> Option<FileEntry> {
    const WHAT: &str = "a file";
    let mut file = FileEntry {
        place: node.place.whole_line(),
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
                entry.is_unknown(WHAT, KEYS, report);
                continue;
            }
        };
        let value = text(&entry, &format!("a file's {}", entry.name), report);
        *part = value.or(part.take());
    }
    Some(file)
}
