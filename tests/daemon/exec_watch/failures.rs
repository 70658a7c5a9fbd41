//! Commands that fail, hang, print much, do not exist, or are killed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use super::commands::Scene;
use super::{lines, wait, wait_for_lines};

#[test]
fn a_failure_is_logged_and_the_watch_continues() {
    let scene = Scene::new(&[]);
    let script = "echo $ETCD_WATCH_VALUE; [ $ETCD_WATCH_VALUE = 1 ] && exit 3; kill -9 $$";
    let mut watcher = scene.watch(&["--on-failure", "continue", "/a", "--", "sh", "-c", script]);
    scene.put("/a", "1");
    scene.put("/a", "2");
    wait_for_lines(&scene.out(), &["1", "2"]);
    watcher.wait_until_said("/a: sh exited with code 3");
    watcher.wait_until_said("/a: sh was killed by SIGKILL");
    watcher.stop(0);
}

#[test]
fn on_failure_stop_exits_and_the_change_is_not_handled() {
    let scene = Scene::new(&[]);
    let arguments = [
        "--state",
        "state",
        "--on-failure",
        "stop",
        "/a",
        "--",
        "sh",
        "-c",
    ];
    let mut watcher = scene.watch(&[&arguments[..], &["exit 7"]].concat());
    scene.put("/a", "1");
    assert_eq!(watcher.end().code(), Some(7), "{}", watcher.said());
    let mut watcher = scene.watch(&[&arguments[..], &["echo $ETCD_WATCH_VALUE"]].concat());
    wait_for_lines(&scene.out(), &["1"]);
    watcher.stop(0);
}

#[test]
fn a_failed_command_is_retried() {
    let scene = Scene::new(&[]);
    let script = "echo x >> tries; [ $(wc -l < tries) = 2 ] && echo done $ETCD_WATCH_VALUE";
    let mut watcher = scene.watch(&["--retry", "3", "/a", "--", "sh", "-c", script]);
    scene.put("/a", "1");
    wait_for_lines(&scene.out(), &["done 1"]);
    assert!(
        watcher
            .said()
            .contains("exited with code 1; retrying in 1 s"),
        "{}",
        watcher.said()
    );
    watcher.stop(0);
}

#[test]
fn a_command_that_cannot_be_run_is_named() {
    let scene = Scene::new(&[]);
    let mut watcher = scene.watch(&["--on-failure", "continue", "/a", "--", "/no/such/command"]);
    assert!(
        watcher
            .said()
            .contains("command /no/such/command not found")
    );
    for value in ["1", "2"] {
        scene.put("/a", value);
        let times = || {
            watcher
                .said()
                .matches("cannot be started: /no/such/command")
                .count()
        };
        wait(|| times().to_string() == value, || watcher.said());
    }
    watcher.stop(0);
    // Without `--on-failure` it exits, as etcdctl always did.
    let plain = scene.directory.path().join("plain");
    fs::write(&plain, "text").expect("written");
    fs::set_permissions(&plain, fs::Permissions::from_mode(0o644)).expect("set");
    let mut watcher = scene.watch(&["/a", "--", "./plain"]);
    scene.put("/a", "3");
    assert_eq!(watcher.end().code(), Some(1));
    assert!(
        watcher.said().contains("./plain: Permission denied"),
        "{}",
        watcher.said()
    );
}

#[test]
fn a_command_that_hangs_is_killed_with_its_children() {
    let scene = Scene::new(&[]);
    let script = "sleep 1000 & echo $!; trap '' TERM; sleep 1000";
    let arguments = ["--timeout", "0.3", "/a", "--", "sh", "-c", script];
    let mut watcher = scene.watch(&arguments);
    scene.put("/a", "1");
    let began = Instant::now();
    watcher.wait_until_said("timed out after 0.3 s");
    // It ignores SIGTERM, so it ran until SIGKILL.
    assert!(began.elapsed() > Duration::from_secs(5));
    let child = lines(&scene.out())[0].clone();
    wait(|| !runs(&child), || format!("{child} is still there"));
    scene.put("/a", "2");
    wait(|| lines(&scene.out()).len() == 2, || watcher.said());
    watcher.signal("-TERM");
    watcher.stop(0);
}

/// Whether a process runs and is not a zombie.
fn runs(id: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit(") ")
        .next()
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

#[test]
fn output_is_complete_and_commands_are_reaped() {
    let scene = Scene::new(&[]);
    let script = "yes $ETCD_WATCH_VALUE | head -c 3000000";
    let mut watcher = scene.watch(&[
        "--concurrency",
        "2",
        "--recursive",
        "/w",
        "--",
        "sh",
        "-c",
        script,
    ]);
    for key in ["/w/a", "/w/b", "/w/c"] {
        scene.put(key, "flood");
    }
    let size = || fs::metadata(scene.out()).map_or(0, |meta| meta.len());
    wait(|| size() == 9_000_000, || format!("{} bytes", size()));
    // All commands were reaped: it has no children.
    let children = format!("/proc/{0}/task/{0}/children", watcher.id());
    let children = || fs::read_to_string(&children).expect("Linux");
    wait(|| children().is_empty(), children);
    watcher.stop(0);
}
