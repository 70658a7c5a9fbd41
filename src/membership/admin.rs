//! Administration of the cluster: removing members and changing the settings, at any member. A member that is not
//! the leader forwards the request to the leader's peer port.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use super::api::PeerPage;
use super::client::forward_to_leader;
use crate::cluster::{Member, MemberId, Refusal, Settings};
use crate::consensus::{Change, Handle, Role};
use crate::net::tls::Connector;

/// How long a request waits for a leader that can carry it out; a leader that is to be removed first transfers
/// leadership.
const LEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// The time between two attempts.
const ATTEMPT_INTERVAL: Duration = Duration::from_millis(50);

/// Administration of one cluster through one of its members.
#[derive(Clone)]
pub struct Administration {
    handle: Handle,
    tls: Connector,
    /// Held while the settings are read, changed and written.
    settings: Arc<Mutex<()>>,
}

/// The member that carries out a request.
enum Leader {
    ThisMember,
    Other(Member),
}

impl Administration {
    /// Administration through the member behind `handle`. Peers whose URL is `https` are connected to by `tls`.
    pub fn new(handle: Handle, tls: Connector) -> Self {
        Self {
            handle,
            tls,
            settings: Arc::default(),
        }
    }

    /// Remove the member called `name`; returns once that is applied here. `is_forwarded` says that another member
    /// forwarded the request.
    ///
    /// # Errors
    ///
    /// - [`Refusal::UnknownMember`]: there is no such member.
    /// - A refusal of the kind `Conflict`: the quorum would be lost, or the leader has no successor.
    /// - [`Refusal::Unavailable`]: there was no leader that could do it in time; it may still happen.
    pub async fn remove(&self, name: &str, is_forwarded: bool) -> Result<(), Refusal> {
        self.catch_up().await?;
        let member = self.find_member(|member| member.name == name);
        let id = member.map(|member| member.id);
        let id = id.ok_or(Refusal::UnknownMember)?;
        self.remove_member(id, is_forwarded).await
    }

    /// Remove the member with this id.
    ///
    /// # Errors
    ///
    /// Those of [`Administration::remove`].
    pub async fn remove_id(&self, id: MemberId) -> Result<(), Refusal> {
        self.catch_up().await?;
        let member = self.find_member(|member| member.id == id);
        member.ok_or(Refusal::UnknownMember)?;
        self.remove_member(id, false).await
    }

    /// Change the settings as a JSON object says; returns all settings after the change.
    ///
    /// # Errors
    ///
    /// - [`Refusal::Invalid`]: the JSON does not change the settings, see [`Settings::with_changes`].
    /// - [`Refusal::Unavailable`]: there was no leader that could do it in time; it may still happen.
    pub async fn configure(&self, json: Bytes, is_forwarded: bool) -> Result<Settings, Refusal> {
        let attempt = || async {
            match self.find_leader(is_forwarded)? {
                Leader::ThisMember => {
                    let _alone = self.settings.lock().await;
                    if let Err(refusal) = self.catch_up().await {
                        // The barrier has waited for a leader as long as a request may.
                        return Ok(Err(refusal));
                    }
                    let settings = self.handle.applied().settings();
                    let settings = settings
                        .with_changes(&json)
                        .map_err(|error| Refusal::Invalid(error.to_string()))?;
                    self.handle.change(Change::Configure(settings)).await?;
                    Ok(Ok(settings))
                }
                Leader::Other(leader) => {
                    let request = (Method::PUT, PeerPage::settings_path(), json.clone());
                    let answer = forward_to_leader(&self.tls, &leader, request).await?;
                    Ok(Ok(Settings::parse(&answer)))
                }
            }
        };
        let settings = self.retry(is_forwarded, attempt).await??;
        self.wait_until_applied().await;
        Ok(settings)
    }

    async fn remove_member(&self, id: MemberId, is_forwarded: bool) -> Result<(), Refusal> {
        let attempt = || async {
            // An earlier attempt may have removed it without an answer.
            let Some(member) = self.find_member(|member| member.id == id) else {
                return Ok(());
            };
            match self.find_leader(is_forwarded)? {
                Leader::ThisMember => self.handle.change(Change::Remove(id)).await,
                Leader::Other(leader) => {
                    let path = PeerPage::member_path(&member.name);
                    let request = (Method::DELETE, path, Bytes::new());
                    match forward_to_leader(&self.tls, &leader, request).await {
                        Ok(_) | Err(Refusal::UnknownMember) => Ok(()),
                        Err(refusal) => Err(refusal),
                    }
                }
            }
        };
        self.retry(is_forwarded, attempt).await?;
        self.wait_until_applied().await;
        Ok(())
    }

    /// Repeat an attempt while its refusal is temporary and the time is not over. A forwarded request gets one
    /// attempt: the member that forwarded it repeats it.
    async fn retry<T, F>(&self, is_forwarded: bool, attempt: impl Fn() -> F) -> Result<T, Refusal>
    where
        F: Future<Output = Result<T, Refusal>>,
    {
        let end = Instant::now() + LEADER_TIMEOUT;
        loop {
            match attempt().await {
                Ok(done) => return Ok(done),
                Err(refusal) if !refusal.is_temporary() => return Err(refusal),
                Err(refusal) if is_forwarded || Instant::now() >= end => {
                    return Err(Refusal::Unavailable(refusal.to_string()));
                }
                Err(_) => sleep(ATTEMPT_INTERVAL).await,
            }
        }
    }

    fn find_leader(&self, is_forwarded: bool) -> Result<Leader, Refusal> {
        let (role, leader) = {
            let applied = self.handle.applied();
            (applied.raft_status.role, applied.raft_status.leader)
        };
        match leader.and_then(|id| self.find_member(|member| member.id == id)) {
            _ if role == Role::Leader => Ok(Leader::ThisMember),
            Some(leader) if is_forwarded => Err(Refusal::NotLeader {
                leader: Some(leader.peer_url),
            }),
            Some(leader) => Ok(Leader::Other(leader)),
            None => Err(Refusal::NotLeader { leader: None }),
        }
    }

    fn find_member(&self, matches: impl Fn(&Member) -> bool) -> Option<Member> {
        let applied = self.handle.applied();
        applied
            .store
            .members()
            .find(|member| matches(member))
            .cloned()
    }

    /// Wait until everything committed before now is applied here.
    async fn catch_up(&self) -> Result<(), Refusal> {
        let no_leader = |_| Refusal::Unavailable(Refusal::NotLeader { leader: None }.to_string());
        self.handle.barrier().await.map_err(no_leader)
    }

    /// Wait until a change is applied here. A member that removed itself does not wait any longer.
    async fn wait_until_applied(&self) {
        let _ = tokio::time::timeout(LEADER_TIMEOUT, self.handle.barrier()).await;
    }
}
