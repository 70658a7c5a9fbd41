//! Who may join, case by case.

use std::time::Duration;

use super::*;
use crate::cluster::QuorumLoss;

const CLUSTER: u64 = 9;

fn id(number: u64) -> MemberId {
    MemberId::new(number).expect("not zero")
}

fn cluster(number: u64) -> ClusterId {
    ClusterId::new(number).expect("not zero")
}

fn member(number: u64, name: &str, peer_url: &str) -> Member {
    Member {
        id: id(number),
        name: name.to_owned(),
        client_url: "http://10.0.0.1:4001".to_owned(),
        peer_url: peer_url.to_owned(),
    }
}

/// A cluster of the voters 1 to 3, of which 1 leads, with room for a fourth member.
struct Scene {
    members: Vec<Member>,
    removed_ids: BTreeSet<MemberId>,
    settings: Settings,
    liveness: Liveness,
}

impl Scene {
    fn new(dead: &[u64]) -> Self {
        let members = vec![
            member(1, "one", "http://one.example:7001"),
            member(2, "two", "http://two.example:7001"),
            member(3, "three", "http://three.example:7001"),
        ];
        let last_heard = |number: u64| match dead.contains(&number) {
            true => Duration::from_secs(3_600),
            false => Duration::ZERO,
        };
        Self {
            removed_ids: [id(8)].into(),
            settings: Settings::default().with_active_size(4),
            liveness: Liveness {
                leader: id(1),
                voters: members.iter().map(|member| member.id).collect(),
                learners: BTreeSet::new(),
                last_heard: [2, 3].map(|number| (id(number), last_heard(number))).into(),
                led_for: Duration::from_secs(3_600),
                silence_max: Duration::from_secs(1),
            },
            members,
        }
    }

    fn admit(&self, member: Member) -> Result<Admission, Refusal> {
        self.admit_from(None, member)
    }

    fn admit_from(&self, from: Option<u64>, member: Member) -> Result<Admission, Refusal> {
        let cluster_of_member = from.map(cluster);
        let state = ClusterState {
            cluster: cluster(CLUSTER),
            members: &self.members,
            removed_ids: &self.removed_ids,
            settings: self.settings,
            liveness: &self.liveness,
        };
        let request = JoinRequest {
            member,
            cluster: cluster_of_member,
        };
        admit(&request, &state)
    }
}

fn new_member() -> Member {
    member(4, "four", "http://four.example:7001")
}

#[test]
fn a_new_member_is_admitted() {
    assert_eq!(Scene::new(&[]).admit(new_member()), Ok(Admission::New));
    let from_here = Scene::new(&[]).admit_from(Some(CLUSTER), new_member());
    assert_eq!(from_here, Ok(Admission::New));
}

#[test]
fn a_foreign_cluster_is_refused() {
    let foreign = Refusal::ForeignCluster {
        ours: cluster(CLUSTER),
        theirs: cluster(7),
    };
    let scene = Scene::new(&[]);
    assert_eq!(
        scene.admit_from(Some(7), new_member()),
        Err(foreign.clone())
    );
    // Even with the id of a member.
    let known = scene.members[1].clone();
    assert_eq!(scene.admit_from(Some(7), known), Err(foreign));
}

#[test]
fn a_removed_id_is_refused() {
    let removed = member(8, "eight", "http://eight.example:7001");
    assert_eq!(Scene::new(&[]).admit(removed), Err(Refusal::Removed));
}

#[test]
fn a_full_cluster_refuses_new_members_only() {
    let mut scene = Scene::new(&[]);
    scene.settings = scene.settings.with_active_size(3);
    let Err(Refusal::Full(list)) = scene.admit(new_member()) else {
        panic!("the cluster is full");
    };
    assert_eq!(list.members, scene.members);
    assert_eq!((list.cluster, list.leader), (cluster(CLUSTER), Some(id(1))));
    assert_eq!(list.settings, scene.settings);
    let known = scene.members[2].clone();
    assert_eq!(scene.admit(known), Ok(Admission::Known { changed: false }));
}

