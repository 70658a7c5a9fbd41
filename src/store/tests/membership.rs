//! The keys of the cluster itself.

use super::*;
use crate::cluster::{Member, MemberId};

fn member(id: u64, name: &str, port: u16) -> Member {
    Member {
        id: MemberId::new(id).expect("not zero"),
        name: name.to_owned(),
        client_url: format!("http://127.0.0.1:{port}"),
        peer_url: format!("http://[::1]:{port}"),
    }
}

fn remove(id: u64, name: &str) -> Command {
    Command::RemoveMember {
        id: MemberId::new(id).expect("not zero"),
        name: name.to_owned(),
    }
}

fn names(run: &Run) -> Vec<String> {
    run.store
        .members()
        .map(|member| member.name.clone())
        .collect()
}

#[test]
fn a_member_is_a_key_and_an_event() {
    let mut run = Run::new();
    let event = run.done(Command::PutMember(member(7, "one", 4001)));
    assert_eq!(
        (event.action, event.node.path.text()),
        (Action::Set, "/_etcd/machines/one")
    );
    let expected = b"etcd=http%3A%2F%2F127.0.0.1%3A4001&raft=http%3A%2F%2F%5B%3A%3A1%5D%3A4001";
    assert_eq!(event.node.value.as_deref(), Some(&expected[..]));
    run.done(Command::PutMember(member(7, "one", 4002)));
    assert_eq!(
        run.store.members().collect::<Vec<_>>(),
        [&member(7, "one", 4002)]
    );
    assert_eq!(run.store.client_keys(), 0);
    let event = run.done(remove(7, "one"));
    assert_eq!(
        (event.action, event.node.path.text()),
        (Action::Delete, "/_etcd/machines/one")
    );
    assert_eq!(
        run.refused(remove(7, "one")),
        (Code::KeyNotFound, "/_etcd/machines/one".to_owned())
    );
    assert!(
        run.get("/_etcd/machines")
            .expect("it stays")
            .nodes
            .is_empty()
    );
    let bad = run.refused(Command::PutMember(member(7, "a/b", 4001)));
    assert_eq!(bad.0, Code::InvalidForm);
}

#[test]
fn a_name_belongs_to_the_last_member_with_it() {
    let mut run = Run::new();
    run.done(Command::PutMember(member(1, "one", 4001)));
    run.done(Command::PutMember(member(2, "one", 4002)));
    assert_eq!(names(&run), ["one", "one"]);
    assert_eq!(
        run.apply(remove(1, "one")),
        Ok(None),
        "the key is another's by now"
    );
    assert!(run.get("/_etcd/machines/one").is_ok());
    run.events.clear();
    let event = run.done(Command::PutMember(member(2, "two", 4002)));
    let seen: Vec<_> = run
        .events
        .iter()
        .map(|event| (event.action, event.node.path.text()))
        .collect();
    let expected = [
        (Action::Delete, "/_etcd/machines/one"),
        (Action::Set, "/_etcd/machines/two"),
    ];
    assert_eq!((seen.as_slice(), event.index()), (&expected[..], 4));
    assert_eq!(names(&run), ["two"]);
}

#[test]
fn settings_are_a_key() {
    let mut run = Run::new();
    let event = run.done(Command::PutSettings(Bytes::from_static(b"{}")));
    assert_eq!(
        (event.action, event.node.path.text()),
        (Action::Set, "/_etcd/config")
    );
    assert_eq!(run.store.client_keys(), 0);
    run.done(set("/_etcd/registry/x", "1"));
    assert_eq!(run.store.client_keys(), 2, "the key and its directory");
}

#[test]
fn clients_can_write_neither_these_keys_nor_those_above() {
    let mut run = Run::new();
    run.done(Command::PutMember(member(1, "one", 4001)));
    run.done(Command::PutSettings(Bytes::from_static(b"{}")));
    let before = image::hash(&run.store);
    for key in [
        "/_etcd",
        "/_etcd/config",
        "/_etcd/machines",
        "/_etcd/machines/one",
        "/_etcd/config/x",
    ] {
        let commands = [
            set(key, "x"),
            make_directory(key, None),
            create(key, "x"),
            update(key, None, Some(1)),
            delete(key),
            delete_all(key),
            swap(key, "{}", 0, "x"),
            compare_and_delete(key, "{}", 0),
            Command::Refresh {
                path: path(key),
                condition: Condition::default(),
                ttl: None,
            },
        ];
        for command in commands {
            assert_eq!(run.refused(command), (Code::Reserved, key.to_owned()));
        }
    }
    assert_eq!(run.refused(post("/_etcd/machines")).0, Code::Reserved);
    assert_eq!(image::hash(&run.store), before);
    for key in [
        "/_etcd/registry/a",
        "/_etcd/machinesx",
        "/_etcdx",
        "/_etcd/configs/y",
    ] {
        run.done(set(key, "x"));
    }
    run.done(post("/_etcd"));
    run.done(delete_all("/_etcd/registry"));
}

#[test]
fn commands_of_a_removed_member_are_not_applied() {
    let mut run = Run::new();
    let one = MemberId::new(1).expect("not zero");
    run.done(Command::PutMember(member(1, "one", 4001)));
    let entry = |sequence, value| Stamped {
        stamp: ClusterTime::ZERO,
        id: Some(CommandId {
            member: one,
            sequence,
        }),
        command: set("/a", value),
    };
    let apply = |run: &mut Run, entry| run.store.apply(&entry, &mut Vec::new());
    assert!(matches!(apply(&mut run, entry(9, "1")), Ok(Some(_))));
    assert!(!run.store.is_removed(one));
    run.done(remove(1, "one"));
    assert!(run.store.is_removed(one));
    assert_eq!(run.store.removed_ids().collect::<Vec<_>>(), [one]);
    // Neither commands that were applied already, nor those under way.
    for sequence in [9, 10] {
        assert_eq!(apply(&mut run, entry(sequence, "2")), Ok(None));
    }
}

#[test]
fn the_settings_are_read_as_written() {
    let mut run = Run::new();
    assert_eq!(run.store.settings(), None);
    run.done(Command::PutSettings("{}".into()));
    assert_eq!(run.store.settings().as_deref(), Some(&b"{}"[..]));
}
