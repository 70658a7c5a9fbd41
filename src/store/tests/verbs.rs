//! Each verb, its events, its errors and its counters, as in etcd 0.4.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn refusal(code: Code, cause: &str) -> (Code, String) {
    (code, cause.to_owned())
}

#[test]
fn set_creates_parents_and_replaces_files() {
    let mut run = Run::new();
    let event = run.done(set("/a/b/c", "1"));
    assert!(event.created() && event.prev_node.is_none());
    assert_eq!((event.index(), event.node.created), (1, 1));
    let event = run.done(set("/a/b/c", "2"));
    assert_eq!(
        (event.index(), event.node.created, event.created()),
        (2, 2, false)
    );
    let before = event.prev_node.as_ref().expect("it was there");
    assert_eq!(
        (before.value.as_deref(), before.modified),
        (Some(&b"1"[..]), 1)
    );
    assert_eq!(run.keys(), ["/a", "/a/b", "/a/b/c"]);
    let way = run.get("/a").expect("made").node;
    assert_eq!((way.directory, way.created, way.modified), (true, 1, 1));
    assert_eq!(
        run.refused(set("/a/b", "x")),
        refusal(Code::NotFile, "/a/b")
    );
    assert_eq!(
        run.refused(set("/a/b/c/d/e", "x")),
        refusal(Code::NotDirectory, "/a/b/c")
    );
    assert_eq!(run.refused(set("/", "x")), refusal(Code::RootReadOnly, "/"));
    let event = run.done(make_directory("/a/b/c", None));
    assert!(event.node.directory && event.prev_node.as_ref().is_some_and(|node| !node.directory));
    assert_eq!(
        run.refused(make_directory("/a/b/c", None)),
        refusal(Code::NotFile, "/a/b/c")
    );
}

#[test]
fn create_fails_for_an_existing_key() {
    let mut run = Run::new();
    assert!(run.done(create("/a/f", "1")).created());
    assert_eq!(
        run.refused(create("/a/f", "2")),
        refusal(Code::NodeExists, "/a/f")
    );
    assert_eq!(
        run.refused(create("/a", "2")),
        refusal(Code::NodeExists, "/a")
    );
    assert_eq!(
        run.refused(create("/a/f/g", "2")),
        refusal(Code::NotDirectory, "/a/f")
    );
    assert_eq!(
        run.refused(create("/", "2")),
        refusal(Code::RootReadOnly, "/")
    );
    let counts = run.store.counters();
    assert_eq!(
        (counts.create_success, counts.create_fail, counts.sets_fail),
        (1, 4, 1)
    );
}

#[test]
fn names_in_order_have_all_digits_and_skip_existing_names() {
    let mut run = Run::new();
    let name = |number: u64| format!("/q/{number:020}");
    run.done(set(&name(3), "taken"));
    run.done(set(&name(4), "taken"));
    for (index, number) in [(3, 5), (4, 6), (5, 7)] {
        let event = run.done(post("/q"));
        assert_eq!(
            (event.index(), event.node.path.text()),
            (index, &name(number)[..])
        );
        assert_eq!(event.action, Action::Create);
    }
    run.done(set("/f", "1"));
    assert_eq!(run.refused(post("/f")), refusal(Code::NotDirectory, "/f"));
    assert_eq!(
        run.done(post("/")).node.path.text(),
        "/00000000000000000007"
    );
    let deep = "/d".repeat(path::PATH_LEVELS_MAX);
    let (code, cause) = run.refused(post(&deep));
    assert_eq!(
        (code, &cause[..]),
        (Code::InvalidForm, "the key has more than 128 levels")
    );
}

