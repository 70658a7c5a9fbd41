//! Finding a cluster by a discovery token: the first machine founds it, the others join.
//!
//! A crash between two steps strands nobody. The directory has its id before `_state` is taken, and that
//! says which id took it: the machine that stopped before it had founded founds when it is back.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::beginning::identify;
use super::found::{Foundation, found};
use super::registry::{Claim, Failure, Pauses, Registry};
use super::waiting::{Contacts, Started, Tried, join_or_wait, try_to_join};
use crate::cluster::{Address, MemberId, MemberSpec, peer_address};
use crate::config::Config;
use crate::host;
use crate::membership::client::{JoinFailure, RetryPolicy};
use crate::net::tls::Connector;
use crate::wal::{DataDir, Founding};

/// For so long a machine that has registered may still be starting, and is waited for.
const STARTING_MAX: Duration = Duration::from_secs(60);

/// The pause between the first two rounds of questions; each further one is twice as long, up to
/// `-retry-interval`.
const ROUND_PAUSE_MIN: Duration = Duration::from_millis(100);

/// One round.
const ONCE: RetryPolicy = RetryPolicy {
    attempts: 1,
    interval: Duration::ZERO,
};

/// A machine that looks for its cluster.
pub(super) struct Search<'a> {
    pub(super) registry: &'a Registry,
    pub(super) config: &'a Config,
    pub(super) machine: MemberSpec,
    /// What is spoken with peers whose URL is `https`.
    pub(super) tls: Connector,
}

