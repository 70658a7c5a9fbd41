//! The queue of changes, and the entries they become.

use std::time::Duration;

use super::*;
use crate::cluster::MemberId;
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

/// Member 1 leads member 2, which is dead, and 3.
fn scene() -> (Store, Configuration, Liveness) {
    let mut store = Store::new(LIMITS);
    for member in [member(1, "a"), member(2, "b"), member(3, "c")] {
        apply(&mut store, Command::PutMember(member));
    }
    let configuration = Configuration {
        voters: vec![1, 2, 3],
        ..Configuration::default()
    };
    let census = Liveness {
        leader: id(1),
        voters: [id(1), id(2), id(3)].into(),
        learners: [].into(),
        heard: [(id(3), Duration::ZERO)].into(),
        led_for: Duration::MAX,
        living_max: Duration::from_secs(1),
    };
    (store, configuration, census)
}

fn apply(store: &mut Store, command: Command) {
    let stamped = Stamped {
        stamp: ClusterTime::ZERO,
        id: None,
        command,
    };
    store.apply(&stamped, &mut Vec::new()).expect("fits");
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
    let (mut store, mut configuration, mut census) = scene();
    let mut changes = Changes::default();
    let (answer, mut answered) = oneshot::channel();
    changes.add(Change::Join(member(4, "b")), Some(answer));
    let (later, mut later_answered) = oneshot::channel();
    changes.add(Change::Remove(id(9)), Some(later));

    let leaves = proposed(changes.next(&store, &configuration, &census));
    assert_eq!(leaves.step, Some(Step::Remove(2)));
    apply(&mut store, leaves.command.clone());
    changes.proposed(command_id(1), leaves, 7);
    assert!(matches!(
        changes.next(&store, &configuration, &census),
        Next::Wait
    ));
    configuration.voters = vec![1, 3];
    census.voters.remove(&id(2));
    changes.applied(7, Some(command_id(1)));
    assert!(answered.try_recv().is_err(), "only half of it is done");

    let joins = proposed(changes.next(&store, &configuration, &census));
    assert_eq!(joins.step, Some(Step::AddLearner(4)));
    changes.proposed(command_id(2), joins, 8);
    changes.applied(8, Some(command_id(2)));
    assert_eq!(answered.try_recv(), Ok(Ok(())));
    assert!(later_answered.try_recv().is_err(), "nothing comes between");
    changes.next(&store, &configuration, &census);
    let unknown = Err(ChangeRefused::Unknown(id(9)));
    assert_eq!(later_answered.try_recv(), Ok(unknown));
}

#[test]
fn what_was_replaced_or_outlived_its_leader_is_told_apart() {
    let (store, configuration, census) = scene();
    let mut changes = Changes::default();
    let ask = |changes: &mut Changes| {
        let (answer, answered) = oneshot::channel();
        changes.add(Change::Remove(id(2)), Some(answer));
        answered
    };
    let mut replaced = ask(&mut changes);
    let proposal = proposed(changes.next(&store, &configuration, &census));
    changes.proposed(command_id(1), proposal, 7);
    changes.applied(6, None);
    assert!(replaced.try_recv().is_err(), "it is not its turn");
    changes.applied(7, None);
    assert_eq!(replaced.try_recv(), Ok(Err(ChangeRefused::Lost)));

    let (mut under_way, mut waits) = (ask(&mut changes), ask(&mut changes));
    let proposal = proposed(changes.next(&store, &configuration, &census));
    changes.proposed(command_id(2), proposal, 8);
    let other = member(3, "c");
    changes.lost(Some(&other));
    assert_eq!(under_way.try_recv(), Ok(Err(ChangeRefused::Lost)));
    let elsewhere = Err(ChangeRefused::NotLeader(Some(other)));
    assert_eq!(waits.try_recv(), Ok(elsewhere));
}

#[test]
fn a_leader_that_is_to_leave_waits_for_another() {
    let (store, configuration, census) = scene();
    let mut changes = Changes::default();
    let (answer, mut answered) = oneshot::channel();
    changes.add(Change::Remove(id(3)), None);
    changes.add(Change::Remove(id(1)), Some(answer));
    // With 2 dead nobody else can be spared.
    for _ in 0..2 {
        let next = changes.next(&store, &configuration, &census);
        assert!(matches!(next, Next::Wait));
    }
    assert!(matches!(
        answered.try_recv(),
        Ok(Err(ChangeRefused::Strands(_)))
    ));

    let mut well = census;
    well.heard.insert(id(2), Duration::ZERO);
    let (answer, mut answered) = oneshot::channel();
    changes.add(Change::Remove(id(1)), Some(answer));
    for _ in 0..2 {
        let next = changes.next(&store, &configuration, &well);
        assert!(matches!(next, Next::TransferLeadership));
    }
    changes.refuse_next(ChangeRefused::NoSuccessor);
    assert_eq!(answered.try_recv(), Ok(Err(ChangeRefused::NoSuccessor)));
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
fn what_is_no_entry_is_refused() {
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