#[test]
fn update_keeps_the_created_index_and_clears_absent_fields() {
    let mut run = Run::new();
    assert_eq!(
        run.refused(update("/x/y", Some("1"), None)),
        refusal(Code::KeyNotFound, "/x")
    );
    assert_eq!(
        run.refused(update("/", Some("1"), None)),
        refusal(Code::RootReadOnly, "/")
    );
    run.done(set("/d/a", "keep me"));
    let event = run.done(update("/d/a", None, Some(30)));
    assert_eq!(
        (event.action, event.node.ttl, event.node.created),
        (Action::Update, 30, 1)
    );
    assert_eq!(event.node.value.as_deref(), Some(&b""[..]));
    let event = run.done(update("/d", None, Some(44)));
    assert_eq!((event.index(), event.node.ttl), (3, 44));
    let directory = run.get("/d").expect("it is there").node;
    assert_eq!((directory.modified, directory.ttl), (1, 44));
    assert_eq!(
        run.refused(update("/d", Some("v"), None)),
        refusal(Code::NotFile, "/d")
    );
    let on_a_file = Command::Update {
        path: path("/d/a"),
        value: None,
        directory: true,
        ttl: Some(SECOND),
    };
    assert_eq!(run.refused(on_a_file), refusal(Code::NotDirectory, "/d/a"));
    let counts = run.store.counters();
    assert_eq!((counts.update_success, counts.update_fail), (2, 3));
}

#[test]
fn a_failed_compare_names_the_difference() {
    let mut run = Run::new();
    run.done(set("/d/a", "x"));
    assert_eq!(run.done(swap("/d/a", "x", 1, "y")).node.created, 1);
    let failed = |cause: &str| refusal(Code::TestFailed, cause);
    assert_eq!(run.refused(swap("/d/a", "x", 2, "z")), failed("[x != y]"));
    assert_eq!(run.refused(swap("/d/a", "y", 1, "z")), failed("[1 != 2]"));
    assert_eq!(
        run.refused(swap("/d/a", "q", 9, "z")),
        failed("[q != y] [9 != 2]")
    );
    assert_eq!(
        run.refused(swap("/d", "q", 0, "z")),
        refusal(Code::NotFile, "/d")
    );
    assert_eq!(
        run.refused(swap("/", "q", 0, "z")),
        refusal(Code::RootReadOnly, "/")
    );
    assert_eq!(
        run.refused(swap("/n/o", "q", 0, "z")),
        refusal(Code::KeyNotFound, "/n")
    );
    run.done(swap("/d/a", "", 0, "anything will do"));
    assert_eq!(
        run.refused(compare_and_delete("/d/a", "x", 0)),
        failed("[x != anything will do]")
    );
    assert_eq!(
        run.refused(compare_and_delete("/d", "x", 0)),
        refusal(Code::NotFile, "/d")
    );
    assert_eq!(
        run.refused(compare_and_delete("/", "x", 0)),
        refusal(Code::NotFile, "/")
    );
    let event = run.done(compare_and_delete("/d/a", "", 3));
    assert_eq!(
        (event.index(), event.node.created, event.node.value.as_ref()),
        (4, 1, None)
    );
    assert!(event.removed.is_empty());
    let counts = run.store.counters();
    assert_eq!(
        (
            counts.compare_and_swap_success,
            counts.compare_and_swap_fail
        ),
        (2, 7)
    );
    assert_eq!(
        (
            counts.compare_and_delete_success,
            counts.compare_and_delete_fail
        ),
        (1, 1)
    );
}

#[test]
fn directories_are_removed_only_if_allowed_and_with_their_content() {
    let mut run = Run::new();
    run.done(set_for("/t/a/_h/k", "1", 5));
    run.done(set("/t/b", "2"));
    run.done(set("/tt/a", "3"));
    let plain = |directory, recursive| Command::Delete {
        path: path("/t"),
        directory,
        recursive,
    };
    assert_eq!(
        run.refused(plain(false, false)),
        refusal(Code::NotFile, "/t")
    );
    assert_eq!(
        run.refused(plain(true, false)),
        refusal(Code::DirectoryNotEmpty, "/t")
    );
    assert_eq!(
        run.refused(delete("/t/b/c")),
        refusal(Code::NotDirectory, "/t/b")
    );
    assert_eq!(
        run.refused(delete_all("/")),
        refusal(Code::RootReadOnly, "/")
    );
    let event = run.done(plain(false, true));
    assert!(event.node.directory && event.prev_node.as_ref().is_some_and(|node| node.directory));
    let removed: Vec<_> = event.removed.iter().map(Path::text).collect();
    assert_eq!(removed, ["/t/a", "/t/b", "/t/a/_h", "/t/a/_h/k"]);
    assert_eq!(run.keys(), ["/tt", "/tt/a"]);
    assert_eq!(run.store.next_deadline(), None);
    run.done(make_directory("/e", None));
    run.done(Command::Delete {
        path: path("/e"),
        directory: true,
        recursive: false,
    });
    let counts = run.store.counters();
    assert_eq!((counts.delete_success, counts.delete_fail), (2, 3));
}

