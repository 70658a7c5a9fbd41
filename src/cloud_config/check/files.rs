//! `write_files`

use std::collections::BTreeSet;

use super::refuse;
use crate::cloud_config::accounts::{Accounts, Id, Owner};
use crate::cloud_config::document::{Document, FileEntry, Placed, User};
use crate::cloud_config::form::gunzip;
use crate::cloud_config::report::{Report, shown};
use crate::cloud_config::scalar::from_base64;

/// How large a compressed file's content may become, in bytes.
const CONTENT_BYTES_MAX: usize = 16 << 20;

/// How long a part of a path may be, in bytes.
const NAME_BYTES_MAX: usize = 255;

/// A file to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Where it goes: absolute, without `.` and `..`.
    pub path: String,
    /// What is in it.
    pub content: Vec<u8>,
    /// Its permissions.
    pub mode: u32,
    /// Who owns it; none for whoever writes it.
    pub owner: Option<Owner>,
}

/// Who may do what with a file that says nothing about it.
pub const MODE: u32 = 0o644;

pub(super) fn check(document: &Document, accounts: &Accounts, report: &mut Report) -> Vec<File> {
    let mut files: Vec<File> = Vec::new();
    for entry in &document.write_files {
        let Some(path) = path(entry, report) else {
            continue;
        };
        let file = File {
            path,
            content: content(entry, report).unwrap_or_default(),
            mode: mode(entry, report).unwrap_or(MODE),
            owner: owner(entry, document, accounts, report),
        };
        files.retain(|other| other.path != file.path);
        files.push(file);
    }
    none_is_below_another(document, &files, report);
    files
}

fn path(entry: &FileEntry, report: &mut Report) -> Option<String> {
    let Some(Placed { value, place }) = &entry.path else {
        return refuse(entry.place, String::from("a file has no path"), report);
    };
    if value.contains('\0') {
        return refuse(
            *place,
            format!("path {} has a zero byte in it", shown(value)),
            report,
        );
    }
    let path = clean(value);
    if path == "/" {
        let message = format!("path {} names a directory, expected a file", shown(value));
        return refuse(*place, message, report);
    }
    if path.split('/').any(|part| part.len() > NAME_BYTES_MAX) || path.len() > 4000 {
        return refuse(*place, format!("path {} is too long", shown(value)), report);
    }
    if path.starts_with("/usr/") {
        let message = format!(
            "path {} is below /usr, which may be read-only",
            shown(value)
        );
        report.warning(*place, message);
    }
    Some(path)
}

/// An absolute path without `.` and `..`; nothing leads above `/`.
pub(crate) fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

fn content(entry: &FileEntry, report: &mut Report) -> Option<Vec<u8>> {
    let empty = String::new();
    let (text, place) = match &entry.content {
        Some(content) => (&content.value, content.place),
        None => (&empty, entry.place),
    };
    let Some(encoding) = &entry.encoding else {
        return Some(text.clone().into_bytes());
    };
    let (packed, base64) = match encoding.value.as_str() {
        "" => (false, false),
        "b64" | "base64" => (false, true),
        "gz" | "gzip" => (true, false),
        "gz+b64" | "gz+base64" | "gzip+b64" | "gzip+base64" => (true, true),
        other => {
            let message = format!(
                "encoding is {}, expected base64, gzip or gzip+base64",
                shown(other)
            );
            report.error(encoding.place, message);
            return refuse(place, String::from("content cannot be decoded"), report);
        }
    };
    let mut bytes = match base64 {
        true => match from_base64(text) {
            Ok(bytes) => bytes,
            Err(error) => return refuse(place, format!("content is no base64: {error}"), report),
        },
        false => text.clone().into_bytes(),
    };
    if packed {
        bytes = match gunzip(&bytes, CONTENT_BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(why) => return refuse(place, format!("content {why}"), report),
        };
    }
    Some(bytes)
}

fn mode(entry: &FileEntry, report: &mut Report) -> Option<u32> {
    /// What a regular file's mode begins with, as stat(2) and git show it.
    const REGULAR: u32 = 0o100_000;
    let permissions = entry.permissions.as_ref()?;
    let text = permissions.value.as_str();
    if text.is_empty() {
        return None;
    }
    let digits = text.bytes().all(|byte| (b'0'..b'8').contains(&byte));
    match u32::from_str_radix(text, 8) {
        Ok(mode) if digits && mode & !REGULAR <= 0o7777 => Some(mode & !REGULAR),
        Ok(_) | Err(_) => {
            let message = format!(
                "permissions are {}, expected octal digits such as 0644",
                shown(text)
            );
            refuse(permissions.place, message, report)
        }
    }
}

fn owner(
    entry: &FileEntry,
    document: &Document,
    accounts: &Accounts,
    report: &mut Report,
) -> Option<Owner> {
    let owner = entry.owner.as_ref()?;
    if owner.value.is_empty() {
        return None;
    }
    let Some(parsed) = whose(&owner.value, document, accounts) else {
        let message = format!(
            "owner is {}, expected user or user:group",
            shown(&owner.value)
        );
        return refuse(owner.place, message, report);
    };
    // Looked at for another machine, whose users nobody knows here.
    if !accounts.are_known() {
        return Some(parsed);
    }
    if let Some(Id::Name(name)) = &parsed.user
        && accounts.user(name).is_none()
        && coming(name, document).is_none()
    {
        let message = format!("there is no user {}", shown(name));
        return refuse(owner.place, message, report);
    }
    if let Some(Id::Name(name)) = &parsed.group
        && !accounts.has_group(name)
        && coming(name, document).is_none()
    {
        let message = format!("there is no group {}", shown(name));
        return refuse(owner.place, message, report);
    }
    Some(parsed)
}

