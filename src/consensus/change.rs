//! Changes of the membership, and the log entries that make them.

use std::collections::BTreeSet;

use crate::cluster::{
    Admission, ClusterId, ClusterState, JoinRequest, Liveness, Member, MemberId, Refusal, Settings,
    admit,
};
use crate::store::{Command, Store};
use crate::wal::Configuration;

/// A change of the membership or of the cluster's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Admit a member as a learner, which becomes a voter once it has caught up. For a known member, record
    /// its name and addresses. A dead member with the same name is removed first.
    Join(JoinRequest),
    /// Make a learner that has caught up a voter.
    Promote(MemberId),
    /// Remove a member, dead or alive. A leader that is to be removed transfers leadership first.
    Remove(MemberId),
    /// Set the cluster's settings.
    Configure(Settings),
}

/// One step of a change of Raft's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    AddVoter(u64),
    AddLearner(u64),
    Remove(u64),
}

/// What the leader does next about a change.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Nothing: the membership is already as the change wants it.
    Nothing,
    /// Propose this entry, the last of the change.
    Last(Command, Option<Step>),
    /// Propose this entry; once it is applied, plan the change again.
    First(Command, Option<Step>),
    /// Transfer leadership: the leader itself is to be removed.
    TransferLeadership,
}

/// The cluster's settings.
pub(super) fn read_settings(store: &Store) -> Settings {
    store
        .settings()
        .map_or_else(Settings::default, |text| Settings::parse(&text))
}

/// Plan a change of `cluster`, as its store, Raft's configuration and the members' liveness are now.
///
/// # Errors
///
/// - For [`Change::Join`]: those of [`admit`].
/// - For [`Change::Remove`]: [`Refusal::UnknownMember`], or [`Refusal::CannotRemove`] where the quorum would be
///   lost.
pub(super) fn plan(
    change: &Change,
    cluster: ClusterId,
    store: &Store,
    configuration: &Configuration,
    liveness: &Liveness,
) -> Result<Plan, Refusal> {
    match change {
        Change::Join(request) => {
            let members: Vec<Member> = store.members().cloned().collect();
            let removed_ids: BTreeSet<MemberId> = store.removed_ids().collect();
            let state = ClusterState {
                cluster,
                members: &members,
                removed_ids: &removed_ids,
                settings: read_settings(store),
                liveness,
            };
            let admission = admit(request, &state)?;
            plan_join(&request.member, admission, store, configuration, liveness)
        }
        Change::Promote(id) => {
            let is_learner = configuration.learners.contains(&id.get());
            let step = Some(Step::AddVoter(id.get()));
            Ok(if is_learner {
                Plan::Last(Command::Tick, step)
            } else {
                Plan::Nothing
            })
        }
        Change::Remove(id) if *id == liveness.leader => {
            liveness.check_removal(*id).map_err(Refusal::CannotRemove)?;
            Ok(Plan::TransferLeadership)
        }
        Change::Remove(id) => {
            let (command, step) = plan_removal(*id, store, configuration, liveness)?;
            Ok(Plan::Last(command, step))
        }
        Change::Configure(settings) => {
            let text = settings.to_string().into();
            Ok(Plan::Last(Command::PutSettings(text), None))
        }
    }
}

fn plan_join(
    member: &Member,
    admission: Admission,
    store: &Store,
    configuration: &Configuration,
    liveness: &Liveness,
) -> Result<Plan, Refusal> {
    let record = || Command::PutMember(member.clone());
    match admission {
        Admission::New => {
            let step = Step::AddLearner(member.id.get());
            Ok(Plan::Last(record(), Some(step)))
        }
        Admission::Known { changed: true } => Ok(Plan::Last(record(), None)),
        Admission::Known { changed: false } => Ok(Plan::Nothing),
        Admission::Replaces(namesake) => {
            let (command, step) = plan_removal(namesake, store, configuration, liveness)?;
            Ok(Plan::First(command, step))
        }
    }
}

fn plan_removal(
    id: MemberId,
    store: &Store,
    configuration: &Configuration,
    liveness: &Liveness,
) -> Result<(Command, Option<Step>), Refusal> {
    let is_configured = configuration.contains(id.get());
    let member = store.members().find(|member| member.id == id);
    let name = match member {
        Some(member) => member.name.clone(),
        None if is_configured => String::new(),
        None => return Err(Refusal::UnknownMember),
    };
    liveness.check_removal(id).map_err(Refusal::CannotRemove)?;
    let step = is_configured.then_some(Step::Remove(id.get()));
    Ok((Command::RemoveMember { id, name }, step))
}

#[cfg(test)]
#[path = "change_tests.rs"]
mod tests;
