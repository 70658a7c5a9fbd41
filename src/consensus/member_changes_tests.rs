//! The queue of changes, and their entries.

use std::time::Duration;

use super::*;
use crate::cluster::{JoinRequest, MemberId};
use crate::store::{ClusterTime, HistoryLimits, Stamped};

const LIMITS: HistoryLimits = HistoryLimits {
    events: 9,
    bytes: 9_999,
};

fn id(number: u64) -> MemberId {
    MemberId::new(number).expect("not zero")
}

fn member(number: u64, name: &str) -> Member {
    Member {
        id: id(number),
        name: name.to_owned(),
        client_url: format!("http://{name}:4001"),
        peer_url: format!("http://{name}:7001"),
    }
}

/// The members 1 (the leader), 2 (dead) and 3.
fn scene() -> (Store, Configuration, Liveness) {
    let mut store = Store::new(LIMITS);
    for member in [member(1, "a"), member(2, "b"), member(3, "c")] {
        apply(&mut store, Command::PutMember(member));
    }
    let configuration = Configuration {
        voters: vec![1, 2, 3],
        ..Configuration::default()
    };
    let liveness = Liveness {
        leader: id(1),
        voters: [id(1), id(2), id(3)].into(),
        learners: [].into(),
        last_heard: [(id(3), Duration::ZERO)].into(),
        led_for: Duration::MAX,
        silence_max: Duration::from_secs(1),
    };
    (store, configuration, liveness)
}

fn apply(store: &mut Store, command: Command) {
    let stamped = Stamped {
        stamp: ClusterTime::ZERO,
        id: None,
        command,
    };
    store.apply(&stamped, &mut Vec::new()).expect("fits");
}

fn queue() -> Changes {
    Changes::new(ClusterId::new(9).expect("not zero"))
}

fn join(member: Member) -> Change {
    let cluster = None;
    Change::Join(JoinRequest { member, cluster })
}

fn command_id(sequence: u64) -> CommandId {
    CommandId {
        member: id(1),
        sequence,
    }
}

fn proposed(next: Next) -> Box<Proposal> {
    match next {
        Next::Propose(proposal) => proposal,
        Next::Wait | Next::TransferLeadership => panic!("nothing is proposed"),
    }
}

#[test]
fn a_replacement_is_two_entries_and_one_answer() {
    let (mut store, mut configuration, mut liveness) = scene();
    let mut changes = queue();
    let (answer, mut answered) = oneshot::channel();
    changes.add(join(member(4, "b")), Some(answer));
    let (later, mut later_answered) = oneshot::channel();
    changes.add(Change::Remove(id(9)), Some(later));

    let leaves = proposed(changes.next(&store, &configuration, &liveness));
    assert_eq!(leaves.step, Some(Step::Remove(2)));
    apply(&mut store, leaves.command.clone());
    changes.set_proposed(command_id(1), leaves, 7);
    assert!(matches!(
        changes.next(&store, &configuration, &liveness),
        Next::Wait
    ));
    configuration.voters = vec![1, 3];
    liveness.voters.remove(&id(2));
    changes.set_applied(7, Some(command_id(1)));
    assert!(answered.try_recv().is_err(), "only half of it is done");

    let joins = proposed(changes.next(&store, &configuration, &liveness));
    assert_eq!(joins.step, Some(Step::AddLearner(4)));
    changes.set_proposed(command_id(2), joins, 8);
    changes.set_applied(8, Some(command_id(2)));
    assert_eq!(answered.try_recv(), Ok(Ok(())));
    assert!(later_answered.try_recv().is_err(), "nothing comes between");
    changes.next(&store, &configuration, &liveness);
    let unknown = Err(Refusal::UnknownMember);
    assert_eq!(later_answered.try_recv(), Ok(unknown));
}

#[test]
fn an_overwritten_entry_and_a_lost_leadership_are_reported() {
    let (store, configuration, liveness) = scene();
    let mut changes = queue();
    let ask = |changes: &mut Changes| {
        let (answer, answered) = oneshot::channel();
        changes.add(Change::Remove(id(2)), Some(answer));
        answered
    };
    let mut replaced = ask(&mut changes);
    let proposal = proposed(changes.next(&store, &configuration, &liveness));
    changes.set_proposed(command_id(1), proposal, 7);
    changes.set_applied(6, None);
    assert!(replaced.try_recv().is_err(), "its entry is not applied yet");
    changes.set_applied(7, None);
    assert_eq!(replaced.try_recv(), Ok(Err(Refusal::LeadershipLost)));

    let (mut under_way, mut waits) = (ask(&mut changes), ask(&mut changes));
    let proposal = proposed(changes.next(&store, &configuration, &liveness));
    changes.set_proposed(command_id(2), proposal, 8);
    let other = member(3, "c");
    changes.refuse_all(Some(&other));
    assert_eq!(under_way.try_recv(), Ok(Err(Refusal::LeadershipLost)));
    let elsewhere = Err(not_leader(Some(&other)));
    assert_eq!(waits.try_recv(), Ok(elsewhere));
}

#[test]
fn a_leader_that_is_to_be_removed_waits_for_a_successor() {
    let (store, configuration, liveness) = scene();
    let mut changes = queue();
    let (answer, mut answered) = oneshot::channel();
    changes.add(Change::Remove(id(3)), None);
    changes.add(Change::Remove(id(1)), Some(answer));
    // With member 2 dead, no other can be removed.
    for _ in 0..2 {
        let next = changes.next(&store, &configuration, &liveness);
        assert!(matches!(next, Next::Wait));
    }
    assert!(matches!(
        answered.try_recv(),
        Ok(Err(Refusal::CannotRemove(_)))
    ));

    let mut well = liveness;
    well.last_heard.insert(id(2), Duration::ZERO);
    let (answer, mut answered) = oneshot::channel();
    changes.add(Change::Remove(id(1)), Some(answer));
    for _ in 0..2 {
        let next = changes.next(&store, &configuration, &well);
        assert!(matches!(next, Next::TransferLeadership));
    }
    changes.refuse_next(Refusal::NoSuccessor);
    assert_eq!(answered.try_recv(), Ok(Err(Refusal::NoSuccessor)));
}

#[test]
fn an_entry_round_trips() {
    let steps = vec![
        Step::Remove(3),
        Step::AddLearner(u64::MAX),
        Step::AddVoter(1),
    ];
    let entry = encode(&steps, b"command");
    assert_eq!(decode(entry), Some((steps, Bytes::from_static(b"command"))));
}

#[test]
fn invalid_entries_are_refused() {
    assert_eq!(decode(Bytes::new()), None);
    assert_eq!(
        decode(Bytes::from_static(&[1, 9, 0, 0, 0, 0, 0, 0, 0, 1])),
        None
    );
    assert_eq!(
        decode(Bytes::from_static(&[2, 1, 0, 0, 0, 0, 0, 0, 0, 1])),
        None
    );
}
