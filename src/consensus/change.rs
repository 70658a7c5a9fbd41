//! What may change about the membership, and what a change comes to.

use std::fmt;

use crate::cluster::{Liveness, Member, MemberId, QuorumLoss, Settings};
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
    Strands(QuorumLoss),
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
    TransferLeadership,
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
    census: &Liveness,
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
                return Ok(Plan::TransferLeadership);
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
    census: &Liveness,
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
    census: &Liveness,
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
#[path = "change_tests.rs"]
mod tests;
