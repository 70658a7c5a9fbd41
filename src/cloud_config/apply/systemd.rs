//! How systemd finds its units, and what was queued since boot.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use super::disk::Wanted;

/// Verbs and units that earlier runs queued, a JSON array each line. It is gone at the next boot.
const QUEUED: &str = "run/etcd-cloudinit/queued";

/// Whether `systemctl WORD UNIT` says yes; if it cannot be asked, no.
pub(super) fn is(word: &str, unit: &str) -> bool {
    Command::new("systemctl")
        .args([word, "--quiet", "--", unit])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// What was queued since boot. A line that is none of ours is left out.
pub(super) fn remembered(root: &Path) -> BTreeSet<(String, String)> {
    let text = fs::read_to_string(root.join(QUEUED)).unwrap_or_default();
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// Keep what was queued.
pub(super) fn remember(root: &Path, queued: &BTreeSet<(String, String)>) -> io::Result<()> {
    let line = |(verb, unit): &(String, String)| format!("{}\n", serde_json::json!([verb, unit]));
    let text: String = queued.iter().map(line).collect();
    let wanted = Wanted {
        content: text.as_bytes(),
        mode: 0o644,
        owner: None,
    };
    let place = root.join(QUEUED);
    if !wanted.is_there(&place) {
        wanted.put(&place)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_queued_is_remembered() {
        let root = tempfile::tempdir().expect("a folder");
        assert_eq!(remembered(root.path()), BTreeSet::new());
        let queued = BTreeSet::from([(String::from("start"), String::from("a\"b.service"))]);
        remember(root.path(), &queued).expect("a file");
        assert_eq!(remembered(root.path()), queued);
    }
}