#[test]
fn a_learner_takes_a_seat() {
    let mut scene = Scene::new(&[]);
    scene.liveness.learners.insert(id(4));
    scene.members.push(new_member());
    let known = Admission::Known { changed: false };
    assert_eq!(scene.admit(new_member()), Ok(known));
    let fifth = member(5, "five", "http://five.example:7001");
    assert!(matches!(scene.admit(fifth), Err(Refusal::Full(_))));
}

#[test]
fn a_member_changes_its_address() {
    let moved = member(2, "two", "http://elsewhere.example:7001");
    let changed = Admission::Known { changed: true };
    assert_eq!(Scene::new(&[]).admit(moved), Ok(changed));
    // On record, but not in Raft's configuration: it is added there.
    let mut scene = Scene::new(&[]);
    scene.members.push(new_member());
    assert_eq!(scene.admit(new_member()), Ok(Admission::New));
}

#[test]
fn an_address_belongs_to_one_member() {
    for dead in [&[][..], &[2]] {
        let scene = Scene::new(dead);
        for url in [
            "http://two.example:7001",
            "http://TWO.example:7001",
            "http://two.Example:7001/",
            "http://two.example",
            "two.EXAMPLE",
        ] {
            let refusal = scene.admit(member(4, "four", url)).expect_err(url);
            let taken = Refusal::AddressTaken {
                name: "four".to_owned(),
                peer_url: url.to_owned(),
                holder: "two".to_owned(),
            };
            assert_eq!(refusal, taken, "{dead:?}");
        }
        // A member may not move to another member's address either.
        let moved = scene.admit(member(3, "three", "http://Two.example:7001"));
        assert!(matches!(moved, Err(Refusal::AddressTaken { .. })));
        let other_port = scene.admit(member(4, "four", "http://two.example:7002"));
        assert_eq!(other_port, Ok(Admission::New));
    }
}

#[test]
fn a_member_may_rewrite_the_case_of_its_host_name() {
    let mut scene = Scene::new(&[]);
    scene.members[1].peer_url = "http://TWO.example:7001".to_owned();
    // It is recorded as the member writes it.
    let rewritten = scene.admit(member(2, "two", "http://two.example:7001"));
    assert_eq!(rewritten, Ok(Admission::Known { changed: true }));
}

#[test]
fn the_name_of_a_living_member_is_taken() {
    let scene = Scene::new(&[3]);
    let taken = |name: &str, holder| {
        let name = name.to_owned();
        Err(Refusal::NameTaken { name, holder })
    };
    let namesake = member(4, "two", "http://four.example:7001");
    assert_eq!(scene.admit(namesake), taken("two", id(2)));
    // A member does not take the name of another, not even of a dead one.
    let renamed = member(2, "three", "http://two.example:7001");
    assert_eq!(scene.admit(renamed), taken("three", id(3)));
    // A leader that was elected a moment ago cannot know who is dead.
    let mut young = Scene::new(&[3]);
    young.liveness.led_for = Duration::ZERO;
    let rebuilt = member(4, "three", "http://three.example:7001");
    assert_eq!(young.admit(rebuilt), taken("three", id(3)));
}

#[test]
fn a_dead_namesake_is_replaced_if_the_quorum_allows() {
    let rebuilt = || member(4, "three", "http://Three.example:7001");
    let replaces = Ok(Admission::Replaces(id(3)));
    assert_eq!(Scene::new(&[3]).admit(rebuilt()), replaces);
    // It needs no free seat.
    let mut full = Scene::new(&[3]);
    full.settings = full.settings.with_active_size(3);
    assert_eq!(full.admit(rebuilt()), replaces);
    let refused = Refusal::CannotReplace {
        name: "three".to_owned(),
        loss: QuorumLoss::NoQuorum {
            voters: 2,
            living: 1,
        },
    };
    assert_eq!(Scene::new(&[2, 3]).admit(rebuilt()), Err(refused));
}
