//! Random commands on few keys, so that they interact.

use proptest::prelude::*;

use super::*;
use crate::cluster::{Member, MemberId};

/// A key of at most three parts; rarely the root, or a key of the cluster itself.
pub(super) fn key() -> impl Strategy<Value = Path> {
    let part = prop::sample::select(vec!["a", "b", "_h", "a-"]);
    let clients = prop::collection::vec(part, 0..=3).prop_map(|parts| path(&parts.join("/")));
    let clusters = prop::sample::select(vec!["/_etcd", "/_etcd/machines/a", "/_etcd/registry/x"]);
    prop_oneof![12 => clients, 1 => clusters.prop_map(path)]
}

fn text() -> impl Strategy<Value = Bytes> {
    prop::sample::select(vec!["", "1", "2", "three"])
        .prop_map(|text| Bytes::from_static(text.as_bytes()))
}

fn content() -> impl Strategy<Value = Content> {
    prop_oneof![4 => text().prop_map(Content::Value), 1 => Just(Content::Directory)]
}

fn ttl() -> impl Strategy<Value = Option<Duration>> {
    prop_oneof![
        2 => Just(None),
        1 => (0u64..6, prop::sample::select(vec![0, 1, 500_000_000]))
            .prop_map(|(seconds, nanos)| Some(Duration::new(seconds, nanos))),
    ]
}

fn wanted() -> impl Strategy<Value = Condition> {
    let index = prop::option::of(0u64..30);
    (prop::option::of(text()), index).prop_map(|(value, index)| Condition { value, index })
}

/// A command of a client.
pub(super) fn clients_command() -> impl Strategy<Value = Command> {
    let new = || (key(), content(), ttl());
    prop_oneof![
        6 => new().prop_map(|(path, content, ttl)| Command::Set { path, content, ttl }),
        2 => new().prop_map(|(path, content, ttl)| Command::Create { path, content, ttl }),
        1 => new().prop_map(|(directory, content, ttl)| Command::CreateInOrder { directory, content, ttl }),
        2 => (key(), prop::option::of(text()), any::<bool>(), ttl()).prop_map(
            |(path, value, directory, ttl)| Command::Update { path, value, directory, ttl }),
        1 => (key(), wanted(), ttl()).prop_map(
            |(path, condition, ttl)| Command::Refresh { path, condition, ttl }),
        2 => (key(), wanted(), text(), ttl()).prop_map(
            |(path, condition, value, ttl)| Command::CompareAndSwap { path, condition, value, ttl }),
        3 => (key(), any::<bool>(), any::<bool>()).prop_map(
            |(path, directory, recursive)| Command::Delete { path, directory, recursive }),
        1 => (key(), wanted()).prop_map(
            |(path, condition)| Command::CompareAndDelete { path, condition }),
    ]
}

fn member() -> impl Strategy<Value = Member> {
    (1u64..4, "[a-c]", "[a-z:/%&=]{0,9}").prop_map(|(id, name, url)| Member {
        id: MemberId::new(id).expect("not zero"),
        name,
        client_url: url.clone(),
        peer_url: url,
    })
}

/// Any command.
pub(super) fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        12 => clients_command(),
        2 => Just(Command::Expire),
        1 => Just(Command::Tick),
        1 => member().prop_map(Command::PutMember),
        1 => member().prop_map(|member| Command::RemoveMember { id: member.id, name: member.name }),
        1 => text().prop_map(Command::PutSettings),
    ]
}

/// An entry of the log; stamps may decrease, ids may repeat.
pub(super) fn entry() -> impl Strategy<Value = Stamped> {
    let id = (1u64..4, 1u64..200).prop_map(|(member, sequence)| CommandId {
        member: MemberId::new(member).expect("not zero"),
        sequence,
    });
    let stamp =
        (0u64..20).prop_map(|half_seconds| ClusterTime::from_nanos(half_seconds * 500_000_000));
    (stamp, prop::option::of(id), command()).prop_map(|(stamp, id, command)| Stamped {
        stamp,
        id,
        command,
    })
}

/// A log.
pub(super) fn log() -> impl Strategy<Value = Vec<Stamped>> {
    prop::collection::vec(entry(), 0..60)
}