impl Search<'_> {
    /// Found the cluster or join it; falls back to `-peers` where the service cannot be reached.
    ///
    /// # Errors
    ///
    /// A sentence for whoever started it.
    pub(super) async fn begin(self, mut directory: DataDir) -> Result<Started, host::Failure> {
        let fresh = directory.identity().is_none();
        let id = identify(&mut directory, &self.machine.name, Founding::Discovery)?;
        let Some(before) = self.register().await? else {
            return self.join_peers(directory).await;
        };
        if self.leads(id, fresh).await? {
            return self.found(directory).await;
        }
        self.join(directory, before.0).await
    }

    /// Register; gives what was registered under the name before, or none where the service cannot be
    /// reached and there are peers to ask instead.
    async fn register(&self) -> Result<Option<Before>, String> {
        let mut pauses = Pauses::default();
        loop {
            match self.registry.register(&self.machine).await {
                Ok(before) => {
                    info!("registered with {}", self.registry.url());
                    return Ok(Some(Before(before)));
                }
                Err(Failure::Refused(why)) => return Err(why),
                Err(Failure::Unreachable(why)) if !self.config.peers.is_empty() => {
                    let url = self.registry.url();
                    warn!(
                        "the discovery service of {url} is of no help: {why}; asking -peers instead"
                    );
                    return Ok(None);
                }
                Err(Failure::Unreachable(why)) => pauses.pause(self.registry.url(), &why).await,
            }
        }
    }

    /// Whether this machine is the first. One that is not `fresh` may have been in an earlier start.
    async fn leads(&self, id: MemberId, fresh: bool) -> Result<bool, String> {
        let mut perhaps = !fresh;
        let mut pauses = Pauses::default();
        loop {
            let claimed = match self.registry.claim(id).await {
                Ok(Claim::Held) if perhaps => self.registry.is_claimed_by(id).await.map(Some),
                Ok(Claim::Held) => Ok(Some(false)),
                Ok(Claim::Taken) => Ok(Some(true)),
                Ok(Claim::Unknown) => Ok(None),
                Err(failure) => Err(failure),
            };
            match claimed {
                Ok(Some(claimed)) => return Ok(claimed),
                Ok(None) => {
                    perhaps = true;
                    let why = "it did not say who is the first";
                    pauses.pause(self.registry.url(), why).await;
                }
                Err(Failure::Refused(why)) => return Err(why),
                Err(Failure::Unreachable(why)) => pauses.pause(self.registry.url(), &why).await,
            }
        }
    }

    async fn found(self, directory: DataDir) -> Result<Started, host::Failure> {
        let mut pauses = Pauses::default();
        let size = loop {
            match self.registry.size().await {
                Ok(size) => break size,
                Err(Failure::Refused(why)) => {
                    warn!("the size of the cluster is not known: {why}");
                    break None;
                }
                Err(Failure::Unreachable(why)) => pauses.pause(self.registry.url(), &why).await,
            }
        };
        let settings = self.config.settings;
        let foundation = Foundation {
            founding: Founding::Discovery,
            settings: size.map_or(settings, |size| settings.with_active_size(size)),
        };
        info!("{} is the first with its token", self.machine.name);
        let limits = super::limits(self.config);
        let begun = found(directory, self.machine, foundation, limits)?;
        Ok(Started::Member(Box::new(begun)))
    }

    /// Ask the machines with the same token for a place, until one gives it.
    async fn join(
        self,
        mut directory: DataDir,
        before: Option<String>,
    ) -> Result<Started, host::Failure> {
        let started = Instant::now();
        let mut pause = ROUND_PAUSE_MIN;
        let mut said = String::new();
        loop {
            let (peers, starting) = self.peers(before.as_deref()).await?;
            let contacts = self.contacts(peers);
            let tried = try_to_join(
                directory,
                self.machine.clone(),
                contacts,
                ONCE,
                super::limits(self.config),
            );
            let failure = match tried.await? {
                Tried::Started(begun) => return Ok(begun),
                Tried::Failed(back, failure) => {
                    directory = back;
                    failure
                }
            };
            let declined = matches!(failure, JoinFailure::Declined { .. });
            if declined || started.elapsed() >= self.limit(starting) {
                if let Some(before) = &before {
                    self.registry.give_back(&self.machine, before).await;
                }
                return Err(self.explain(failure).into());
            }
            // The founder starts at the same time, and the first answers say only that.
            let why = waiting(&failure);
            if why != said {
                info!("{} waits for a place: {why}", self.machine.name);
                said = why;
            }
            sleep(pause).await;
            pause = (pause * 2).min(self.config.retry_interval.max(ROUND_PAUSE_MIN));
        }
    }

    /// Whom to ask, and whether one of them may still be starting.
    async fn peers(&self, before: Option<&str>) -> Result<(Vec<Address>, bool), String> {
        let mut pauses = Pauses::default();
        let others = loop {
            match self.registry.others(&self.machine).await {
                Ok(others) => break others,
                Err(Failure::Refused(why)) => return Err(why),
                Err(Failure::Unreachable(why)) => pauses.pause(self.registry.url(), &why).await,
            }
        };
        let starting = others.iter().any(|other| other.age < STARTING_MAX);
        let mut peers: Vec<Address> = others.into_iter().map(|other| other.address).collect();
        // Whoever had this machine's name may be a member that lives.
        let namesake = before.and_then(|url| peer_address(url).ok());
        let namesake = namesake.filter(|address| !self.is_self(address));
        peers.extend(namesake.filter(|address| !peers.contains(address)));
        Ok((peers, starting))
    }

    /// How long to go on asking.
    fn limit(&self, starting: bool) -> Duration {
        let Config {
            retry_attempts_max,
            retry_interval,
            ..
        } = self.config;
        match (*retry_attempts_max, starting) {
            (0, _) => Duration::MAX,
            (attempts, false) => retry_interval.saturating_mul(attempts),
            (attempts, true) => retry_interval.saturating_mul(attempts).max(STARTING_MAX),
        }
    }

    fn explain(&self, failure: JoinFailure) -> String {
        let (url, token) = (self.registry.url(), self.registry.url().token());
        let advice = "if the cluster is gone for good, start a new one with a new token";
        match failure {
            JoinFailure::Nobody(reasons) if reasons.is_empty() => format!(
                "the token {token} has been used, and no other machine is registered with it any more \
                 ({url}): {advice}"
            ),
            nobody @ JoinFailure::Nobody(_) => format!(
                "the token {token} has been used, and none of the machines registered with it gives a \
                 place ({}): {advice}",
                waiting(&nobody)
            ),
            JoinFailure::Stranger { at, what } => format!(
                "what is registered with the token {token} at {at} is no member of a cluster: {what}"
            ),
            other @ (JoinFailure::Declined { .. }
            | JoinFailure::NoPlace(_)
            | JoinFailure::Removed) => other.to_string(),
        }
    }

    async fn join_peers(self, directory: DataDir) -> Result<Started, host::Failure> {
        let others = self.config.peers.iter();
        let others = others.filter(|peer| !self.is_self(peer)).cloned().collect();
        let patience = RetryPolicy {
            attempts: self.config.retry_attempts_max,
            interval: self.config.retry_interval,
        };
        let (contacts, limits) = (self.contacts(others), super::limits(self.config));
        join_or_wait(directory, self.machine, contacts, patience, limits).await
    }

    fn contacts(&self, peers: Vec<Address>) -> Contacts {
        let tls = self.tls.clone();
        Contacts { tls, peers }
    }

    fn is_self(&self, address: &Address) -> bool {
        peer_address(&self.machine.peer_url).is_ok_and(|own| own.is_same_place(address))
    }
}

/// Why there is no place yet.
fn waiting(failure: &JoinFailure) -> String {
    match failure {
        JoinFailure::Nobody(reasons) if reasons.is_empty() => {
            "no other machine is registered".to_owned()
        }
        JoinFailure::Nobody(reasons) => {
            let reasons = reasons.iter();
            let reasons = reasons.map(|(address, why)| format!("{address}: {why}"));
            reasons.collect::<Vec<_>>().join("; ")
        }
        other @ (JoinFailure::Declined { .. }
        | JoinFailure::NoPlace(_)
        | JoinFailure::Removed
        | JoinFailure::Stranger { .. }) => other.to_string(),
    }
}

/// The peer URL that was registered under this machine's name.
struct Before(Option<String>);