/// The owner that a text names, as chown(1) has it: a dot stands for the colon where no user has it in the
/// name, and a group that is left out behind it is the user's own.
fn whose(text: &str, document: &Document, accounts: &Accounts) -> Option<Owner> {
    let is_there = |name: &str| accounts.user(name).is_some() || coming(name, document).is_some();
    let dotted = accounts.are_known() && !text.contains(':') && !is_there(text);
    let text = match dotted {
        true => text.replacen('.', ":", 1),
        false => String::from(text),
    };
    let parsed = Owner::parse(&text)?;
    let Some(name) = text.strip_suffix(':') else {
        return Some(parsed);
    };
    let group = match (accounts.user(name), coming(name, document)) {
        (Some(account), _) => Some(Id::Number(account.gid)),
        (None, Some(user)) => match &user.primary_group {
            Some(group) => Owner::parse(&format!(":{group}"))?.group,
            None => (!user.no_user_group).then(|| Id::Name(String::from(name))),
        },
        (None, None) => None,
    };
    Some(Owner { group, ..parsed })
}

/// A user that the document makes.
fn coming<'d>(name: &str, document: &'d Document) -> Option<&'d User> {
    let named = |user: &&User| user.name.as_ref().is_some_and(|one| one.value == name);
    document.users.iter().find(named)
}

fn none_is_below_another(document: &Document, files: &[File], report: &mut Report) {
    let paths: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    for entry in &document.write_files {
        let Some(path) = &entry.path else {
            continue;
        };
        let cleaned = clean(&path.value);
        let mut above = cleaned.as_str();
        while let Some((parent, _)) = above.rsplit_once('/') {
            above = parent;
            if paths.contains(parent) {
                let message = format!(
                    "path {} is below {parent}, which is a file here too",
                    shown(&cleaned)
                );
                report.error(path.place, message);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud_config::report::Place;

    fn decoded(text: &str) -> Option<Vec<u8>> {
        let placed = |value: &str| Placed {
            value: String::from(value),
            place: Place::default(),
        };
        let entry = FileEntry {
            content: Some(placed(text)),
            encoding: Some(placed("base64")),
            ..FileEntry::default()
        };
        let mut report = Report::default();
        let content = content(&entry, &mut report);
        assert_eq!(content.is_none(), report.has_errors());
        content
    }

    #[test]
    fn base64_is_read_as_it_was() {
        for good in ["aGVsbG8=", "aGVs\nbG8=\n", "aGVs\r\nbG8\r\n=", "aGVsbG9="] {
            assert_eq!(decoded(good).as_deref(), Some(&b"hello"[..]), "{good:?}");
        }
        for bad in [
            "aGVs bG8=",
            "aGVsbG8= ",
            "aGVs\tbG8=",
            "aGVsbG8",
            "aGVsbG8=\nx",
            "aGVs_G8=",
        ] {
            assert_eq!(decoded(bad), None, "{bad:?}");
        }
        assert_eq!(decoded("").as_deref(), Some(&b""[..]));
    }

    fn placed(text: &str) -> Option<Placed<String>> {
        Some(Placed {
            value: String::from(text),
            place: Place::default(),
        })
    }

    #[test]
    fn permissions_may_say_that_it_is_a_file() {
        let of = |text: &str| {
            let entry = FileEntry {
                permissions: placed(text),
                ..FileEntry::default()
            };
            mode(&entry, &mut Report::default())
        };
        assert_eq!(of("0644"), Some(0o644));
        assert_eq!(of("4755"), Some(0o4755));
        assert_eq!(of("100644"), Some(0o644));
        for bad in ["40755", "120777", "200644", "10644", "0o644", "+644", "9"] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }

    #[test]
    fn owners_are_what_chown_takes_them_for() {
        let accounts = Accounts::parse(
            "core:x:500:501::/home/core:\nj.doe:x:7:8::/:\n",
            "core:x:501:\ndocker:x:233:\nstaff:x:50:\n",
            "",
        );
        let user = |name: &str, group: Option<&str>| User {
            name: placed(name),
            primary_group: group.map(String::from),
            ..User::default()
        };
        let document = Document {
            users: vec![user("new", None), user("other", Some("staff"))],
            ..Document::default()
        };
        let of = |text: &str, accounts: &Accounts| {
            let entry = FileEntry {
                owner: placed(text),
                ..FileEntry::default()
            };
            let owner = owner(&entry, &document, accounts, &mut Report::default());
            owner.map(|owner| owner.text())
        };
        for (text, expected) in [
            ("core", Some("core")),
            ("core:docker", Some("core:docker")),
            ("core.docker", Some("core:docker")),
            ("500.233", Some("500:233")),
            ("j.doe", Some("j.doe")),
            ("j.doe:docker", Some("j.doe:docker")),
            ("core:", Some("core:501")),
            ("core.", Some("core:501")),
            ("new:", Some("new:new")),
            ("other:", Some("other:staff")),
            (":docker", Some(":docker")),
            ("a.docker", None),
            ("core.nobody", None),
            ("nobody:", None),
        ] {
            assert_eq!(of(text, &accounts).as_deref(), expected, "{text}");
        }
        let nobody = Accounts::default();
        assert_eq!(of("core.docker", &nobody).as_deref(), Some("core.docker"));
    }

    #[test]
    fn paths_stay_below_the_root() {
        for (path, expected) in [
            ("relative/file", "/relative/file"),
            ("/a/../b/./file", "/b/file"),
            ("../../etc/climb", "/etc/climb"),
            ("//x//y", "/x/y"),
            ("", "/"),
            ("/..", "/"),
        ] {
            assert_eq!(clean(path), expected);
        }
    }
}
