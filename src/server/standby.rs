//! A standby: a host for which the cluster has no seat. It holds no data, redirects clients to the leader, requests
//! the member list at intervals, and joins the cluster once it has a free seat.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::bootstrap::{Contacts, PreparedMember, PreparedStandby, SeatRequest, request_seat};
use crate::cluster::{Address, Member, MemberList, Refusal, peer_address};
use crate::host::Failure;
use crate::http::{ConnectionPolicy, Endpoint, PeerPages, Port, StandbyPages};
use crate::membership::api;
use crate::membership::client::{NoMemberList, RetryPolicy, find_member_list};

/// The longest time between two requests for the member list while no leader is known, so that clients do not wait
/// longer than an election takes.
const LEADERLESS_INTERVAL: Duration = Duration::from_millis(250);

/// One attempt to join: the next one follows after the sync interval.
const ONCE: RetryPolicy = RetryPolicy {
    attempts: 1,
    interval: Duration::ZERO,
};

/// A standby.
pub struct Standby {
    /// None once it was admitted to the cluster.
    prepared: Option<Box<PreparedStandby>>,
    leader: watch::Sender<Option<Member>>,
    pages: Arc<StandbyPages>,
    stop: watch::Sender<bool>,
}

/// Why a standby has no current member list.
#[derive(Debug)]
enum SyncError {
    /// No contact has one.
    NoMemberList(NoMemberList),
    /// It cannot be written to the data directory.
    Disk(Failure),
}

impl std::fmt::Display for SyncError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoMemberList(error) => error.fmt(f),
            Self::Disk(error) => error.fmt(f),
        }
    }
}

impl Standby {
    /// A standby that runs; `stop` is the signal in `policy`.
    pub fn new(
        prepared: Box<PreparedStandby>,
        policy: ConnectionPolicy,
        stop: watch::Sender<bool>,
    ) -> Self {
        let list = &prepared.members;
        let name = prepared.spec.name.clone();
        let members = list.members.len();
        info!(name, cluster = %list.cluster, members, "standing by");
        let leader = watch::Sender::new(list.leader().cloned());
        let pages = StandbyPages::new(name, leader.subscribe(), policy);
        Self {
            prepared: Some(prepared),
            leader,
            pages,
            stop,
        }
    }

    /// The leader of the cluster as far as the standby knows, now and later.
    pub fn leader(&self) -> watch::Receiver<Option<Member>> {
        self.leader.subscribe()
    }

    /// What its client port serves.
    pub fn client_endpoint(&self) -> Endpoint {
        Endpoint::Standby(Port::Client, self.pages.clone())
    }

    /// What its peer port serves: requests to join are redirected to the leader.
    pub fn peer_endpoint(&self) -> Endpoint {
        let pages = PeerPages::Standby(self.leader.subscribe());
        Endpoint::Standby(Port::Peer(pages), self.pages.clone())
    }

    /// Wait for a seat in the cluster; returns the member that can start. The first attempt to join comes after one
    /// sync interval, so that a member that was removed stays away for at least that long.
    ///
    /// # Errors
    ///
    /// [`Failure`]: the data directory cannot be read or written.
    pub async fn wait_for_seat(&mut self) -> Result<PreparedMember, Failure> {
        let mut last_reason = String::new();
        let mut until_attempt = None;
        while let Some(mut standby) = self.prepared.take() {
            let mut reason = sync(&mut standby)
                .await
                .err()
                .map(|error| error.to_string());
            self.leader.send_replace(standby.members.leader().cloned());
            let interval = standby.members.settings.sync_interval();
            let rest = *until_attempt.get_or_insert(interval);
            if rest.is_zero() && reason.is_none() && standby.members.has_free_seat() {
                match try_to_join(*standby).await? {
                    Attempt::Admitted(member) => return Ok(*member),
                    Attempt::Failed(back, why) => {
                        standby = back;
                        reason = Some(why);
                    }
                }
            }
            // Log a reason once, not after each attempt.
            let reason = reason.unwrap_or_default();
            if reason != last_reason && !reason.is_empty() {
                warn!(reason, "no seat in the cluster");
            }
            last_reason = reason;
            let pause = match standby.members.leader() {
                Some(_) => interval,
                None => interval.min(LEADERLESS_INTERVAL),
            };
            until_attempt = Some(rest.saturating_sub(pause));
            self.prepared = Some(standby);
            sleep(pause).await;
        }
        Err("the standby was admitted to the cluster before".into())
    }

    /// Ask its idle connections to end.
    pub fn end_requests(&self) {
        // Without a server there are no connections.
        let _ = self.stop.send(true);
    }
}

/// Request the current member list, and keep it in the data directory.
async fn sync(standby: &mut PreparedStandby) -> Result<(), SyncError> {
    let cluster = standby.members.cluster;
    let contacts = contacts(standby);
    match find_member_list(&standby.contacts.tls, &contacts, cluster).await {
        Ok(list) => save(standby, list),
        Err(error) => {
            // The last known leader may not be the leader any more.
            standby.members.leader = None;
            Err(SyncError::NoMemberList(error))
        }
    }
}

fn save(standby: &mut PreparedStandby, list: MemberList) -> Result<(), SyncError> {
    if list != standby.members {
        let json = api::encode_member_list(&list);
        let saved = standby.directory.keep_standby_file(&json);
        saved.map_err(|error| SyncError::Disk(error.into()))?;
        standby.members = list;
    }
    Ok(())
}

/// What an attempt to join led to.
enum Attempt {
    Admitted(Box<PreparedMember>),
    /// The standby, and the reason.
    Failed(Box<PreparedStandby>, String),
}

async fn try_to_join(standby: PreparedStandby) -> Result<Attempt, Failure> {
    let peers = contacts(&standby);
    let PreparedStandby {
        directory,
        spec,
        mut members,
        contacts,
        limits,
    } = standby;
    let seat_contacts = Contacts {
        tls: contacts.tls.clone(),
        peers,
    };
    let cluster = Some(members.cluster);
    let asked = request_seat(
        directory,
        spec.clone(),
        cluster,
        &seat_contacts,
        ONCE,
        limits,
    );
    let (mut directory, failure) = match asked.await? {
        SeatRequest::Admitted(member) => return Ok(Attempt::Admitted(member)),
        SeatRequest::Failed(directory, failure) => (directory, failure),
    };
    match failure.refusal() {
        Some(Refusal::Full(list)) => members = *list.clone(),
        // The next attempt uses a new id.
        Some(Refusal::Removed) => {
            directory.discard_member()?;
        }
        Some(_) | None => {}
    }
    let standby = PreparedStandby {
        directory,
        spec,
        members,
        contacts,
        limits,
    };
    Ok(Attempt::Failed(Box::new(standby), failure.to_string()))
}

/// The addresses to ask: the members, then the peers from the options, without its own.
fn contacts(standby: &PreparedStandby) -> Vec<Address> {
    let members = standby.members.contacts().into_iter();
    let members = members.filter_map(|member| peer_address(&member.peer_url).ok());
    let own = peer_address(&standby.spec.peer_url).ok();
    let is_self = |address: &Address| {
        own.as_ref()
            .is_some_and(|own| own.is_same_endpoint(address))
    };
    let mut contacts: Vec<Address> = Vec::new();
    for address in members.chain(standby.contacts.peers.iter().cloned()) {
        if !is_self(&address) && !contacts.contains(&address) {
            contacts.push(address);
        }
    }
    contacts
}

#[cfg(test)]
#[path = "standby_tests.rs"]
mod tests;
