//! The server side of joining: requests of other members, and this member's own name and addresses. The rule that
//! decides is [`admit`](crate::cluster::admit), which the leader's driver runs.

use std::time::{Duration, Instant};

use tokio::time::sleep;
use tracing::{info, warn};

use super::client::{JoinFailure, RetryPolicy, join};
use crate::cluster::{
    ClusterId, JoinAnswer, JoinRequest, Member, MemberList, Refusal, RefusalKind, peer_address,
};
use crate::consensus::{Change, Handle};
use crate::net::tls::Connector;

/// The time between two attempts to record this member's addresses.
const ANNOUNCE_INTERVAL: Duration = Duration::from_millis(500);

/// How long a request waits for a living member of the same name to prove dead: longer than the two election timeouts
/// which that takes, with the usual settings.
const NAMESAKE_TIMEOUT: Duration = Duration::from_secs(3);

/// The time between two attempts meanwhile.
const NAMESAKE_INTERVAL: Duration = Duration::from_millis(200);

/// The membership of this member's cluster.
#[derive(Clone)]
pub struct Membership {
    cluster: ClusterId,
    handle: Handle,
    tls: Connector,
}

impl Membership {
    /// The membership of `cluster`. Peers whose URL is `https` are connected to by `tls`.
    pub fn new(cluster: ClusterId, handle: Handle, tls: Connector) -> Self {
        Self {
            cluster,
            handle,
            tls,
        }
    }

    /// Admit a member, if this member leads; returns once that is applied here.
    ///
    /// # Errors
    ///
    /// Those of [`Handle::change`]. For the name of a living member only after it has had the time to prove dead.
    pub async fn join(&self, request: JoinRequest) -> Result<JoinAnswer, Refusal> {
        let started = Instant::now();
        loop {
            let change = Change::Join(request.clone());
            let Err(refusal) = self.handle.change(change).await else {
                break;
            };
            // The member of that name may have died a moment ago, and the leader not know yet.
            let may_be_over = matches!(refusal, Refusal::NameTaken { .. });
            if !may_be_over || started.elapsed() >= NAMESAKE_TIMEOUT {
                return Err(refusal);
            }
            sleep(NAMESAKE_INTERVAL).await;
        }
        Ok(JoinAnswer {
            cluster: self.cluster,
            members: self.member_list().members,
        })
    }

    /// The members of the cluster, as far as this member has applied the log.
    pub fn member_list(&self) -> MemberList {
        let applied = self.handle.applied();
        MemberList {
            cluster: self.cluster,
            members: applied.store.members().cloned().collect(),
            leader: applied.raft_status.leader,
            settings: applied.settings(),
        }
    }

    /// Have the cluster record this member's name and addresses, if it has others on record.
    ///
    /// # Errors
    ///
    /// A refusal of the kind [`RefusalKind::Conflict`]: another member has the name or the peer address.
    pub async fn announce(self, member: Member) -> Result<(), Refusal> {
        let mut last_reason = String::new();
        loop {
            sleep(ANNOUNCE_INTERVAL).await;
            let list = self.member_list();
            // Without a record, the leader's snapshot has not been applied yet.
            let Some(recorded) = list.members.iter().find(|other| other.id == member.id) else {
                continue;
            };
            if *recorded == member {
                return Ok(());
            }
            let reason = match self.send_announcement(&list, &member).await {
                Ok(()) => {
                    info!(
                        client_url = member.client_url,
                        peer_url = member.peer_url,
                        "new addresses recorded"
                    );
                    continue;
                }
                Err(JoinFailure::Refused { by: _, refusal }) => match refusal.kind() {
                    RefusalKind::Removed => return Ok(()),
                    RefusalKind::Full => refusal.to_string(),
                    RefusalKind::Invalid
                    | RefusalKind::UnknownMember
                    | RefusalKind::Conflict
                    | RefusalKind::ForeignCluster
                    | RefusalKind::NotLeader
                    | RefusalKind::Unavailable => return Err(refusal),
                },
                Err(failure @ (JoinFailure::NotAMember { .. } | JoinFailure::Unavailable(_))) => {
                    failure.to_string()
                }
            };
            if reason != last_reason {
                warn!(reason, "new addresses not recorded yet");
                last_reason = reason;
            }
        }
    }

    /// Send the member's name and addresses to the leader, which may be this member. A member that moved may not
    /// know the leader, which cannot reach it; so it asks all others.
    async fn send_announcement(
        &self,
        list: &MemberList,
        member: &Member,
    ) -> Result<(), JoinFailure> {
        let request = JoinRequest {
            member: member.clone(),
            cluster: Some(self.cluster),
        };
        if list.leader == Some(member.id) {
            let answer = self.join(request).await.map(|_| ());
            return answer.map_err(|refusal| match peer_address(&member.peer_url) {
                Ok(by) if refusal.kind() == RefusalKind::Conflict => {
                    JoinFailure::Refused { by, refusal }
                }
                Ok(by) => JoinFailure::Unavailable(vec![(by, refusal.to_string())]),
                Err(_) => JoinFailure::Unavailable(Vec::new()),
            });
        }
        let others = list.contacts().into_iter();
        let others = others.filter(|other| other.id != member.id);
        let peers: Vec<_> = others
            .filter_map(|other| peer_address(&other.peer_url).ok())
            .collect();
        let once = RetryPolicy {
            attempts: 1,
            interval: ANNOUNCE_INTERVAL,
        };
        join(&self.tls, &peers, &request, once).await.map(|_| ())
    }
}
