//! Membership from outside the driver: machines that ask for a place, and this member telling the cluster
//! its addresses.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use crate::bootstrap::{
    Admission, JoinAnswer, JoinError, JoinFailure, JoinRequest, Patience, admit, join,
};
use crate::cluster::{ClusterId, Member, Roster};
use crate::consensus::{Change, ChangeRefused, Handle, Role};
use crate::tls::Connector;
use crate::transport::peer_address;

/// How long to wait before telling the cluster again.
const ANNOUNCE_AGAIN: Duration = Duration::from_millis(500);

/// How long a machine waits for a namesake of its to turn out dead.
const NAMESAKE_DIES_WITHIN: Duration = Duration::from_secs(2);

/// How often to look whether it has.
const NAMESAKE_LOOK: Duration = Duration::from_millis(100);

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
                self.add(&request).await?;
            }
        }
        let (members, _) = self.look();
        Ok(JoinAnswer {
            cluster: self.cluster,
            members,
        })
    }

    /// Who is in the cluster, as far as this member knows.
    pub fn roster(&self) -> Roster {
        let view = self.handle.view();
        Roster {
            cluster: self.cluster,
            members: view.store.members().cloned().collect(),
            leader: view.standing.leader,
            settings: view.settings(),
        }
    }

    /// Tell the cluster this member's name and addresses, if it has others on record.
    ///
    /// # Errors
    ///
    /// A sentence: the cluster will not have a member with these.
    pub async fn announce(self, member: Member) -> Result<(), String> {
        loop {
            sleep(ANNOUNCE_AGAIN).await;
            let (leader, recorded) = {
                let view = self.handle.view();
                let with = |id| view.store.members().find(|other| Some(other.id) == id);
                let leader = with(view.standing.leader).cloned();
                (leader, with(Some(member.id)).cloned())
            };
            // Without a record the cluster's snapshot is still on its way.
            let (Some(leader), Some(recorded)) = (leader, recorded) else {
                continue;
            };
            if recorded == member {
                return Ok(());
            }
            match self.tell(&leader, &member).await {
                Ok(()) => info!("the cluster knows this member's new addresses"),
                Err(JoinFailure::Declined { by: _, why }) => return Err(why),
                // It will hear of that in another way.
                Err(JoinFailure::Removed) => return Ok(()),
                Err(
                    failure @ (JoinFailure::NoPlace(_)
                    | JoinFailure::Stranger { .. }
                    | JoinFailure::Nobody(_)),
                ) => warn!("the cluster was not told this member's addresses: {failure}"),
            }
        }
    }

    /// Ask the leader, which may be this member, to note the member's addresses.
    async fn tell(&self, leader: &Member, member: &Member) -> Result<(), JoinFailure> {
        let request = JoinRequest {
            member: member.clone(),
            cluster: Some(self.cluster),
        };
        let Ok(peer) = peer_address(&leader.peer_url) else {
            return Err(JoinFailure::Nobody(Vec::new()));
        };
        if leader.id == member.id {
            return match self.join(request).await {
                Ok(_) => Ok(()),
                Err(no @ (JoinError::NameTaken { .. } | JoinError::AddressTaken { .. })) => {
                    let why = no.to_string();
                    Err(JoinFailure::Declined { by: peer, why })
                }
                Err(error) => Err(JoinFailure::Nobody(vec![(peer, error.to_string())])),
            };
        }
        let patience = Patience {
            attempts: 1,
            interval: ANNOUNCE_AGAIN,
        };
        join(&self.tls, &[peer], &request, patience)
            .await
            .map(|_| ())
    }

    /// Get the machine into the log. One that lost its directory may be back before anyone noticed that
    /// its old self is dead.
    async fn add(&self, request: &JoinRequest) -> Result<(), JoinError> {
        let end = Instant::now() + NAMESAKE_DIES_WITHIN;
        loop {
            let change = Change::Join(request.member.clone());
            match self.handle.change(change).await {
                Ok(()) => return Ok(()),
                Err(ChangeRefused::NameTaken(_)) if Instant::now() < end => {
                    sleep(NAMESAKE_LOOK).await;
                }
                Err(refused) => return Err(self.explain(refused, request)),
            }
        }
    }

    fn look(&self) -> (Vec<Member>, bool) {
        let view = self.handle.view();
        (
            view.store.members().cloned().collect(),
            view.standing.role == Role::Leader,
        )
    }

    fn not_leader(&self) -> JoinError {
        let view = self.handle.view();
        let leader = view.standing.leader;
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
