//! The state file, and a history that no longer has the missed changes.

use std::fs;

use super::commands::Scene;
use super::{Watcher, lines, wait, wait_for_lines};

/// A watch of `/w` with a state file that prints a line for each change.
const WATCH: [&str; 8] = [
    "--state",
    "state",
    "--recursive",
    "/w",
    "--",
    "sh",
    "-c",
    "echo $ETCD_WATCH_ACTION $ETCD_WATCH_KEY $ETCD_WATCH_VALUE",
];

#[test]
fn missed_changes_run_at_the_start() {
    let scene = Scene::new(&[]);
    scene.put("/w/before", "0");
    let mut watcher = scene.watch(&WATCH);
    scene.put("/w/a", "1");
    wait_for_lines(&scene.out(), &["set /w/a 1"]);
    watcher.stop(0);
    scene.put("/w/a", "2");
    scene.put("/elsewhere", "x");
    scene.put("/w/b", "3");
    let mut watcher = scene.watch(&WATCH);
    wait_for_lines(&scene.out(), &["set /w/a 1", "set /w/a 2", "set /w/b 3"]);
    watcher.stop(0);
    let mut watcher = scene.watch(&WATCH);
    scene.put("/w/c", "4");
    wait_for_lines(
        &scene.out(),
        &["set /w/a 1", "set /w/a 2", "set /w/b 3", "set /w/c 4"],
    );
    watcher.stop(0);
}

#[test]
fn existing_keys_run_at_the_start_if_configured() {
    let scene = Scene::new(&[]);
    scene.put("/w/a", "1");
    scene.put("/w/d/b", "2");
    let arguments = [&["--initial"], &WATCH[..]].concat();
    let mut watcher = scene.watch(&arguments);
    scene.put("/w/a", "3");
    wait_for_lines(&scene.out(), &["get /w/a 1", "get /w/d/b 2", "set /w/a 3"]);
    watcher.stop(0);
    // Nothing has changed; it runs for the current value again and continues from there.
    fs::remove_file(scene.out()).expect("removed");
    let mut watcher = scene.watch(&arguments);
    scene.put("/w/a", "4");
    wait_for_lines(&scene.out(), &["get /w/d/b 2", "get /w/a 3", "set /w/a 4"]);
    watcher.stop(0);
}

#[test]
fn after_a_cleared_history_it_runs_for_differences() {
    let scene = Scene::new(&["-watch-history=100"]);
    for key in ["/w/kept", "/w/changed", "/w/gone", "/w/d/gone"] {
        scene.put(key, "1");
    }
    let mut watcher = scene.watch(&WATCH);
    scene.put("/w/late", "1");
    wait_for_lines(&scene.out(), &["set /w/late 1"]);
    watcher.stop(0);
    scene.put("/w/changed", "2");
    scene.put("/w/new", "3");
    for target in ["/w/gone", "/w/d?recursive=true"] {
        let member = scene.cluster.members[0].client;
        let path = format!("/v2/keys{target}");
        let answer = crate::http::request(member, "DELETE", &path, "", super::TIMEOUT);
        assert_eq!(answer.expect("it serves").status, 200);
    }
    for number in 0..200 {
        scene.put("/elsewhere", &number.to_string());
    }
    let mut watcher = scene.watch(&WATCH);
    watcher.wait_until_said("reading all keys");
    let expected = [
        "set /w/late 1",
        "delete /w/gone",
        "delete /w/d/gone",
        "delete /w/d",
        "set /w/changed 2",
        "set /w/new 3",
    ];
    wait_for_lines(&scene.out(), &expected);
    assert!(watcher.said().contains("5 changes"), "{}", watcher.said());
    watcher.stop(0);
    // All of that is handled.
    let mut watcher = scene.watch(&WATCH);
    scene.put("/w/last", "4");
    wait(|| lines(&scene.out()).len() == 7, || watcher.said());
    watcher.stop(0);
}

#[test]
fn a_new_cluster_is_noticed() {
    let mut scene = Scene::new(&[]);
    scene.put("/w/gone", "1");
    let mut watcher = scene.watch(&WATCH);
    for number in 0..20 {
        scene.put("/w/a", &number.to_string());
    }
    wait(|| lines(&scene.out()).len() == 20, || watcher.said());
    watcher.stop(0);
    fs::remove_file(scene.out()).expect("removed");
    scene.cluster.members[0].kill();
    let data = scene.cluster.directory().join("m0.etcd");
    fs::remove_dir_all(data).expect("removed");
    scene.cluster.members[0].start();
    scene.cluster.wait_until_formed();
    scene.put("/w/a", "new");
    let mut watcher = scene.watch(&WATCH);
    wait_for_lines(&scene.out(), &["delete /w/gone", "set /w/a new"]);
    assert!(watcher.said().contains("the store was replaced"));
    scene.put("/w/b", "2");
    wait_for_lines(
        &scene.out(),
        &["delete /w/gone", "set /w/a new", "set /w/b 2"],
    );
    watcher.stop(0);
}

#[test]
fn an_unusable_state_file_is_refused() {
    let scene = Scene::new(&[]);
    let start = |state: &str, key: &str| {
        let member = [scene.cluster.members[0].client];
        let arguments = ["exec-watch", "--state", state, key, "--", "true"];
        let mut watcher = Watcher::start(scene.directory.path(), &member, &arguments);
        (watcher.end().code(), watcher.said())
    };
    let mut holder = scene.watch(&["--state", "held", "/a", "--", "true"]);
    wait(
        || scene.directory.path().join("held").exists(),
        || holder.said(),
    );
    let (code, said) = start("held", "/a");
    assert_eq!(code, Some(1));
    assert!(said.contains("held is in use by another process"), "{said}");
    holder.stop(0);
    let (code, said) = start("held", "/b");
    assert_eq!(code, Some(1));
    assert!(
        said.contains("held is the state of a watch of /a, not of /b; remove it"),
        "{said}"
    );
    fs::write(scene.directory.path().join("odd"), "x\n").expect("written");
    let (code, said) = start("odd", "/a");
    assert_eq!(code, Some(1));
    assert!(
        said.contains("odd: not a state file of exec-watch"),
        "{said}"
    );
    let (code, said) = start("no/such/place", "/a");
    assert_eq!(code, Some(1));
    assert!(said.contains("cannot open no/such/place.lock"), "{said}");
}

/// A watched key does not change while others do: the stored index follows, so that no change is missed after a
/// restart. It lags by at most 900 changes, so a history of 1,400 is enough.
#[test]
fn an_unchanged_key_survives_a_busy_store() {
    let scene = Scene::new(&["-watch-history=1500"]);
    let mut watcher = scene.watch(&WATCH);
    let state = scene.directory.path().join("state");
    let handled = || {
        let lines = lines(&state);
        let line = lines.last().map_or("{}", String::as_str);
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        line["handled"].as_u64().unwrap_or(0)
    };
    // Fewer changes at once than the history holds.
    for _ in 0..4 {
        let indices = (0..500).map(|number| scene.put("/elsewhere", &number.to_string()));
        let last = indices.max().expect("an index");
        wait(
            || handled() + 900 >= last,
            || format!("{last} {}", handled()),
        );
    }
    watcher.signal("-KILL");
    watcher.end();
    for number in 0..500 {
        scene.put("/elsewhere", &number.to_string());
    }
    scene.put("/w/a", "1");
    let mut watcher = scene.watch(&WATCH);
    wait_for_lines(&scene.out(), &["set /w/a 1"]);
    assert_eq!(watcher.said(), "");
    watcher.stop(0);
}
