//! Membership from outside the driver: machines that ask for a place, and this member telling the cluster
//! its addresses.

use std::time::{Duration, Instant};

use tokio::time::sleep;
use tracing::{info, warn};

use super::client::{JoinFailure, RetryPolicy, join};
use crate::cluster::{
    Admission, ClusterId, JoinAnswer, JoinError, JoinRequest, Member, MemberList, admit,
    peer_address,
};
use crate::consensus::{Change, ChangeRefused, Handle, Role};
use crate::net::tls::Connector;

/// How long to wait before telling the cluster again.
const ANNOUNCE_AGAIN: Duration = Duration::from_millis(500);

/// How long a machine with the name of a living member waits for that one to prove dead: longer than the
/// two election timeouts that takes, as those are usually set.
const NAMESAKE_WAIT: Duration = Duration::from_secs(3);

/// How often to look.
const NAMESAKE_LOOK: Duration = Duration::from_millis(200);

/// The membership of this member's cluster.
#[derive(Clone)]
pub struct Membership {
    cluster: ClusterId,
    handle: Handle,
    tls: Connector,
}

impl Membership {
    /// Of `cluster`, through `handle`; other members are called by `tls` where their URL says so.
    pub fn new(cluster: ClusterId, handle: Handle, tls: Connector) -> Self {
        Self {
            cluster,
            handle,
            tls,
        }
    }

    /// Give a machine a place, if this member leads; returns once the log has it.
    ///
    /// # Errors
    ///
    /// Why not, and whom to ask instead.
    pub async fn join(&self, request: JoinRequest) -> Result<JoinAnswer, JoinError> {
        let (members, leads) = self.look();
        if !leads {
            return Err(self.not_leader());
        }
        // Whether a namesake is living, only the driver knows.
        match admit(&request, self.cluster, &members, |_| false)? {
            Admission::Known { changed: false } => {}
            Admission::New | Admission::Known { changed: true } | Admission::Replaces(_) => {
                self.give_place(&request)
                    .await
                    .map_err(|refused| self.explain(refused, &request))?;
            }
        }
        let (members, _) = self.look();
        Ok(JoinAnswer {
            cluster: self.cluster,
            members,
        })
    }

    /// Get it into the log. A namesake may have died a moment ago, and the leader not know it yet.
    async fn give_place(&self, request: &JoinRequest) -> Result<(), ChangeRefused> {
        let started = Instant::now();
        loop {
            let change = Change::Join(request.member.clone());
            match self.handle.change(change).await {
                Err(ChangeRefused::NameTaken(_)) if started.elapsed() < NAMESAKE_WAIT => {
                    sleep(NAMESAKE_LOOK).await;
                }
                answer => return answer,
            }
        }
    }

    /// Who is in the cluster, as far as this member knows.
    pub fn roster(&self) -> MemberList {
        let view = self.handle.applied();
        MemberList {
            cluster: self.cluster,
            members: view.store.members().cloned().collect(),
            leader: view.raft_status.leader,
            settings: view.settings(),
        }
    }

    /// Tell the cluster this member's name and addresses, if it has others on record.
    ///
    /// # Errors
    ///
    /// A sentence: the cluster will not have a member with these.
    pub async fn announce(self, member: Member) -> Result<(), String> {
        let mut complaint = String::new();
        loop {
            sleep(ANNOUNCE_AGAIN).await;
            let roster = self.roster();
            // Without a record the cluster's snapshot is still on its way.
            let Some(recorded) = roster.members.iter().find(|other| other.id == member.id) else {
                continue;
            };
            if *recorded == member {
                return Ok(());
            }
            let why = match self.tell(&roster, &member).await {
                Ok(()) => {
                    info!("the cluster knows this member's new addresses");
                    continue;
                }
                Err(JoinFailure::Declined { by: _, why }) => return Err(why),
                // It will hear of that in another way.
                Err(JoinFailure::Removed) => return Ok(()),
                Err(
                    failure @ (JoinFailure::NoPlace(_)
                    | JoinFailure::Stranger { .. }
                    | JoinFailure::Nobody(_)),
                ) => failure.to_string(),
            };
            if why != complaint {
                warn!("the cluster was not told this member's new addresses yet: {why}");
                complaint = why;
            }
        }
    }

    /// Have the leader, which may be this member, note the member's addresses. One that moved may not know
    /// who leads: whoever does cannot reach it. So it asks them all.
    async fn tell(&self, roster: &MemberList, member: &Member) -> Result<(), JoinFailure> {
        let request = JoinRequest {
            member: member.clone(),
            cluster: Some(self.cluster),
        };
        if roster.leader == Some(member.id) {
            let told = self.join(request).await.map(|_| ());
            return told.map_err(|error| match peer_address(&member.peer_url) {
                Ok(by) if error.is_final() => JoinFailure::Declined {
                    by,
                    why: error.to_string(),
                },
                Ok(by) => JoinFailure::Nobody(vec![(by, error.to_string())]),
                Err(_) => JoinFailure::Nobody(Vec::new()),
            });
        }
        let others = roster.contacts().into_iter();
        let others = others.filter(|other| other.id != member.id);
        let peers: Vec<_> = others
            .filter_map(|other| peer_address(&other.peer_url).ok())
            .collect();
        let patience = RetryPolicy {
            attempts: 1,
            interval: ANNOUNCE_AGAIN,
        };
        join(&self.tls, &peers, &request, patience)
            .await
            .map(|_| ())
    }

    fn look(&self) -> (Vec<Member>, bool) {
        let view = self.handle.applied();
        (
            view.store.members().cloned().collect(),
            view.raft_status.role == Role::Leader,
        )
    }

    fn not_leader(&self) -> JoinError {
        let view = self.handle.applied();
        let leader = view.raft_status.leader;
        match view
            .store
            .members()
            .find(|member| Some(member.id) == leader)
        {
            Some(leader) => JoinError::NotLeader {
                leader: leader.peer_url.clone(),
            },
            None => JoinError::Unready("the cluster has no leader just now".to_owned()),
        }
    }

    fn explain(&self, refused: ChangeRefused, request: &JoinRequest) -> JoinError {
        let asking = &request.member;
        match refused {
            ChangeRefused::NotLeader(_) => self.not_leader(),
            ChangeRefused::NameTaken(holder) => JoinError::NameTaken {
                name: asking.name.clone(),
                holder: holder.id,
            },
            ChangeRefused::AddressTaken(holder) => JoinError::AddressTaken {
                name: asking.name.clone(),
                peer_url: asking.peer_url.clone(),
                holder: holder.name,
            },
            ChangeRefused::Full { .. } => JoinError::NoPlace(self.roster()),
            ChangeRefused::Removed => JoinError::Removed,
            ChangeRefused::Strands(why) => JoinError::Unready(format!(
                "{} is the name of a member that cannot be replaced now: {why}",
                asking.name
            )),
            // A machine that joins is none of these.
            ChangeRefused::Unknown(_) | ChangeRefused::NoSuccessor => {
                JoinError::Unready("the members change".to_owned())
            }
            ChangeRefused::Busy => JoinError::Unready("too many machines join at once".to_owned()),
            ChangeRefused::Lost => {
                JoinError::Unready("leadership changed meanwhile; it may have happened".to_owned())
            }
        }
    }
}
