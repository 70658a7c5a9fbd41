//! A discovery token's directory, as 0.4 uses it: machines register there, the first to take `_state` leads,
//! and the others read where to go.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use form_urlencoded::Serializer;
use hyper::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tracing::{debug, info, warn};

use crate::client::{Answer, Body, Client, Error, Node, Request};
use crate::cluster::{Address, MemberId, MemberSpec, peer_address};
use crate::config::DiscoveryUrl;
use crate::net::tls::Connector;

/// How long a registration lasts: a week, in seconds.
pub(super) const TTL_SECONDS: u64 = 7 * 24 * 3600;

/// How often a registration is renewed: eight times in its life.
const RENEW_EVERY: Duration = Duration::from_secs(TTL_SECONDS / 8);

/// How long to wait before renewing again when that failed.
const RENEW_AGAIN: Duration = Duration::from_secs(60);

/// How long one request may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The pauses while the service cannot be reached: each is twice the last.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// What stands for itself in a name.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The code of an error that says that a key exists.
const NODE_EXISTS: u64 = 105;

/// The code of an error that says that there is no such key.
const NOT_FOUND: u64 = 100;

/// A token's directory.
pub struct Registry {
    url: DiscoveryUrl,
    client: Client,
    /// Whether this machine is in it, by this process.
    registered: AtomicBool,
}

/// Why the service is of no help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It cannot be reached, or is not well: later it may be.
    Unreachable(String),
    /// It says no, or something that makes no sense: so it will later.
    Refused(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) | Self::Refused(why) => f.write_str(why),
        }
    }
}

/// Who took `_state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// This machine, now.
    Taken,
    /// Somebody, before.
    Held,
    /// Perhaps this machine: the request was sent and no answer came.
    Unknown,
}

/// Another machine with the same token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// Its peer address.
    pub address: Address,
    /// How long ago it registered, or renewed that.
    pub age: Duration,
}

/// Pauses that become longer, each told to people.
pub(super) struct Pauses(Duration);

impl Default for Pauses {
    fn default() -> Self {
        Self(PAUSE_MIN)
    }
}

impl Pauses {
    /// Say why there is one, and wait.
    pub(super) async fn pause(&mut self, url: &DiscoveryUrl, why: &str) {
        let seconds = self.0.as_secs();
        warn!("the discovery service of {url} is of no help: {why}; trying again in {seconds} s");
        tokio::time::sleep(self.0).await;
        self.0 = PAUSE_MAX.min(self.0 * 2);
    }
}

impl Registry {
    /// The directory at `url`, reached by `tls` where that is `https`.
    pub fn new(url: DiscoveryUrl, tls: Connector) -> Self {
        let client = Client::new(vec![url.service.clone()]).with_tls(tls);
        Self {
            url,
            client,
            registered: AtomicBool::new(false),
        }
    }

    /// Where it is.
    pub fn url(&self) -> &DiscoveryUrl {
        &self.url
    }

    /// Put this machine in, for [`TTL_SECONDS`]. Gives the peer URL that was there under its name before.
    ///
    /// # Errors
    ///
    /// [`Failure`].
    pub async fn register(&self, machine: &MemberSpec) -> Result<Option<String>, Failure> {
        let ttl = TTL_SECONDS.to_string();
        let form = [("ttl", ttl.as_str()), ("value", &machine.peer_url)];
        let answer = self.write(&self.place(&machine.name), &form).await;
        let event = self.good(answer.map_err(|error| self.failure(&error))?)?;
        self.registered.store(true, Ordering::Relaxed);
        Ok(event.prev_node.and_then(|node| node.value))
    }

    /// Put back what [`Registry::register`] replaced, unless somebody else has meanwhile.
    pub async fn give_back(&self, machine: &MemberSpec, before: &str) {
        let ttl = TTL_SECONDS.to_string();
        let form = [
            ("prevValue", machine.peer_url.as_str()),
            ("ttl", &ttl),
            ("value", before),
        ];
        if let Err(why) = self.write(&self.place(&machine.name), &form).await {
            // The other machine renews its registration by itself.
            debug!("the registration of another machine could not be put back: {why}");
        }
    }

    /// Try to be the first, as the member `id`.
    ///
    /// # Errors
    ///
    /// [`Failure`].
    pub async fn claim(&self, id: MemberId) -> Result<Claim, Failure> {
        let place = format!("{}/_state?prevExist=false", self.url.path);
        // 0.4 writes `started` only; who it was is for a machine that stops before it has founded.
        let value = claim_of(id);
        let answer = match self.write(&place, &[("value", &value)]).await {
            Ok(answer) => answer,
            Err(Error::NoResponse { .. }) => return Ok(Claim::Unknown),
            Err(error) => return Err(self.failure(&error)),
        };
        match answer.event() {
            Err(Error::Api(error)) if error.error_code == NODE_EXISTS => Ok(Claim::Held),
            _ => self.good(answer).map(|_| Claim::Taken),
        }
    }

    /// Whether it was the member `id` that took `_state`.
    ///
    /// # Errors
    ///
    /// [`Failure`].
    pub async fn is_claimed_by(&self, id: MemberId) -> Result<bool, Failure> {
        let holder = self.read("/_state?consistent=true&quorum=true").await?;
        Ok(holder.and_then(|node| node.value) == Some(claim_of(id)))
    }

