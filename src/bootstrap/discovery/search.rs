//! Finding a cluster by a discovery token: the first member with the token founds it, the others join.
//!
//! An interruption at any point does no harm: the data directory has its id before `_state` is created, which names
//! that id, so the member that was stopped before it founded the cluster founds it when it is started again.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::token::{Backoff, Claim, TokenDirectory, TokenError};
use crate::bootstrap::found::{Foundation, found_cluster};
use crate::bootstrap::join::{JoinAttempt, join_or_stand_by, try_to_join};
use crate::bootstrap::local::{Contacts, Started, get_or_create_id, history_limits};
use crate::cluster::{Address, MemberId, MemberSpec, peer_address};
use crate::config::Config;
use crate::host::Failure;
use crate::membership::client::{JoinFailure, RetryPolicy, list_reasons};
use crate::net::tls::Connector;
use crate::wal::{DataDir, Founding};

/// How long a member that has registered may take to start; it is waited for meanwhile.
const STARTING_MAX: Duration = Duration::from_secs(60);

/// The first pause between two attempts to join; each is twice as long as the last, up to `-retry-interval`.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// One round through the peers.
const ONCE: RetryPolicy = RetryPolicy {
    attempts: 1,
    interval: Duration::ZERO,
};

/// The search of one member for its cluster.
pub(in crate::bootstrap) struct Search<'a> {
    pub(in crate::bootstrap) tokens: &'a TokenDirectory,
    pub(in crate::bootstrap) config: &'a Config,
    pub(in crate::bootstrap) spec: MemberSpec,
    /// For peers whose URL is `https`.
    pub(in crate::bootstrap) tls: Connector,
}

/// The registration of this member.
enum Registered {
    /// It succeeded; the peer URL that was registered under its name before.
    Yes(Option<String>),
    /// The service is unavailable, but there are peers to ask instead.
    No,
}

