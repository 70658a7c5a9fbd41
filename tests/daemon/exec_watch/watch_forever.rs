//! `watch --forever`.

use super::commands::Scene;
use super::proxy::Proxy;
use super::{Watcher, wait, wait_for_lines};

/// The member is down until its history no longer has the missed changes.
#[test]
fn it_continues_after_a_cleared_history() {
    let scene = Scene::new(&["-watch-history=100"]);
    let member = scene.cluster.members[0].client;
    let (first, second) = (Proxy::start(member), Proxy::start(member));
    second.cut(true);
    let members = [first.address, second.address];
    scene.put("/w/kept", "0");
    let arguments = ["watch", "--forever", "--recursive", "/w"];
    let mut watcher = Watcher::start(scene.directory.path(), &members, &arguments);
    wait(|| scene.watchers() > 0, || watcher.said());
    scene.put("/w/a", "1");
    wait_for_lines(&scene.out(), &["1"]);
    drop(first);
    wait(|| scene.watchers() == 0, || watcher.said());
    scene.put("/w/a", "2");
    scene.put("/w/a", "3");
    scene.put("/w/b", "4");
    for number in 0..200 {
        scene.put("/elsewhere", &number.to_string());
    }
    second.cut(false);
    // Of several missed changes only the last one is printed, and unchanged keys are not.
    wait_for_lines(&scene.out(), &["1", "3", "4"]);
    watcher.wait_until_said("401");
    wait(|| scene.watchers() > 0, || watcher.said());
    scene.put("/w/b", "5");
    wait_for_lines(&scene.out(), &["1", "3", "4", "5"]);
    watcher.signal("-INT");
    assert_eq!(watcher.end().code(), Some(0), "{}", watcher.said());
}

/// Each change is printed with the indexes of its response.
#[test]
fn it_exits_after_the_given_number_of_changes() {
    let scene = Scene::new(&[]);
    let member = scene.cluster.members[0].client;
    let arguments = ["-o", "extended", "watch", "--exit-after", "2", "/a"];
    let mut watcher = Watcher::start(scene.directory.path(), &[member], &arguments);
    wait(|| scene.watchers() > 0, || watcher.said());
    let index = scene.put("/a", "1");
    scene.put("/a", "2");
    assert_eq!(watcher.end().code(), Some(0), "{}", watcher.said());
    let printed = std::fs::read_to_string(scene.out()).expect("a file");
    assert!(
        printed.contains(&format!("Modified-Index: {index}\n")),
        "{printed}"
    );
    assert!(
        !printed.contains("Raft-Index: 0\n") && !printed.contains("Raft-Term: 0\n"),
        "{printed}"
    );
    assert!(printed.ends_with("\n\n2\n"), "{printed}");
}
