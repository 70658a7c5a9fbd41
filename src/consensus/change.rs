//! What may change about the membership, and what a change comes to.

use std::fmt;

use crate::cluster::{Census, Member, MemberId, Settings, Stranding};
use crate::store::{Command, Store};
use crate::wal::Configuration;

/// What may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A machine joins as a learner; it gets a vote by itself once it has caught up. For a member that
    /// is known already: its name or addresses may have changed. Under the name of a member that is dead
    /// it takes that one's place: the old id leaves first, if the quorum allows.
    Join(Member),
    /// A learner has caught up and gets a vote.
    Promote(MemberId),
    /// A member leaves, dead or alive. A leader that is to leave hands over first.
    Remove(MemberId),
    /// The cluster is set to this.
    Configure(Settings),
}

/// Why a change did not happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeRefused {
    /// This member does not lead; here is who does, if it knows.
    NotLeader(Option<Member>),
    /// The name belongs to another member, which is living or may be.
    NameTaken(Member),
    /// The peer address belongs to another member.
    AddressTaken(Member),
    /// As many machines are members as the cluster is set to; whoever asked becomes a standby.
    Full {
        /// How many that is.
        active_size: u64,
    },
    /// The id was a member once and was removed: the machine begins anew, with an id of its own.
    Removed,
    /// Nobody has this id.
    Unknown(MemberId),
    /// The members that stay could not agree on anything any more.
    Strands(Stranding),
    /// The leader is to leave, and no other member could take over the lead.
    NoSuccessor,
    /// Too many changes wait.
    Busy,
    /// Leadership was lost before it was certain; it may still happen. Ask again.
    Lost,
}

impl fmt::Display for ChangeRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLeader(_) => f.write_str("this member does not lead"),
            Self::NameTaken(other) => write!(f, "the name belongs to the member {}", other.id),
            Self::AddressTaken(other) => {
                write!(f, "the peer address belongs to the member {}", other.name)
            }
            Self::Full { active_size } => {
                write!(f, "the cluster has its {active_size} members")
            }
            Self::Removed => f.write_str("the member was removed"),
            Self::Unknown(id) => write!(f, "there is no member {id}"),
            Self::Strands(why) => write!(f, "the cluster could not go on without it: {why}"),
            Self::NoSuccessor => f.write_str("no other member could take over the lead"),
            Self::Busy => f.write_str("too many changes of the membership wait"),
            Self::Lost => f.write_str("leadership changed meanwhile; it may still happen"),
        }
    }
}

/// One step of a change of Raft's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    AddVoter(u64),
    AddLearner(u64),
    Remove(u64),
}

/// What a change comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// It is so already.
    Nothing,
    /// This entry, and then all is done.
    Last(Command, Option<Step>),
    /// This entry, and then the change is looked at again.
    First(Command, Option<Step>),
    /// The leader is to leave: another must lead first.
    HandOver,
}

/// What the cluster is set to.
pub(super) fn settings(store: &Store) -> Settings {
    store
        .settings()
        .map_or_else(Settings::default, |text| Settings::parse(&text))
}

/// What a change comes to now.
pub(super) fn plan(
    change: &Change,
    store: &Store,
    configuration: &Configuration,
    census: &Census,
) -> Result<Plan, ChangeRefused> {
    match change {
        Change::Join(member) => join(member, store, configuration, census),
        Change::Promote(id) => {
            let learns = configuration.learners.contains(&id.get());
            let step = Some(Step::AddVoter(id.get()));
            Ok(if learns {
                Plan::Last(Command::Tick, step)
            } else {
                Plan::Nothing
            })
        }
        Change::Remove(id) => {
            if *id == census.leader {
                census.can_spare(*id).map_err(ChangeRefused::Strands)?;
                return Ok(Plan::HandOver);
            }
            let (command, step) = remove(*id, store, configuration, census)?;
            Ok(Plan::Last(command, step))
        }
        Change::Configure(settings) => {
            let text = settings.to_string().into();
            Ok(Plan::Last(Command::PutSettings(text), None))
        }
    }
}

fn join(
    member: &Member,
    store: &Store,
    configuration: &Configuration,
    census: &Census,
) -> Result<Plan, ChangeRefused> {
    let id = member.id.get();
    if store.is_removed(member.id) {
        return Err(ChangeRefused::Removed);
    }
    let known = configuration.contains(id) || store.members().any(|other| other.id == member.id);
    let mut dead = None;
    for other in store.members().filter(|other| other.id != member.id) {
        let namesake = other.name == member.name;
        if namesake && (known || census.may_live(other.id)) {
            return Err(ChangeRefused::NameTaken(other.clone()));
        }
        if !namesake && other.peer_url == member.peer_url {
            return Err(ChangeRefused::AddressTaken(other.clone()));
        }
        if namesake {
            dead = Some(other.id);
        }
    }
    if let Some(dead) = dead {
        let (command, step) = remove(dead, store, configuration, census)?;
        return Ok(Plan::First(command, step));
    }
    let settings = settings(store);
    if !known && !census.has_room(&settings) {
        let active_size = settings.active_size();
        return Err(ChangeRefused::Full { active_size });
    }
    let step = (!configuration.contains(id)).then_some(Step::AddLearner(id));
    if step.is_none() && store.members().any(|other| other == member) {
        return Ok(Plan::Nothing);
    }
    Ok(Plan::Last(Command::PutMember(member.clone()), step))
}

fn remove(
    id: MemberId,
    store: &Store,
    configuration: &Configuration,
    census: &Census,
) -> Result<(Command, Option<Step>), ChangeRefused> {
    let part = configuration.contains(id.get());
    let member = store.members().find(|member| member.id == id);
    let name = match member {
        Some(member) => member.name.clone(),
        None if part => String::new(),
        None => return Err(ChangeRefused::Unknown(id)),
    };
    census.can_spare(id).map_err(ChangeRefused::Strands)?;
    let step = part.then_some(Step::Remove(id.get()));
    Ok((Command::RemoveMember { id, name }, step))
}

#[cfg(test)]
mod tests {
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
        census: Census,
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
            let census = Census {
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
        assert_eq!(scene.plan(Change::Remove(id(1))), Ok(Plan::HandOver));
        let unknown = Err(ChangeRefused::Unknown(id(9)));
        assert_eq!(scene.plan(Change::Remove(id(9))), unknown);
        let stranded = scene.plan(Change::Remove(id(2)));
        assert!(matches!(stranded, Err(ChangeRefused::Strands(_))));
        let Ok(Plan::Last(leaves, Some(Step::Remove(3)))) = scene.plan(Change::Remove(id(3)))
        else {
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
}
