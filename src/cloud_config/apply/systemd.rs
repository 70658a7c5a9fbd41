//! How systemd finds its units, and what was queued since boot.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::disk::Wanted;

/// Verbs and units that earlier runs queued, a JSON array each line. It is gone at the next boot.
const QUEUED: &str = "run/etcd-cloudinit/queued";

/// Whether a unit is enabled; if nobody can be asked, no.
pub(super) fn is_enabled(unit: &str) -> bool {
    ask("is-enabled", unit).is_ok_and(|output| output.status.success())
}

/// Whether a unit runs or is about to: a change that comes while it starts is lost on it, too, unless it is
/// started again. One that is on its way out reads its files when it comes back. If nobody can be asked, no.
pub(super) fn runs(unit: &str) -> bool {
    ask("is-active", unit).is_ok_and(|output| is_up(String::from_utf8_lossy(&output.stdout).trim()))
}

/// What `systemctl WORD UNIT` answers.
fn ask(word: &str, unit: &str) -> io::Result<Output> {
    Command::new("systemctl")
        .args([word, "--", unit])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
}

/// Whether this state of a unit, in systemd's word, is one in which it has read its files. A unit that waits
/// for its next try is activating.
fn is_up(state: &str) -> bool {
    matches!(state, "active" | "activating" | "reloading" | "refreshing")
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
    fn a_unit_that_starts_has_read_its_files() {
        let up = |state: &&str| is_up(state);
        let states = [
            "active",
            "reloading",
            "inactive",
            "failed",
            "activating",
            "deactivating",
            "maintenance",
            "",
        ];
        let states: Vec<&str> = states.into_iter().filter(|state| up(state)).collect();
        assert_eq!(states, ["active", "reloading", "activating"]);
    }

    #[test]
    fn what_was_queued_is_remembered() {
        let root = tempfile::tempdir().expect("a folder");
        assert_eq!(remembered(root.path()), BTreeSet::new());
        let queued = BTreeSet::from([(String::from("start"), String::from("a\"b.service"))]);
        remember(root.path(), &queued).expect("a file");
        assert_eq!(remembered(root.path()), queued);
    }
}
