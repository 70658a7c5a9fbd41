//! Who may join a cluster: the only place with that rule. Pure; run by the leader.

use std::collections::BTreeSet;

use super::{
    ClusterId, JoinRequest, Liveness, Member, MemberId, MemberList, Refusal, Settings, peer_address,
};

/// The membership at one moment, as the leader has it.
#[derive(Clone, Debug)]
pub struct ClusterState<'a> {
    /// The cluster.
    pub cluster: ClusterId,
    /// The members on record, learners included.
    pub members: &'a [Member],
    /// The ids of all members that were removed.
    pub removed_ids: &'a BTreeSet<MemberId>,
    /// What the cluster is set to.
    pub settings: Settings,
    /// Raft's voters and learners, and which of them are alive.
    pub liveness: &'a Liveness,
}

/// What an admitted member is to the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Not in Raft's configuration yet: it is added as a learner.
    New,
    /// A member already.
    Known {
        /// Whether its name or addresses differ from those on record.
        changed: bool,
    },
    /// A new member with the name of a dead one, which must be removed first.
    Replaces(MemberId),
}

/// Decide whether the member that asks may join.
///
/// A name belongs to one member, until that member is dead and can be removed. A peer address belongs to one
/// member, dead or alive: a second one with the same address is a mistake in the configuration of either.
///
/// # Errors
///
/// - [`Refusal::ForeignCluster`]: its data directory belongs to another cluster.
/// - [`Refusal::Removed`]: its id was a member's that was removed.
/// - [`Refusal::AddressTaken`]: a member with another name has its peer address.
/// - [`Refusal::NameTaken`]: another member has its name and may be alive, or the one that asks is a member
///   already and would change its name to that.
/// - [`Refusal::CannotReplace`]: its dead namesake cannot be removed without loss of the quorum.
/// - [`Refusal::Full`]: the cluster has as many members as its `activeSize`.
pub fn admit(request: &JoinRequest, state: &ClusterState<'_>) -> Result<Admission, Refusal> {
    let asking = &request.member;
    if let Some(theirs) = request.cluster.filter(|theirs| *theirs != state.cluster) {
        let ours = state.cluster;
        return Err(Refusal::ForeignCluster { ours, theirs });
    }
    if state.removed_ids.contains(&asking.id) {
        return Err(Refusal::Removed);
    }
    let mut others = state.members.iter().filter(|other| other.id != asking.id);
    let has_address = |other: &&Member| other.name != asking.name && is_same_address(other, asking);
    if let Some(holder) = others.clone().find(has_address) {
        return Err(Refusal::AddressTaken {
            name: asking.name.clone(),
            peer_url: asking.peer_url.clone(),
            holder: holder.name.clone(),
        });
    }
    let on_record = state.members.iter().find(|member| member.id == asking.id);
    let is_configured = state.liveness.is_configured(asking.id);
    let is_known = is_configured || on_record.is_some();
    if let Some(namesake) = others.find(|other| other.name == asking.name) {
        return replace(namesake, is_known, state.liveness);
    }
    if !is_known && !state.liveness.has_free_seat(&state.settings) {
        return Err(Refusal::Full(Box::new(state.to_member_list())));
    }
    Ok(match is_configured {
        true => Admission::Known {
            changed: on_record != Some(asking),
        },
        false => Admission::New,
    })
}

/// Decide whether a new member may replace the one that has its name.
fn replace(namesake: &Member, is_known: bool, liveness: &Liveness) -> Result<Admission, Refusal> {
    let name = namesake.name.clone();
    if is_known || liveness.may_be_alive(namesake.id) {
        let holder = namesake.id;
        return Err(Refusal::NameTaken { name, holder });
    }
    match liveness.check_removal(namesake.id) {
        Ok(()) => Ok(Admission::Replaces(namesake.id)),
        Err(loss) => Err(Refusal::CannotReplace { name, loss }),
    }
}

impl ClusterState<'_> {
    fn to_member_list(&self) -> MemberList {
        MemberList {
            cluster: self.cluster,
            members: self.members.to_vec(),
            leader: Some(self.liveness.leader),
            settings: self.settings,
        }
    }
}

/// Whether both have the same peer address. The case of a host name, a slash at the end and the default port
/// make no difference.
fn is_same_address(one: &Member, other: &Member) -> bool {
    match (peer_address(&one.peer_url), peer_address(&other.peer_url)) {
        (Ok(one), Ok(other)) => one.is_same_endpoint(&other),
        (Ok(_) | Err(_), _) => one.peer_url == other.peer_url,
    }
}

#[cfg(test)]
#[path = "admission_tests.rs"]
mod tests;
