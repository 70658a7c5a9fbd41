//! Membership from outside the driver: machines that ask for a place, and this member telling the cluster
//! its addresses.

use std::time::{Duration, Instant};

use tracing::{info, warn};

use crate::bootstrap::{Admission, JoinAnswer, JoinError, JoinRequest, Patience, admit, join};
use crate::cluster::{ClusterId, Member};
use crate::consensus::{Change, ChangeRefused, Handle, Role};
use crate::transport::peer_address;

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
}

impl Membership {
    /// Of `cluster`, through `handle`.
    pub fn new(cluster: ClusterId, handle: Handle) -> Self {
        Self { cluster, handle }
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
                    tokio::time::sleep(NAMESAKE_LOOK).await;
                }
                answer => return answer,
            }
        }
    }

    /// Tell the cluster this member's name and addresses, if it has others on record.
    pub async fn announce(self, member: Member) {
        loop {
            tokio::time::sleep(ANNOUNCE_AGAIN).await;
            let (members, leads) = self.look();
            // Without a record the cluster's snapshot is still on its way.
            let Some(recorded) = members.iter().find(|other| other.id == member.id) else {
                continue;
            };
            if *recorded == member {
                return;
            }
            let request = JoinRequest {
                member: member.clone(),
                cluster: Some(self.cluster),
            };
            let told = if leads {
                let joined = self.join(request).await;
                joined.map(|_| ()).map_err(|error| error.to_string())
            } else {
                // The leader may not reach it where it is now, and then it does not know who leads: any
                // other does.
                let others = members.iter().filter(|other| other.id != member.id);
                let peers: Vec<_> = others
                    .filter_map(|other| peer_address(&other.peer_url).ok())
                    .collect();
                let patience = Patience {
                    attempts: 1,
                    interval: ANNOUNCE_AGAIN,
                };
                let joined = join(&peers, &request, patience).await;
                joined.map(|_| ()).map_err(|error| error.to_string())
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
            ChangeRefused::Full { active_size } => JoinError::Full { active_size },
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
