//! `write_files`

use std::collections::BTreeSet;

use crate::cloud_config::accounts::{Accounts, Id, Owner};
use crate::cloud_config::document::{Document, FileEntry, Located, User};
use crate::cloud_config::form::gunzip;
use crate::cloud_config::paths::clean;
use crate::cloud_config::report::{Report, quoted};
use crate::cloud_config::scalar::decode_base64;

/// Maximum size of a file after decompression, in bytes.
const CONTENT_BYTES_MAX: usize = 16 << 20;

/// Maximum length of one component of a path, in bytes.
const NAME_BYTES_MAX: usize = 255;

/// Maximum length of a path, in bytes; `PATH_MAX` leaves room for the name of the temporary file.
const PATH_BYTES_MAX: usize = 4000;

/// A file to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its path: absolute, without `.` and `..`.
    pub path: String,
    /// Its content.
    pub content: Vec<u8>,
    /// Its permissions.
    pub mode: u32,
    /// Its owner; `None` for the user who runs the program.
    pub owner: Option<Owner>,
}

/// The permissions of a file for which the document sets none.
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
    check_nesting(document, &files, report);
    files
}

fn path(entry: &FileEntry, report: &mut Report) -> Option<String> {
    let Some(Located { value, position }) = &entry.path else {
        return report.reject(entry.position, "a file has no path");
    };
    if value.contains('\0') {
        return report.reject(
            *position,
            format!("path {} contains a NUL byte", quoted(value)),
        );
    }
    let path = clean(value);
    if path == "/" {
        let message = format!(
            "path {} is the root directory, expected a file",
            quoted(value)
        );
        return report.reject(*position, message);
    }
    if path.split('/').any(|part| part.len() > NAME_BYTES_MAX) || path.len() > PATH_BYTES_MAX {
        let message = format!(
            "path {} is too long, expected at most {NAME_BYTES_MAX} bytes per component and {PATH_BYTES_MAX} in total",
            quoted(value)
        );
        return report.reject(*position, message);
    }
    if path.starts_with("/usr/") {
        let message = format!(
            "path {} is below /usr, which may be read-only",
            quoted(value)
        );
        report.warning(*position, message);
    }
    Some(path)
}

fn content(entry: &FileEntry, report: &mut Report) -> Option<Vec<u8>> {
    let empty = String::new();
    let (text, position) = match &entry.content {
        Some(content) => (&content.value, content.position),
        None => (&empty, entry.position),
    };
    let Some(encoding) = &entry.encoding else {
        return Some(text.clone().into_bytes());
    };
    let (compressed, base64) = match encoding.value.as_str() {
        "" => (false, false),
        "b64" | "base64" => (false, true),
        "gz" | "gzip" => (true, false),
        "gz+b64" | "gz+base64" | "gzip+b64" | "gzip+base64" => (true, true),
        other => {
            let message = format!(
                "encoding is {}, expected base64, gzip or gzip+base64",
                quoted(other)
            );
            report.error(encoding.position, message);
            return report.reject(position, "content cannot be decoded");
        }
    };
    let mut bytes = match base64 {
        true => match decode_base64(text) {
            Ok(bytes) => bytes,
            Err(error) => {
                return report.reject(position, format!("content is not valid base64: {error}"));
            }
        },
        false => text.clone().into_bytes(),
    };
    if compressed {
        bytes = match gunzip(&bytes, CONTENT_BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(error) => {
                return report.reject(position, format!("cannot decompress content: {error}"));
            }
        };
    }
    Some(bytes)
}

