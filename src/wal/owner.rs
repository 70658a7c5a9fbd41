//! Who we are and whose a file is, for messages and for the check whether we may use it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The user this process acts as; none where the system does not tell.
pub(super) fn our_uid() -> Option<u32> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    // Real, effective, saved, file system.
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Our name, to be put after `chown`.
pub(super) fn our_name() -> String {
    our_uid().map_or_else(|| "USER".into(), user_name)
}

/// The owner's name, or what is known of it.
pub(super) fn owner_name(path: &Path) -> String {
    match fs::metadata(path) {
        Ok(metadata) => user_name(metadata.uid()),
        Err(_) => "someone else".into(),
    }
}

/// Whether `path` is another user's, and not open to all: then we can't rely on writing there.
pub(super) fn is_closed_to_us(path: &Path, uid: Option<u32>) -> bool {
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
    fn a_directory_of_ours_is_open_and_anothers_is_not() {
        let directory = tempfile::tempdir().expect("a directory");
        let ours = our_uid();
        assert!(!is_closed_to_us(directory.path(), ours));
        let other = ours.map(|uid| uid + 1);
        assert!(is_closed_to_us(directory.path(), other));
    }
}
