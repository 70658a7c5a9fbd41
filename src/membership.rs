//! Membership from outside the driver: machines that ask for a place, and this member telling the cluster
//! its addresses.

use std::time::Duration;

use tracing::{info, warn};

use crate::bootstrap::{Admission, JoinAnswer, JoinError, JoinRequest, Patience, admit, join};
use crate::cluster::{ClusterId, Member};
use crate::consensus::{Change, ChangeRefused, Handle, Role};
use crate::tls::Connector;
use crate::transport::peer_address;

/// How long to wait before telling the cluster again.
const ANNOUNCE_AGAIN: Duration = Duration::from_millis(500);

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
        match admit(&request, self.cluster, &members, |_| true)? {
            Admission::Known { changed: false } => {}
            Admission::New | Admission::Known { changed: true } | Admission::Replaces(_) => {
                let change = Change::Join(request.member.clone());
                self.handle
                    .change(change)
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

    /// Tell the cluster this member's name and addresses, if it has others on record.
    pub async fn announce(self, member: Member) {
        loop {
            tokio::time::sleep(ANNOUNCE_AGAIN).await;
            let (leader, recorded) = {
                let view = self.handle.view();
                let leader = view.standing.leader;
                let leader = view
                    .store
                    .members()
                    .find(|other| Some(other.id) == leader)
                    .cloned();
                (
                    leader,
                    view.store
                        .members()
                        .find(|other| other.id == member.id)
                        .cloned(),
                )
            };
            // Without a record the cluster's snapshot is still on its way.
            let (Some(leader), Some(recorded)) = (leader, recorded) else {
                continue;
            };
            if recorded == member {
                return;
            }
            let request = JoinRequest {
                member: member.clone(),
                cluster: Some(self.cluster),
            };
            let told = if leader.id == member.id {
                self.join(request)
                    .await
                    .map(|_| ())
                    .map_err(|error| error.to_string())
            } else {
                let Ok(peer) = peer_address(&leader.peer_url) else {
                    continue;
                };
                let patience = Patience {
                    attempts: 1,
                    interval: ANNOUNCE_AGAIN,
                };
                join(&self.tls, &[peer], &request, patience)
                    .await
                    .map(|_| ())
                    .map_err(|error| error.to_string())
            };
            match told {
                Ok(()) => info!("the cluster knows this member's new addresses"),
                Err(why) => warn!("the cluster was not told this member's addresses: {why}"),
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
            ChangeRefused::Busy => JoinError::Unready("too many machines join at once".to_owned()),
            ChangeRefused::Lost => {
                JoinError::Unready("leadership changed meanwhile; it may have happened".to_owned())
            }
        }
    }
}