fn mode(entry: &FileEntry, report: &mut Report) -> Option<u32> {
    /// The file type bits of a regular file, as stat(2) and git show them.
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
                quoted(text)
            );
            report.reject(permissions.position, message)
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
    let Some(parsed) = parse_owner(&owner.value, document, accounts) else {
        let message = format!(
            "owner is {}, expected user or user:group",
            quoted(&owner.value)
        );
        return report.reject(owner.position, message);
    };
    // With --validate the accounts of the host are not known.
    if !accounts.are_known() {
        return Some(parsed);
    }
    if let Some(Id::Name(name)) = &parsed.user
        && accounts.user(name).is_none()
        && new_user(name, document).is_none()
    {
        let message = format!("user {} does not exist", quoted(name));
        return report.reject(owner.position, message);
    }
    if let Some(Id::Name(name)) = &parsed.group
        && !accounts.has_group(name)
        && new_user(name, document).is_none()
    {
        let message = format!("group {} does not exist", quoted(name));
        return report.reject(owner.position, message);
    }
    Some(parsed)
}

/// Parses an owner like chown(1): a dot stands for the colon unless a user has that name, and if no group
/// follows the colon it is the user's primary group.
fn parse_owner(text: &str, document: &Document, accounts: &Accounts) -> Option<Owner> {
    let is_user = |name: &str| accounts.user(name).is_some() || new_user(name, document).is_some();
    let has_dot = accounts.are_known() && !text.contains(':') && !is_user(text);
    let text = match has_dot {
        true => text.replacen('.', ":", 1),
        false => String::from(text),
    };
    let parsed = Owner::parse(&text)?;
    let Some(name) = text.strip_suffix(':') else {
        return Some(parsed);
    };
    let group = match (accounts.user(name), new_user(name, document)) {
        (Some(account), _) => Some(Id::Number(account.gid)),
        (None, Some(user)) => match &user.primary_group {
            Some(group) => Owner::parse(&format!(":{group}"))?.group,
            None => (!user.no_user_group).then(|| Id::Name(String::from(name))),
        },
        (None, None) => None,
    };
    Some(Owner { group, ..parsed })
}

/// A user that the document creates.
fn new_user<'d>(name: &str, document: &'d Document) -> Option<&'d User> {
    let named = |user: &&User| user.name.as_ref().is_some_and(|one| one.value == name);
    document.users.iter().find(named)
}

/// Rejects a file below another file.
fn check_nesting(document: &Document, files: &[File], report: &mut Report) {
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
                    "path {} is below {parent}, which the document writes as a file",
                    quoted(&cleaned)
                );
                report.error(path.position, message);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud_config::report::Position;

    fn decoded(text: &str) -> Option<Vec<u8>> {
        let located = |value: &str| Located {
            value: String::from(value),
            position: Position::default(),
        };
        let entry = FileEntry {
            content: Some(located(text)),
            encoding: Some(located("base64")),
            ..FileEntry::default()
        };
        let mut report = Report::default();
        let content = content(&entry, &mut report);
        assert_eq!(content.is_none(), report.has_errors());
        content
    }

    #[test]
    fn base64_is_decoded_like_coreos_cloudinit() {
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

    fn located(text: &str) -> Option<Located<String>> {
        Some(Located {
            value: String::from(text),
            position: Position::default(),
        })
    }

    #[test]
    fn permissions_may_include_the_file_type() {
        let of = |text: &str| {
            let entry = FileEntry {
                permissions: located(text),
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
    fn owners_are_parsed_like_chown() {
        let accounts = Accounts::parse(
            "core:x:500:501::/home/core:\nj.doe:x:7:8::/:\n",
            "core:x:501:\ndocker:x:233:\nstaff:x:50:\n",
            "",
        );
        let user = |name: &str, group: Option<&str>| User {
            name: located(name),
            primary_group: group.map(String::from),
            ..User::default()
        };
        let document = Document {
            users: vec![user("new", None), user("other", Some("staff"))],
            ..Document::default()
        };
        let of = |text: &str, accounts: &Accounts| {
            let entry = FileEntry {
                owner: located(text),
                ..FileEntry::default()
            };
            let owner = owner(&entry, &document, accounts, &mut Report::default());
            owner.map(|owner| owner.to_text())
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
        let unknown = Accounts::default();
        assert_eq!(of("core.docker", &unknown).as_deref(), Some("core.docker"));
    }
}