#[test]
fn nodes_expire_in_the_order_of_their_deadlines() {
    let mut run = Run::new();
    run.done(set_for("/late", "1", 2));
    run.done(set_for("/z", "1", 1));
    run.done(make_directory("/d", Some(SECOND)));
    run.done(set_for("/d/k", "1", 1));
    run.done(set_for("/now", "1", 0));
    assert_eq!(run.store.next_deadline(), Some(ClusterTime::ZERO));
    run.wait(SECOND - Duration::from_nanos(1));
    let shown = run.get("/z").expect("not due").node;
    assert_eq!(
        (shown.ttl, run.get("/now").expect("not dropped").node.ttl),
        (1, 0)
    );
    run.events.clear();
    assert_eq!(run.apply(Command::Expire), Ok(None));
    assert_eq!(run.events.len(), 1, "nothing goes early");
    run.wait(Duration::from_nanos(1));
    assert_eq!(run.apply(Command::Expire), Ok(None));
    let seen: Vec<_> = run
        .events
        .iter()
        .map(|event| (event.index(), event.node.path.text()))
        .collect();
    assert_eq!(seen, [(6, "/now"), (7, "/d"), (8, "/z")]);
    let event = &run.events[1];
    assert!(
        event.action == Action::Expire && event.node.directory && *event.removed == [path("/d/k")]
    );
    let before = event.prev_node.as_ref().expect("it was there");
    assert_eq!(
        (before.ttl, before.deadline),
        (0, Some(ClusterTime::ZERO.plus(SECOND)))
    );
    assert_eq!(run.keys(), ["/late"]);
    assert_eq!(run.store.counters().expire_count, 3);
}

#[test]
fn one_entry_expires_a_limited_number() {
    let mut run = Run::new();
    for number in 0..=EXPIRE_MAX {
        run.done(set_for(&format!("/{number}"), "", 0));
    }
    run.events.clear();
    assert_eq!(run.apply(Command::Expire), Ok(None));
    assert_eq!((run.events.len(), run.keys().len()), (EXPIRE_MAX, 1));
    assert!(run.store.next_deadline().is_some());
}

#[test]
fn a_time_to_live_can_be_changed_and_removed() {
    let mut run = Run::new();
    run.done(set_for("/a", "1", 1));
    run.done(set_for("/a", "1", 1));
    assert!(
        run.store.next_deadline().is_some(),
        "the same deadline again is one"
    );
    run.done(update("/a", Some("2"), None));
    run.done(set_for("/b", "1", 1));
    run.done(swap("/b", "1", 0, "2"));
    run.done(set_for("/c", "1", 1));
    run.done(set("/c", "1"));
    assert_eq!(run.store.next_deadline(), None);
    run.wait(SECOND * 5);
    run.events.clear();
    assert_eq!(run.apply(Command::Expire), Ok(None));
    assert!(run.events.is_empty() && run.keys().len() == 3);
}

#[test]
fn the_clock_never_runs_backwards() {
    let mut run = Run::new();
    run.wait(SECOND * 10);
    assert_eq!(run.apply(Command::Tick), Ok(None));
    run.clock = ClusterTime::ZERO;
    let deadline = run.done(set_for("/a", "1", 5)).node.deadline;
    assert_eq!(deadline, Some(ClusterTime::ZERO.plus(SECOND * 15)));
    assert_eq!(run.store.clock(), ClusterTime::ZERO.plus(SECOND * 10));
}