    /// The other machines in it.
    ///
    /// # Errors
    ///
    /// [`Failure`].
    pub async fn others(&self, machine: &MemberSpec) -> Result<Vec<Registered>, Failure> {
        let place = "?consistent=true&recursive=true&sorted=false";
        let directory = self.read(place).await?.unwrap_or_default();
        let own = peer_address(&machine.peer_url).ok();
        let mut others = Vec::new();
        for node in directory.nodes {
            let name = node.key.rsplit('/').next().unwrap_or_default();
            if name == machine.name || name.starts_with('_') {
                continue;
            }
            match read_registration(&node) {
                Some(other)
                    if own
                        .as_ref()
                        .is_some_and(|own| own.is_same_place(&other.address)) => {}
                Some(other) => others.push(other),
                None => warn!("{} holds no peer URL: {name} is passed over", self.url),
            }
        }
        Ok(others)
    }

    /// How many members the cluster is to have, if somebody set that.
    ///
    /// # Errors
    ///
    /// [`Failure`].
    pub async fn size(&self) -> Result<Option<u64>, Failure> {
        let Some(text) = self
            .read("/_config/size")
            .await?
            .and_then(|node| node.value)
        else {
            return Ok(None);
        };
        let size = text.trim().parse();
        if size.is_err() {
            warn!("{}/_config/size holds no number: {text:?}", self.url);
        }
        Ok(size.ok())
    }

    /// Keep the machine in it for as long as this runs. One that has not registered yet does now, with all
    /// that a start asks, as 0.4 does when it goes on with its data.
    pub async fn keep(&self, machine: &MemberSpec, id: Option<MemberId>) {
        let mut pauses = Pauses::default();
        while !self.registered.load(Ordering::Relaxed) {
            match self.arrive(machine, id).await {
                Ok(()) => info!("registered with {}", self.url),
                Err(Failure::Unreachable(why)) => pauses.pause(&self.url, &why).await,
                Err(Failure::Refused(why)) => {
                    warn!("{why}; this machine goes on without it");
                    break;
                }
            }
        }
        let mut wait = RENEW_EVERY;
        loop {
            tokio::time::sleep(wait).await;
            wait = match self.register(machine).await {
                Ok(_) => RENEW_EVERY,
                Err(why) => {
                    warn!(
                        "the registration with {} could not be renewed: {why}",
                        self.url
                    );
                    RENEW_AGAIN
                }
            };
        }
    }

    /// What a start asks, where the answers change nothing any more.
    async fn arrive(&self, machine: &MemberSpec, id: Option<MemberId>) -> Result<(), Failure> {
        self.register(machine).await?;
        if let Some(id) = id {
            self.claim(id).await?;
        }
        self.others(machine).await.map(|_| ())
    }

    /// Where a machine's registration is.
    fn place(&self, name: &str) -> String {
        let name = utf8_percent_encode(name, ESCAPED);
        format!("{}/{name}", self.url.path)
    }

    async fn write(&self, target: &str, form: &[(&str, &str)]) -> Result<Answer, Error> {
        let request = Request {
            method: Method::PUT,
            target: target.to_owned(),
            body: Some(Body::Form(encode(form))),
            timeout: Some(ANSWER_TIMEOUT),
        };
        self.client.send(&request).await
    }

    /// What is at the end of a path and query; none if nothing is.
    async fn read(&self, place: &str) -> Result<Option<Node>, Failure> {
        let request = Request {
            timeout: Some(ANSWER_TIMEOUT),
            ..Request::page(&format!("{}{place}", self.url.path))
        };
        let answer = self.client.send(&request).await;
        let answer = answer.map_err(|error| self.failure(&error))?;
        match answer.event() {
            Err(Error::Api(error)) if error.error_code == NOT_FOUND => Ok(None),
            _ => self.good(answer).map(|event| Some(event.node)),
        }
    }

    /// The event in an answer that should hold one.
    fn good(&self, answer: Answer) -> Result<crate::client::Event, Failure> {
        let status = answer.status;
        answer.event().map_err(|error| match &error {
            Error::Api(api) if status == 404 && api.error_code == NOT_FOUND => Failure::Refused(format!(
                "{} is no token that this discovery service knows: it may have expired; ask the service \
                 for a new one",
                self.url
            )),
            _ if status >= 500 => self.failure(&error),
            Error::Api(api) => Failure::Refused(format!("{} refuses: {api}", self.url)),
            Error::NoMember(_) | Error::NoResponse { .. } | Error::InvalidResponse { .. } => {
                Failure::Refused(format!("{} is no discovery token: {error}", self.url))
            }
        })
    }

    fn failure(&self, error: &Error) -> Failure {
        Failure::Unreachable(error.to_string())
    }
}

fn encode(form: &[(&str, &str)]) -> Bytes {
    let mut fields = Serializer::new(String::new());
    fields.extend_pairs(form);
    Bytes::from(fields.finish())
}

fn claim_of(id: MemberId) -> String {
    format!("started by {id}")
}

fn read_registration(node: &Node) -> Option<Registered> {
    let address = peer_address(node.value.as_deref()?).ok()?;
    let left = node.ttl.and_then(|ttl| u64::try_from(ttl).ok());
    // Without a time to live nobody renews it: it is as old as can be.
    let age = TTL_SECONDS.saturating_sub(left.unwrap_or(0));
    Some(Registered {
        address,
        age: Duration::from_secs(age),
    })
}
