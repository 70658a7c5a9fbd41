//! Hooks in files.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;

use super::commands::Scene;
use super::{Watcher, wait, wait_for_lines};

/// A test with a directory of hooks.
struct Hooks {
    scene: Scene,
    directory: PathBuf,
}

impl Hooks {
    fn new(files: &[(&str, &str)]) -> Self {
        let scene = Scene::new(&[]);
        let directory = scene.directory.path().join("hooks.d");
        fs::create_dir(&directory).expect("made");
        mode(&directory, 0o755);
        for (name, text) in files {
            let path = directory.join(name);
            fs::write(&path, text).expect("written");
            mode(&path, 0o644);
        }
        Self { scene, directory }
    }

    fn start(&self, arguments: &[&str]) -> Watcher {
        let (verb, rest) = arguments.split_first().expect("a verb");
        let all = [&["hook", verb, "--dir", "hooks.d"], rest].concat();
        let member = [self.scene.cluster.members[0].client];
        Watcher::start(self.scene.directory.path(), &member, &all)
    }

    /// Run a command to its end. Returns exit status and stderr.
    fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut watcher = self.start(arguments);
        (watcher.end().code(), watcher.said())
    }

    fn out(&self) -> String {
        fs::read_to_string(self.scene.out()).expect("text")
    }
}

fn mode(path: &PathBuf, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
}

const GOOD: &str = "key: /w\nrecursive: true\ninitial: true\nenvironment: {GREETING: hello}\n\
                    command: echo $GREETING $ETCD_WATCH_KEY $ETCD_WATCH_VALUE\n";

const ALONE: &str = "key: /alone\ncommand: [sh, -c, 'echo alone $ETCD_WATCH_VALUE']\n";

const BAD: &str = "key: /w\ncommand: x\ntimeout: soon\n";

#[test]
fn valid_hooks_run_and_an_invalid_one_is_reported() {
    let hooks = Hooks::new(&[
        ("good.yaml", GOOD),
        ("alone.yaml", ALONE),
        ("bad.yaml", BAD),
        ("README", "nothing"),
    ]);
    hooks.scene.put("/w/a", "1");
    let start = ["run", "--all", "--state-dir", "state"];
    let mut watcher = hooks.start(&start);
    wait(|| hooks.scene.watchers() == 2, || watcher.said());
    let out = hooks.scene.out();
    wait_for_lines(&out, &["hello /w/a 1"]);
    hooks.scene.put("/alone", "2");
    wait_for_lines(&out, &["hello /w/a 1", "alone 2"]);
    let said = watcher.said();
    assert!(
        said.contains("hooks.d/bad.yaml:3: error: `timeout`: expected a number of seconds"),
        "{said}"
    );
    watcher.stop(0);
    // Handled changes are remembered.
    hooks.scene.put("/alone", "3");
    let mut watcher = hooks.start(&["run", "alone", "--state-dir", "state"]);
    wait_for_lines(&out, &["hello /w/a 1", "alone 2", "alone 3"]);
    watcher.stop(0);
}

#[test]
fn hooks_wait_for_a_member() {
    let mut hooks = Hooks::new(&[("alone.yaml", ALONE)]);
    hooks.scene.cluster.members[0].kill();
    let mut watcher = hooks.start(&["run", "alone", "--state-dir", "state"]);
    watcher.wait_until_said("retrying");
    hooks.scene.cluster.members[0].start();
    wait(
        || {
            let stats = hooks.scene.cluster.members[0].get("/v2/stats/store");
            stats.is_ok_and(|stats| stats.json()["watchers"] == 1)
        },
        || watcher.said(),
    );
    hooks.scene.put("/alone", "1");
    wait_for_lines(&hooks.scene.out(), &["alone 1"]);
    watcher.stop(0);
}

#[test]
fn hooks_are_checked_and_listed() {
    let hooks = Hooks::new(&[("good.yaml", GOOD), ("alone.yaml", ALONE)]);
    assert_eq!(hooks.run(&["check"]), (Some(0), String::new()));
    assert_eq!(hooks.run(&["list"]).0, Some(0));
    let listed = hooks.out();
    let rows: Vec<Vec<&str>> = listed
        .lines()
        .map(|row| row.split_whitespace().collect())
        .collect();
    assert_eq!(rows[0], ["NAME", "KEY", "COMMAND"]);
    assert_eq!(rows[1][..3], ["alone", "/alone", "sh"]);
    assert_eq!(rows[2][..3], ["good", "/w", "(recursive)"]);
    fs::write(hooks.directory.join("bad.yaml"), BAD).expect("written");
    let (code, said) = hooks.run(&["check"]);
    assert_eq!(code, Some(1));
    let line = "hooks.d/bad.yaml:3: error: `timeout`: expected a number of seconds above 0, at most 86400, found the string \"soon\"\n";
    assert_eq!(said, line);
    assert_eq!(hooks.run(&["check", "good"]).0, Some(0));
    let (code, said) = hooks.run(&["check", "nobody"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("hook nobody not found"), "{said}");
    assert_eq!(
        hooks.run(&["run", "bad", "--state-dir", "state"]).0,
        Some(1)
    );
}

#[test]
fn files_that_others_can_write_are_refused() {
    let hooks = Hooks::new(&[("alone.yaml", ALONE)]);
    let file = hooks.directory.join("alone.yaml");
    mode(&file, 0o664);
    let (code, said) = hooks.run(&["run", "alone", "--state-dir", "state"]);
    assert_eq!(code, Some(1));
    assert!(
        said.contains("alone.yaml: error: writable by other users"),
        "{said}"
    );
    mode(&file, 0o644);
    mode(&hooks.directory, 0o777);
    let (code, said) = hooks.run(&["list"]);
    assert_eq!(code, Some(1));
    assert!(
        said.contains("hooks.d: error: writable by other users") && said.contains("0777"),
        "{said}"
    );
    mode(&hooks.directory, 0o755);
    // Only root can change the owner of a file.
    if chown(&file, Some(4242), None).is_ok() {
        let (code, said) = hooks.run(&["check"]);
        assert_eq!(code, Some(1));
        assert!(
            said.contains("owned by user 4242 (must be owned by root)"),
            "{said}"
        );
    }
}

#[test]
fn a_command_runs_as_its_user_with_its_groups() {
    let who = "key: /a\ncommand: echo $(id -un) $(id -Gn) $HOME $USER\nuser: ";
    let hooks = Hooks::new(&[
        ("who.yaml", &format!("{who}nobody\n")),
        ("none.yaml", &format!("{who}no-such\n")),
    ]);
    let is_root = fs::metadata("/proc/self")
        .is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0);
    if !is_root {
        eprintln!("only root can run commands as somebody else: not tried");
        return;
    }
    let (code, said) = hooks.run(&["check", "none"]);
    assert_eq!(code, Some(1));
    assert!(
        said.contains("none: error: user \"no-such\" not found"),
        "{said}"
    );
    let mut watcher = hooks.start(&["run", "who", "--state-dir", "state"]);
    wait(|| hooks.scene.watchers() == 1, || watcher.said());
    hooks.scene.put("/a", "1");
    wait_for_lines(&hooks.scene.out(), &["nobody nogroup /nonexistent nobody"]);
    watcher.stop(0);
}