impl Search<'_> {
    /// Found the cluster or join it; join by `-peers` where the service is unavailable.
    ///
    /// # Errors
    ///
    /// [`Failure::Other`]: the token cannot be used, no member with it admits this one, or the data directory cannot be
    /// written; [`Failure`] as for founding or joining a cluster.
    pub(in crate::bootstrap) async fn run(
        self,
        mut directory: DataDir,
    ) -> Result<Started, Failure> {
        let is_new = directory.identity().is_none();
        let id = get_or_create_id(&mut directory, &self.spec.name, Founding::Discovery)?;
        let Registered::Yes(before) = self.register().await? else {
            return self.join_peers(directory).await;
        };
        if self.is_first(id, is_new).await? {
            return self.found(directory).await;
        }
        self.join(directory, before).await
    }

    async fn register(&self) -> Result<Registered, Failure> {
        let mut backoff = Backoff::default();
        loop {
            match self.tokens.register(&self.spec).await {
                Ok(before) => {
                    info!(url = %self.tokens.url(), "registered with the discovery service");
                    return Ok(Registered::Yes(before));
                }
                Err(error) if error.is_temporary() && !self.config.peers.is_empty() => {
                    let url = self.tokens.url();
                    warn!(%url, %error, "discovery service unavailable, joining by -peers");
                    return Ok(Registered::No);
                }
                Err(error) => self.pause_or_fail(&mut backoff, error).await?,
            }
        }
    }

    /// Whether this member is the first with its token. One with an id that `is_new` is only if it creates `_state`.
    async fn is_first(&self, id: MemberId, is_new: bool) -> Result<bool, Failure> {
        let mut may_have_claimed = !is_new;
        let mut backoff = Backoff::default();
        loop {
            let is_first = match self.tokens.claim(id).await {
                Ok(Claim::Existed) if may_have_claimed => self.tokens.is_claimed_by(id).await,
                Ok(Claim::Existed) => Ok(false),
                Ok(Claim::Created) => Ok(true),
                Ok(Claim::Unknown) => {
                    may_have_claimed = true;
                    let reason = "no answer to the request for _state";
                    backoff.pause(self.tokens.url(), reason).await;
                    continue;
                }
                Err(error) => Err(error),
            };
            match is_first {
                Ok(is_first) => return Ok(is_first),
                Err(error) => self.pause_or_fail(&mut backoff, error).await?,
            }
        }
    }

    async fn found(self, directory: DataDir) -> Result<Started, Failure> {
        let mut backoff = Backoff::default();
        let size = loop {
            match self.tokens.read_size().await {
                Ok(size) => break size,
                Err(error) if error.is_temporary() => {
                    self.pause_or_fail(&mut backoff, error).await?;
                }
                Err(error) => {
                    warn!(%error, "cluster size unknown");
                    break None;
                }
            }
        };
        let settings = self.config.settings;
        let foundation = Foundation {
            founding: Founding::Discovery,
            settings: size.map_or(settings, |size| settings.with_active_size(size)),
        };
        info!(name = %self.spec.name, "first member with its discovery token");
        let limits = history_limits(self.config);
        let member = found_cluster(directory, self.spec, foundation, limits)?;
        Ok(Started::Member(Box::new(member)))
    }

    /// Ask the members with the same token for a seat, until one of them admits this member.
    async fn join(
        self,
        mut directory: DataDir,
        before: Option<String>,
    ) -> Result<Started, Failure> {
        let started = Instant::now();
        let mut pause = PAUSE_MIN;
        let mut last_reason = String::new();
        loop {
            let (peers, may_be_starting) = self.find_peers(before.as_deref()).await?;
            let (contacts, limits) = (self.contacts(peers), history_limits(self.config));
            let attempt = try_to_join(directory, self.spec.clone(), contacts, ONCE, limits);
            let failure = match attempt.await? {
                JoinAttempt::Started(started) => return Ok(started),
                JoinAttempt::Failed(back, failure) => {
                    directory = back;
                    failure
                }
            };
            let is_refused = failure.refusal().is_some();
            if is_refused || started.elapsed() >= self.timeout(may_be_starting) {
                if let Some(before) = &before {
                    self.tokens.restore(&self.spec, before).await;
                }
                return Err(self.explain(failure).into());
            }
            // The first member may be starting at the same time: the first reasons say no more than that.
            let reason = describe(&failure);
            if reason != last_reason {
                info!(name = %self.spec.name, reason, "waiting for a seat");
                last_reason = reason;
            }
            sleep(pause).await;
            pause = (pause * 2).min(self.config.retry_interval.max(PAUSE_MIN));
        }
    }

    /// The peers to ask, and whether one of them may still be starting.
    async fn find_peers(&self, before: Option<&str>) -> Result<(Vec<Address>, bool), Failure> {
        let mut backoff = Backoff::default();
        let others = loop {
            match self.tokens.list_others(&self.spec).await {
                Ok(others) => break others,
                Err(error) => self.pause_or_fail(&mut backoff, error).await?,
            }
        };
        let may_be_starting = others.iter().any(|other| other.age < STARTING_MAX);
        let mut peers: Vec<Address> = others.into_iter().map(|other| other.address).collect();
        // A living member may have had this member's name.
        let namesake = before.and_then(|url| peer_address(url).ok());
        let namesake = namesake.filter(|address| !self.is_self(address));
        peers.extend(namesake.filter(|address| !peers.contains(address)));
        Ok((peers, may_be_starting))
    }

    /// Wait after an error that may be over later; fail with any other.
    async fn pause_or_fail(&self, backoff: &mut Backoff, error: TokenError) -> Result<(), Failure> {
        if !error.is_temporary() {
            return Err(error.to_string().into());
        }
        backoff.pause(self.tokens.url(), &error.to_string()).await;
        Ok(())
    }

    /// How long to try to join.
    fn timeout(&self, may_be_starting: bool) -> Duration {
        let Config {
            retry_attempts_max,
            retry_interval,
            ..
        } = self.config;
        match (*retry_attempts_max, may_be_starting) {
            (0, _) => Duration::MAX,
            (attempts, false) => retry_interval.saturating_mul(attempts),
            (attempts, true) => retry_interval.saturating_mul(attempts).max(STARTING_MAX),
        }
    }

    fn explain(&self, failure: JoinFailure) -> String {
        let (url, token) = (self.tokens.url(), self.tokens.url().token());
        let advice = "if the cluster is lost, start a new one with a new token";
        match failure {
            JoinFailure::Unavailable(reasons) if reasons.is_empty() => format!(
                "the discovery token {token} was used before, and no other member is registered with it now \
                 ({url}): {advice}"
            ),
            JoinFailure::Unavailable(reasons) => format!(
                "the discovery token {token} was used before, and none of the members registered with it \
                 admitted this one ({}): {advice}",
                list_reasons(&reasons)
            ),
            JoinFailure::NotAMember { at, answer } => format!(
                "{at}, which is registered with the discovery token {token}, is not a member of a cluster that \
                 can be joined: {answer}"
            ),
            refused @ JoinFailure::Refused { .. } => refused.to_string(),
        }
    }

    async fn join_peers(self, directory: DataDir) -> Result<Started, Failure> {
        let others = self.config.peers.iter();
        let others = others.filter(|peer| !self.is_self(peer)).cloned().collect();
        let retry = RetryPolicy {
            attempts: self.config.retry_attempts_max,
            interval: self.config.retry_interval,
        };
        let (contacts, limits) = (self.contacts(others), history_limits(self.config));
        join_or_stand_by(directory, self.spec, contacts, retry, limits).await
    }

    fn contacts(&self, peers: Vec<Address>) -> Contacts {
        let tls = self.tls.clone();
        Contacts { tls, peers }
    }

    fn is_self(&self, address: &Address) -> bool {
        peer_address(&self.spec.peer_url).is_ok_and(|own| own.is_same_endpoint(address))
    }
}

/// Why the member has no seat yet.
fn describe(failure: &JoinFailure) -> String {
    match failure {
        JoinFailure::Unavailable(reasons) if reasons.is_empty() => {
            "no other member is registered".to_owned()
        }
        JoinFailure::Unavailable(reasons) => list_reasons(reasons),
        JoinFailure::Refused { .. } | JoinFailure::NotAMember { .. } => failure.to_string(),
    }
}
