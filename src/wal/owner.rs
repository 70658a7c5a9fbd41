//! The user of this process and the owner of a file, for messages and for the check of access.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The effective user id of this process; none if the system does not provide it.
pub(super) fn current_uid() -> Option<u32> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    // Real, effective, saved, file system.
    line.split_whitespace().nth(1)?.parse().ok()
}

/// The name of the user of this process, as an argument for `chown`.
pub(super) fn current_user() -> String {
    current_uid().map_or_else(|| "USER".into(), user_name)
}

/// The name of the owner of a file, or its number.
pub(super) fn owner_name(path: &Path) -> String {
    match fs::metadata(path) {
        Ok(metadata) => user_name(metadata.uid()),
        Err(_) => "another user".into(),
    }
}

/// Whether `path` belongs to another user than `uid`, and is not writable for others.
pub(super) fn is_closed_to(path: &Path, uid: Option<u32>) -> bool {
    let (Some(uid), Ok(metadata)) = (uid, fs::metadata(path)) else {
        return false;
    };
    let others_may_write = metadata.mode() & 0o022 != 0;
    uid != 0 && metadata.uid() != uid && !others_may_write
}

fn user_name(uid: u32) -> String {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    name_in(&passwd, uid).unwrap_or_else(|| uid.to_string())
}

fn name_in(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let found: u32 = fields.nth(1)?.parse().ok()?;
        (found == uid && !name.is_empty()).then(|| name.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_the_user_table() {
        let table = "root:x:0:0::/root:/bin/sh\nbad\netcd:x:107:111::/var/lib/etcd:/bin/false\n";
        assert_eq!(name_in(table, 107).as_deref(), Some("etcd"));
        assert_eq!(name_in(table, 5), None);
    }

    #[test]
    fn a_directory_is_open_to_its_owner_only() {
        let directory = tempfile::tempdir().expect("a directory");
        let ours = current_uid();
        assert!(!is_closed_to(directory.path(), ours));
        let other = ours.map(|uid| uid + 1);
        assert!(is_closed_to(directory.path(), other));
    }
}
