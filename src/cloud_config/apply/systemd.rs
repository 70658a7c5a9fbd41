//! The state of units in systemd, and the record of the commands queued since boot.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::disk::Wanted;

/// The verbs and units that earlier runs queued, one JSON array per line. `/run` is cleared at boot.
const QUEUED: &str = "run/etcd-cloudinit/queued";

/// Whether a unit is enabled; false if systemd cannot be queried.
pub(super) fn is_enabled(unit: &str) -> bool {
    query("is-enabled", unit).is_ok_and(|output| output.status.success())
}

/// Whether a unit is running or starting: a starting unit may miss a change as well, and has to be restarted. A
/// unit that is stopping reads its files when it starts again. False if systemd cannot be queried.
pub(super) fn is_active(unit: &str) -> bool {
    let output = query("is-active", unit);
    output.is_ok_and(|output| has_read_files(String::from_utf8_lossy(&output.stdout).trim()))
}

/// Runs `systemctl VERB UNIT`.
fn query(verb: &str, unit: &str) -> io::Result<Output> {
    Command::new("systemctl")
        .args([verb, "--", unit])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
}

/// Whether a unit in this state of systemd has read its files. A unit that waits for its next start attempt is
/// activating.
fn has_read_files(state: &str) -> bool {
    matches!(state, "active" | "activating" | "reloading" | "refreshing")
}

/// Reads the verbs and units queued since boot. Lines of another form are skipped.
pub(super) fn load_queued(root: &Path) -> BTreeSet<(String, String)> {
    let text = fs::read_to_string(root.join(QUEUED)).unwrap_or_default();
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// Writes the verbs and units queued since boot.
///
/// # Errors
///
/// The file cannot be written.
pub(super) fn save_queued(root: &Path, queued: &BTreeSet<(String, String)>) -> io::Result<()> {
    let line = |(verb, unit): &(String, String)| format!("{}\n", serde_json::json!([verb, unit]));
    let text: String = queued.iter().map(line).collect();
    let wanted = Wanted {
        content: text.as_bytes(),
        mode: 0o644,
        owner: None,
    };
    let target = root.join(QUEUED);
    if !wanted.is_current(&target) {
        wanted.write(&target)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_starting_unit_has_read_its_files() {
        let up = |state: &&str| has_read_files(state);
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
    fn queued_commands_are_read_back() {
        let root = tempfile::tempdir().expect("a directory");
        assert_eq!(load_queued(root.path()), BTreeSet::new());
        let queued = BTreeSet::from([(String::from("start"), String::from("a\"b.service"))]);
        save_queued(root.path(), &queued).expect("a file");
        assert_eq!(load_queued(root.path()), queued);
    }
}