#[test]
fn a_refresh_is_answered_and_is_not_an_event() {
    let mut run = Run::new();
    run.done(set_for("/d/a", "keep me", 5));
    let heard = run.events.len();
    let refresh = |key: &str, condition: Condition| Command::Refresh {
        path: path(key),
        condition,
        ttl: Some(SECOND * 50),
    };
    let event = run.done(refresh("/d/a", Condition::default()));
    assert_eq!(
        (event.action, event.index(), event.node.ttl),
        (Action::Update, 2, 50)
    );
    assert_eq!(event.node.value.as_deref(), Some(&b"keep me"[..]));
    assert_eq!(event.prev_node.as_ref().map(|node| node.ttl), Some(5));
    assert_eq!(run.get("/d/a").expect("it is there").node, event.node);
    let event = run.done(refresh("/d/a", condition("", 2)));
    assert_eq!(
        (event.action, event.node.modified),
        (Action::CompareAndSwap, 3)
    );
    let event = run.done(refresh("/d", Condition::default()));
    assert_eq!(
        (
            event.node.modified,
            run.get("/d").expect("it is there").node.modified
        ),
        (4, 1)
    );
    let failed = run.refused(refresh("/d/a", condition("", 9)));
    assert_eq!(failed, refusal(Code::TestFailed, "[9 != 3]"));
    assert_eq!(
        run.refused(refresh("/n", Condition::default())),
        refusal(Code::KeyNotFound, "/n")
    );
    assert_eq!(
        run.refused(refresh("/", Condition::default())),
        refusal(Code::RootReadOnly, "/")
    );
    assert_eq!(run.events.len(), heard);
    let everything = Interest {
        path: Path::root(),
        recursive: true,
    };
    let past = run
        .store
        .history_since(&everything, 1, 10)
        .expect("it is whole");
    assert_eq!(past.events.len(), 1);
}

#[test]
fn reads_name_the_first_missing_key() {
    let mut run = Run::new();
    run.done(set("/g/_h", "1"));
    run.done(set("/g/f", "1"));
    run.done(set("/g/d/_h/x", "1"));
    let missing = |key: &str| run.get(key).map_err(|error| (error.code, error.cause));
    assert_eq!(missing("/g/x/y/z"), Err(refusal(Code::KeyNotFound, "/g/x")));
    assert_eq!(
        missing("/g/f/y/z"),
        Err(refusal(Code::NotDirectory, "/g/f"))
    );
    assert_eq!(run.keys(), ["/g", "/g/d", "/g/f"]);
    assert_eq!(
        run.get("/g/d/_h").expect("asked for by name").nodes.len(),
        1
    );
    let all = run
        .store
        .get(&path("/g"))
        .expect("it is there")
        .with_hidden(true)
        .listing(true, run.clock);
    let hidden = all.nodes.iter().flat_map(|below| &below.nodes);
    assert!(hidden.map(|node| &node.node.path).any(Path::is_hidden));
    let flat = run
        .store
        .get(&path("/g"))
        .expect("it is there")
        .listing(false, run.clock);
    assert!(flat.nodes.iter().all(|below| below.nodes.is_empty()) && flat.nodes.len() == 2);
    let counts = run.store.counters();
    assert_eq!((counts.gets_success, counts.gets_fail), (4, 2));
}

#[test]
fn a_command_is_applied_once() {
    let mut run = Run::new();
    let member = crate::cluster::MemberId::new(1).expect("not zero");
    let mut send = |sequence, command: Command| {
        let entry = Stamped {
            stamp: ClusterTime::ZERO,
            id: Some(CommandId { member, sequence }),
            command,
        };
        run.store.apply(&entry, &mut run.events)
    };
    assert!(send(2, post("/q")).is_ok_and(|event| event.is_some()));
    assert_eq!(send(2, post("/q")), Ok(None));
    assert!(send(1, post("/q")).is_ok_and(|event| event.is_some()));
    assert!(send(3, delete("/none")).is_err());
    assert_eq!(
        send(3, delete("/none")),
        Ok(None),
        "a failure is applied as well"
    );
    assert_eq!((run.store.index(), run.keys().len()), (2, 3));
}
