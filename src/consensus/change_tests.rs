//! What a change comes to, case by case.

use std::time::Duration;

use super::*;
use crate::store::{ClusterTime, HistoryLimits, Stamped};

fn member(id: u64, name: &str) -> Member {
    Member {
        id: MemberId::new(id).expect("not zero"),
        name: name.to_owned(),
        client_url: format!("http://{name}:4001"),
        peer_url: format!("http://{name}:7001"),
    }
}

/// Members 1 (which leads), 2 and 3 by the names a, b and c, of which `dead` were not heard for long;
/// up to four may be members.
struct Scene {
    store: Store,
    configuration: Configuration,
    census: Liveness,
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
        let census = Liveness {
            leader: ids[0],
            voters: ids.into_iter().collect(),
            learners: [].into(),
            heard: ids.iter().map(|id| (*id, ago(id))).collect(),
            led_for: hour,
            living_max: Duration::from_secs(1),
        };
        let configuration = Configuration {
            voters: vec![1, 2, 3],
            ..Configuration::default()
        };
        Self {
            store,
            configuration,
            census,
        }
    }

    fn plan(&self, change: Change) -> Result<Plan, ChangeRefused> {
        plan(&change, &self.store, &self.configuration, &self.census)
    }

    fn learner(&mut self, member: Member) {
        self.configuration.learners.push(member.id.get());
        self.census.learners.insert(member.id);
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
fn a_machine_joins_while_there_is_a_place() {
    let mut scene = Scene::new(&[]);
    let new = member(4, "d");
    let joins = Plan::Last(Command::PutMember(new.clone()), Some(Step::AddLearner(4)));
    assert_eq!(scene.plan(Change::Join(new.clone())), Ok(joins));
    scene.learner(new.clone());
    assert_eq!(scene.plan(Change::Join(new.clone())), Ok(Plan::Nothing));
    let moved = Member {
        peer_url: "http://elsewhere:7001".to_owned(),
        ..new
    };
    let moves = Plan::Last(Command::PutMember(moved.clone()), None);
    assert_eq!(scene.plan(Change::Join(moved)), Ok(moves));
    let full = Err(ChangeRefused::Full { active_size: 4 });
    assert_eq!(scene.plan(Change::Join(member(5, "e"))), full);
}

#[test]
fn a_rebuilt_machine_takes_the_place_of_its_dead_self() {
    let rebuilt = Change::Join(member(4, "c"));
    let leaves = Command::RemoveMember {
        id: member(3, "c").id,
        name: "c".to_owned(),
    };
    let first = Plan::First(leaves, Some(Step::Remove(3)));
    assert_eq!(Scene::new(&[3]).plan(rebuilt.clone()), Ok(first));
    let taken = Err(ChangeRefused::NameTaken(member(3, "c")));
    assert_eq!(Scene::new(&[]).plan(rebuilt.clone()), taken);
    // Two of three are dead: nothing can be agreed on.
    let stranded = Scene::new(&[2, 3]).plan(rebuilt.clone());
    assert!(matches!(stranded, Err(ChangeRefused::Strands(_))));
    // A leader that has just begun cannot tell who is dead.
    let mut young = Scene::new(&[3]);
    young.census.led_for = Duration::ZERO;
    assert_eq!(young.plan(rebuilt), taken);
}

#[test]
fn names_and_addresses_belong_to_one() {
    let scene = Scene::new(&[3]);
    let address = Member {
        name: "e".to_owned(),
        ..member(5, "c")
    };
    let taken = ChangeRefused::AddressTaken(member(3, "c"));
    assert_eq!(scene.plan(Change::Join(address)), Err(taken));
    // A member takes no other's name, not even a dead one's.
    let renamed = Member {
        name: "c".to_owned(),
        ..member(2, "b")
    };
    let taken = ChangeRefused::NameTaken(member(3, "c"));
    assert_eq!(scene.plan(Change::Join(renamed)), Err(taken));
}

#[test]
fn who_leaves_is_never_one_again() {
    let mut scene = Scene::new(&[3]);
    let id = |number| member(number, "x").id;
    let leader_leaves = Scene::new(&[]).plan(Change::Remove(id(1)));
    assert_eq!(leader_leaves, Ok(Plan::TransferLeadership));
    let unknown = Err(ChangeRefused::Unknown(id(9)));
    assert_eq!(scene.plan(Change::Remove(id(9))), unknown);
    let stranded = scene.plan(Change::Remove(id(2)));
    assert!(matches!(stranded, Err(ChangeRefused::Strands(_))));
    let Ok(Plan::Last(leaves, Some(Step::Remove(3)))) = scene.plan(Change::Remove(id(3))) else {
        panic!("it can be spared");
    };
    scene.apply(leaves);
    scene.configuration.voters = vec![1, 2];
    let again = scene.plan(Change::Join(member(3, "c")));
    assert_eq!(again, Err(ChangeRefused::Removed));
}

#[test]
fn settings_are_written_even_if_they_are_the_same() {
    let scene = Scene::new(&[]);
    let same = settings(&scene.store);
    assert_eq!(same.active_size(), 4);
    let Ok(Plan::Last(Command::PutSettings(text), None)) = scene.plan(Change::Configure(same))
    else {
        panic!("it is written");
    };
    assert_eq!(Settings::parse(&text), same);
}
