//! What is proposed for each change, case by case. Who may join is tested in `cluster::admission`.

use std::time::Duration;

use super::*;
use crate::cluster::QuorumLoss;
use crate::store::{ClusterTime, HistoryLimits, Stamped};

const CLUSTER: u64 = 9;

fn member(id: u64, name: &str) -> Member {
    Member {
        id: MemberId::new(id).expect("not zero"),
        name: name.to_owned(),
        client_url: format!("http://{name}:4001"),
        peer_url: format!("http://{name}:7001"),
    }
}

/// The members 1 (the leader), 2 and 3, called a, b and c. The `dead` were last heard an hour ago; the active size is 4.
struct Scene {
    store: Store,
    configuration: Configuration,
    liveness: Liveness,
}

impl Scene {
    fn new(dead: &[u64]) -> Self {
        let mut store = Store::new(HistoryLimits {
            events: 9,
            bytes: 9_999,
        });
        let settings = Command::PutSettings("{\"activeSize\":4}".into());
        let members = [member(1, "a"), member(2, "b"), member(3, "c")];
        let ids = members.each_ref().map(|member| member.id);
        let members = members.into_iter().map(Command::PutMember);
        for command in members.chain([settings]) {
            let stamped = Stamped {
                stamp: ClusterTime::ZERO,
                id: None,
                command,
            };
            store.apply(&stamped, &mut Vec::new()).expect("fits");
        }
        let hour = Duration::from_secs(3_600);
        let ago = |id: &MemberId| {
            if dead.contains(&id.get()) {
                hour
            } else {
                Duration::ZERO
            }
        };
        let liveness = Liveness {
            leader: ids[0],
            voters: ids.into_iter().collect(),
            learners: [].into(),
            last_heard: ids.iter().map(|id| (*id, ago(id))).collect(),
            led_for: hour,
            silence_max: Duration::from_secs(1),
        };
        let configuration = Configuration {
            voters: vec![1, 2, 3],
            ..Configuration::default()
        };
        Self {
            store,
            configuration,
            liveness,
        }
    }

    fn plan(&self, change: Change) -> Result<Plan, Refusal> {
        let cluster = ClusterId::new(CLUSTER).expect("not zero");
        let Self {
            store,
            configuration,
            liveness,
        } = self;
        plan(&change, cluster, store, configuration, liveness)
    }

    fn join(&self, member: Member) -> Result<Plan, Refusal> {
        let request = JoinRequest {
            member,
            cluster: ClusterId::new(CLUSTER),
        };
        self.plan(Change::Join(request))
    }

    fn learner(&mut self, member: Member) {
        self.configuration.learners.push(member.id.get());
        self.liveness.learners.insert(member.id);
        self.apply(Command::PutMember(member));
    }

    fn apply(&mut self, command: Command) {
        let stamped = Stamped {
            stamp: ClusterTime::ZERO,
            id: None,
            command,
        };
        self.store.apply(&stamped, &mut Vec::new()).expect("fits");
    }
}

#[test]
fn a_new_member_becomes_a_learner() {
    let mut scene = Scene::new(&[]);
    let new = member(4, "d");
    let joins = Plan::Last(Command::PutMember(new.clone()), Some(Step::AddLearner(4)));
    assert_eq!(scene.join(new.clone()), Ok(joins));
    scene.learner(new.clone());
    assert_eq!(scene.join(new.clone()), Ok(Plan::Nothing));
    let moved = Member {
        peer_url: "http://elsewhere:7001".to_owned(),
        ..new
    };
    let moves = Plan::Last(Command::PutMember(moved.clone()), None);
    assert_eq!(scene.join(moved), Ok(moves));
    let Err(Refusal::Full(list)) = scene.join(member(5, "e")) else {
        panic!("the cluster is full");
    };
    assert_eq!(list.cluster.get(), CLUSTER);
    assert_eq!(list.settings.active_size(), 4);
}

#[test]
fn a_dead_namesake_is_removed_first() {
    let rebuilt = || member(4, "c");
    let leaves = Command::RemoveMember {
        id: member(3, "c").id,
        name: "c".to_owned(),
    };
    let first = Plan::First(leaves, Some(Step::Remove(3)));
    assert_eq!(Scene::new(&[3]).join(rebuilt()), Ok(first));
    let taken = Err(Refusal::NameTaken {
        name: "c".to_owned(),
        holder: member(3, "c").id,
    });
    assert_eq!(Scene::new(&[]).join(rebuilt()), taken);
    let lost = Scene::new(&[2, 3]).join(rebuilt());
    assert!(matches!(lost, Err(Refusal::CannotReplace { .. })));
}

#[test]
fn a_removed_member_never_joins_again() {
    let mut scene = Scene::new(&[3]);
    let id = |number| member(number, "x").id;
    let leader_leaves = Scene::new(&[]).plan(Change::Remove(id(1)));
    assert_eq!(leader_leaves, Ok(Plan::TransferLeadership));
    let unknown = Err(Refusal::UnknownMember);
    assert_eq!(scene.plan(Change::Remove(id(9))), unknown);
    let loss = QuorumLoss::NoQuorum {
        voters: 2,
        living: 1,
    };
    let lost = scene.plan(Change::Remove(id(2)));
    assert_eq!(lost, Err(Refusal::CannotRemove(loss)));
    let Ok(Plan::Last(leaves, Some(Step::Remove(3)))) = scene.plan(Change::Remove(id(3))) else {
        panic!("the quorum is kept");
    };
    scene.apply(leaves);
    scene.configuration.voters = vec![1, 2];
    let again = scene.join(member(3, "c"));
    assert_eq!(again, Err(Refusal::Removed));
}

#[test]
fn settings_are_written_even_if_they_are_the_same() {
    let scene = Scene::new(&[]);
    let same = read_settings(&scene.store);
    assert_eq!(same.active_size(), 4);
    let Ok(Plan::Last(Command::PutSettings(text), None)) = scene.plan(Change::Configure(same))
    else {
        panic!("it is written");
    };
    assert_eq!(Settings::parse(&text), same);
}
