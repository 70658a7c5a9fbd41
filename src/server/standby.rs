//! A standby: a machine for which the cluster has no place. It holds no data, sends clients to the leader,
//! looks at the cluster from time to time, and takes a place when there is one.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::bootstrap::{Asked, PreparedMember, Waiting};
use crate::cluster::{JoinError, Member};
use crate::host::Failure;
use crate::http::peer;
use crate::http::{ConnectionPolicy, Endpoint, MemberPages, Port, StandbyPages};
use crate::membership::api::JOIN_PATH;

/// How soon the cluster is looked at again while nobody is known to lead it, so that clients are not turned
/// away for longer than an election takes.
const LEADERLESS_LOOK: Duration = Duration::from_millis(250);

/// A standby.
pub struct Standby {
    /// None once it has a place.
    waiting: Option<Box<Waiting>>,
    leader: watch::Sender<Option<Member>>,
    pages: Arc<StandbyPages>,
    stop: watch::Sender<bool>,
}

impl Standby {
    /// Stands by with what `waiting` knows; `stop` is the signal that `manners` listens to.
    pub fn new(
        waiting: Box<Waiting>,
        manners: ConnectionPolicy,
        stop: watch::Sender<bool>,
    ) -> Self {
        let roster = waiting.roster();
        let name = waiting.machine().name.clone();
        info!(
            "{name} is a standby of cluster {}, which has {} members",
            roster.cluster,
            roster.members.len()
        );
        let leader = watch::Sender::new(roster.leader().cloned());
        let pages = StandbyPages::new(name, leader.subscribe(), manners);
        Self {
            waiting: Some(waiting),
            leader,
            pages,
            stop,
        }
    }

    /// Who leads the cluster, as far as it knows, now and later.
    pub fn leader(&self) -> watch::Receiver<Option<Member>> {
        self.leader.subscribe()
    }

    /// What its client port serves.
    pub fn client_site(&self) -> Endpoint {
        Endpoint::Standby(Port::Client, self.pages.clone())
    }

    /// What its peer port serves: machines that want to join are sent to the leader, too.
    pub fn peer_site(&self) -> Endpoint {
        let leader = self.leader.subscribe();
        let pages: MemberPages = Arc::new(move |request| {
            let leader = leader.borrow().clone();
            Box::pin(async move {
                if request.uri().path() != JOIN_PATH {
                    return peer::no_page();
                }
                peer::page(request, |_| async move { Err(elsewhere(leader)) }).await
            })
        });
        Endpoint::Standby(Port::Peer(pages), self.pages.clone())
    }

    /// Wait until this machine has a place: a member that can start. The first question comes after one
    /// interval, so that a machine that was removed stays away for at least that long.
    ///
    /// # Errors
    ///
    /// The disk's.
    pub async fn place(&mut self) -> Result<PreparedMember, Failure> {
        let mut complaint = String::new();
        let mut until_asking = None;
        while let Some(mut waiting) = self.waiting.take() {
            let mut why = waiting.sync().await.err();
            self.leader.send_replace(waiting.roster().leader().cloned());
            let interval = waiting.roster().settings.sync_interval();
            let rest = *until_asking.get_or_insert(interval);
            if rest.is_zero() && why.is_none() && waiting.roster().has_place() {
                match waiting.ask().await? {
                    Asked::Place(beginning) => return Ok(*beginning),
                    Asked::None(back, reason) => {
                        waiting = back;
                        why = Some(reason);
                    }
                }
            }
            // The same trouble is told once.
            let why = why.unwrap_or_default();
            if why != complaint && !why.is_empty() {
                warn!("this standby has no place: {why}");
            }
            complaint = why;
            let pause = match waiting.roster().leader() {
                Some(_) => interval,
                None => interval.min(LEADERLESS_LOOK),
            };
            until_asking = Some(rest.saturating_sub(pause));
            self.waiting = Some(waiting);
            sleep(pause).await;
        }
        Err("a standby that has a place waits for one".into())
    }

    /// Ask its idle connections to end.
    pub fn end_requests(&self) {
        // Nobody may be serving any more, which is as good.
        let _ = self.stop.send(true);
    }
}

fn elsewhere(leader: Option<Member>) -> JoinError {
    match leader {
        Some(leader) => JoinError::NotLeader {
            leader: leader.peer_url,
        },
        None => JoinError::Unready("this is a standby that knows no leader just now".to_owned()),
    }
}
