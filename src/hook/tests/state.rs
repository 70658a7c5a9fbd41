use std::fs;

use super::super::ledger::{KeyUpdate, KnownKeys, Ledger};
use super::super::state::{
    Loaded, State, StateError, Subject, format_all, format_change, format_handled,
};

fn subject(key: &str) -> Subject {
    Subject {
        key: key.to_owned(),
        recursive: true,
    }
}

fn ledger() -> Ledger {
    let known = [("/a", 7), ("/d", 8), ("/d/k", 8)].map(|(key, index)| (key.to_owned(), index));
    Ledger::new(20, [], KnownKeys::from(known))
}

struct Scene {
    _directory: tempfile::TempDir,
    path: std::path::PathBuf,
}

fn scene() -> Scene {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("state");
    Scene {
        _directory: directory,
        path,
    }
}

/// What a process that starts now loads.
fn load(path: &std::path::Path) -> Result<Loaded, StateError> {
    State::open(path, &subject("/")).map(|(_, found)| found)
}

#[test]
fn the_state_is_restored() {
    let scene = scene();
    let (mut state, before) = State::open(&scene.path, &subject("/")).expect("a state");
    assert_eq!(before, Loaded::Missing);
    let mut ledger = ledger();
    assert!(state.is_long(&ledger));
    state
        .replace(&format_all(&subject("/"), &ledger))
        .expect("written");
    assert!(!state.is_long(&ledger));
    ledger.take(22);
    ledger.take(25);
    for (index, update) in [
        (25, KeyUpdate::Removed("/d".into())),
        (22, KeyUpdate::Set("/n".into(), 22)),
    ] {
        ledger.complete(index, &update);
        state
            .append(&format_change(index, &update, &ledger))
            .expect("added");
        // Also while a later change is handled and an earlier one is open.
        drop(state);
        let (next, after) = State::open(&scene.path, &subject("/")).expect("a state");
        let Loaded::Ledger(after) = after else {
            panic!("{after:?}")
        };
        assert_eq!(after.handled(), ledger.handled());
        assert_eq!(
            after.above().collect::<Vec<_>>(),
            ledger.above().collect::<Vec<_>>()
        );
        assert_eq!(after.known(), ledger.known());
        state = next;
        state
            .replace(&format_all(&subject("/"), &ledger))
            .expect("written");
    }
    ledger.skip_to(900);
    state.append(&format_handled(&ledger)).expect("added");
    drop(state);
    let Ok(Loaded::Ledger(after)) = load(&scene.path) else {
        panic!("no ledger")
    };
    assert_eq!(after.handled(), 900);
}

#[test]
fn an_incomplete_last_line_is_ignored_and_damage_is_reported() {
    let scene = scene();
    let text = format_all(&subject("/"), &ledger());
    fs::write(&scene.path, format!("{text}{{\"handled\":3")).expect("written");
    let Ok(Loaded::Ledger(after)) = load(&scene.path) else {
        panic!("no ledger")
    };
    assert_eq!(after.handled(), 20);
    fs::write(
        &scene.path,
        format!("{text}{{\"handled\":3\n{{\"handled\":30}}\n"),
    )
    .expect("written");
    let error = load(&scene.path).expect_err("damage").to_string();
    assert!(
        error.contains("line 6 is damaged") && error.contains("remove it"),
        "{error}"
    );
    for text in [
        "",
        "\n",
        "some text\n",
        "{\"format\":\"etcdctl exec-watch 2\",\"key\":\"/\",\"recursive\":true}\n",
    ] {
        fs::write(&scene.path, text).expect("written");
        let error = load(&scene.path).expect_err("no state");
        assert!(matches!(error, StateError::Format(_)), "{error}");
    }
}

#[test]
fn the_file_of_another_watch_is_recognized() {
    let scene = scene();
    fs::write(&scene.path, format_all(&subject("/other"), &ledger())).expect("written");
    let Ok(Loaded::OtherSubject(found)) = load(&scene.path) else {
        panic!("it was accepted")
    };
    assert_eq!(found.to_string(), "/other (recursive)");
}

#[test]
fn the_file_is_locked() {
    let scene = scene();
    let held = State::open(&scene.path, &subject("/")).expect("a state");
    let error = load(&scene.path).expect_err("it is held");
    assert!(matches!(error, StateError::InUse(_)), "{error}");
    drop(held);
    assert_eq!(load(&scene.path).ok(), Some(Loaded::Missing));
}

#[test]
fn a_missing_directory_is_reported() {
    let scene = scene();
    let error = load(&scene.path.join("below")).expect_err("no directory");
    assert!(matches!(error, StateError::Lock(..)), "{error}");
}
