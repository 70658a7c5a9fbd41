//! The directory of a discovery token at the discovery service, as 0.4 uses it: members register there, the one that
//! creates `_state` founds the cluster, and the others find its members.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use form_urlencoded::Serializer;
use hyper::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tracing::{debug, info, warn};

use crate::client::{Answer, ApiError, Body, Client, Error, Node, Request};
use crate::cluster::{Address, MemberId, MemberSpec, peer_address};
use crate::config::DiscoveryUrl;
use crate::net::tls::Connector;

/// The time to live of a registration: a week, in seconds.
pub(super) const TTL_SECONDS: u64 = 7 * 24 * 3600;

/// The time between two renewals of a registration: an eighth of its time to live.
const RENEW_EVERY: Duration = Duration::from_secs(TTL_SECONDS / 8);

/// The time to the next attempt after a renewal that failed.
const RENEW_RETRY: Duration = Duration::from_secs(60);

/// Timeout for one request.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The first and the longest pause between two attempts to reach the service.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// The characters of a name that are escaped.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The error code for a key that exists.
const NODE_EXISTS: u64 = 105;

/// The error code for a key that does not exist.
const NOT_FOUND: u64 = 100;

/// The directory of a token.
pub struct TokenDirectory {
    url: DiscoveryUrl,
    client: Client,
    /// Whether this process has registered its member.
    registered: AtomicBool,
}

/// Why the discovery service did not do what was requested.
#[derive(Debug)]
pub enum TokenError {
    /// It cannot be reached, or has an error of its own: a retry may help.
    Unavailable(Error),
    /// It does not know the token at this URL.
    UnknownToken(String),
    /// It refuses the request.
    Refused(String, ApiError),
    /// What is at this URL is not the directory of a token.
    NotAToken(String, Error),
}

impl TokenError {
    /// Whether a retry may help.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(error) => error.fmt(f),
            Self::UnknownToken(url) => write!(
                f,
                "{url} is not a token known to the discovery service: it may have expired (request a new one)"
            ),
            Self::Refused(url, error) => write!(f, "the discovery service refused {url}: {error}"),
            Self::NotAToken(url, error) => write!(f, "{url} is not a discovery token: {error}"),
        }
    }
}

impl std::error::Error for TokenError {}

/// Whether this member created `_state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It did, just now.
    Created,
    /// It existed before.
    Existed,
    /// Perhaps: the request was sent, and no answer came.
    Unknown,
}

/// The registration of another member with the same token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The member's peer address.
    pub address: Address,
    /// The time since it was written or renewed.
    pub age: Duration,
}

/// Backoff between attempts to reach the service, each twice as long as the last, and logged.
pub(super) struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(PAUSE_MIN)
    }
}

impl Backoff {
    /// Log the reason, and wait.
    pub(super) async fn pause(&mut self, url: &DiscoveryUrl, reason: &str) {
        let retry_in = format!("{}s", self.0.as_secs());
        warn!(%url, %retry_in, reason, "discovery service unavailable");
        tokio::time::sleep(self.0).await;
        self.0 = PAUSE_MAX.min(self.0 * 2);
    }
}

impl TokenDirectory {
    /// The directory at `url`, which is connected to by `tls` if it is `https`.
    pub fn new(url: DiscoveryUrl, tls: Connector) -> Self {
        let client = Client::new(vec![url.service.clone()]).with_tls(tls);
        Self {
            url,
            client,
            registered: AtomicBool::new(false),
        }
    }

    /// Its URL.
    pub fn url(&self) -> &DiscoveryUrl {
        &self.url
    }

    /// Register this member for [`TTL_SECONDS`]; returns the peer URL that was registered under its name before.
    ///
    /// # Errors
    ///
    /// [`TokenError`].
    pub async fn register(&self, spec: &MemberSpec) -> Result<Option<String>, TokenError> {
        let ttl = TTL_SECONDS.to_string();
        let form = [("ttl", ttl.as_str()), ("value", &spec.peer_url)];
        let answer = self.write(&self.path_of(&spec.name), &form).await;
        let event = self.check(answer.map_err(TokenError::Unavailable)?)?;
        self.registered.store(true, Ordering::Relaxed);
        Ok(event.prev_node.and_then(|node| node.value))
    }

    /// Restore the registration that [`TokenDirectory::register`] replaced, unless it changed meanwhile.
    pub async fn restore(&self, spec: &MemberSpec, before: &str) {
        let ttl = TTL_SECONDS.to_string();
        let form = [
            ("prevValue", spec.peer_url.as_str()),
            ("ttl", &ttl),
            ("value", before),
        ];
        if let Err(error) = self.write(&self.path_of(&spec.name), &form).await {
            // The other member renews its registration itself.
            debug!(%error, "registration of another member not restored");
        }
    }

    /// Try to create `_state`, as the member `id`.
    ///
    /// # Errors
    ///
    /// [`TokenError`].
    pub async fn claim(&self, id: MemberId) -> Result<Claim, TokenError> {
        let path = format!("{}/_state?prevExist=false", self.url.path);
        // 0.4 writes `started` only; the id is for a member that stops before it has founded the cluster.
        let value = claim_of(id);
        let answer = match self.write(&path, &[("value", &value)]).await {
            Ok(answer) => answer,
            Err(Error::NoResponse { .. }) => return Ok(Claim::Unknown),
            Err(error) => return Err(TokenError::Unavailable(error)),
        };
        match answer.event() {
            Err(Error::Api(error)) if error.error_code == NODE_EXISTS => Ok(Claim::Existed),
            _ => self.check(answer).map(|_| Claim::Created),
        }
    }

    /// Whether the member `id` created `_state`.
    ///
    /// # Errors
    ///
    /// [`TokenError`].
    pub async fn is_claimed_by(&self, id: MemberId) -> Result<bool, TokenError> {
        let holder = self.read("/_state?consistent=true&quorum=true").await?;
        Ok(holder.and_then(|node| node.value) == Some(claim_of(id)))
    }

    /// List the registrations of the other members.
    ///
    /// # Errors
    ///
    /// [`TokenError`].
    pub async fn list_others(&self, spec: &MemberSpec) -> Result<Vec<Registration>, TokenError> {
        let query = "?consistent=true&recursive=true&sorted=false";
        let directory = self.read(query).await?.unwrap_or_default();
        let own = peer_address(&spec.peer_url).ok();
        let mut others = Vec::new();
        for node in directory.nodes {
            let name = node.key.rsplit('/').next().unwrap_or_default();
            if name == spec.name || name.starts_with('_') {
                continue;
            }
            match parse_registration(&node) {
                Some(other)
                    if own
                        .as_ref()
                        .is_some_and(|own| own.is_same_endpoint(&other.address)) => {}
                Some(other) => others.push(other),
                None => {
                    warn!(url = %self.url, name, "registration without a valid peer URL ignored")
                }
            }
        }
        Ok(others)
    }

    /// Read the number of members that the cluster is to have, if it is set.
    ///
    /// # Errors
    ///
    /// [`TokenError`].
    pub async fn read_size(&self) -> Result<Option<u64>, TokenError> {
        let Some(text) = self
            .read("/_config/size")
            .await?
            .and_then(|node| node.value)
        else {
            return Ok(None);
        };
        let size = text.trim().parse();
        if size.is_err() {
            warn!(url = %self.url, value = text, "_config/size is not a number, ignored");
        }
        Ok(size.ok())
    }

    /// Keep the member registered for as long as this runs. One that is not registered yet sends all requests of a
    /// start, as 0.4 does when it restarts.
    pub async fn keep_registered(&self, spec: &MemberSpec, id: Option<MemberId>) {
        let mut backoff = Backoff::default();
        while !self.registered.load(Ordering::Relaxed) {
            match self.send_start_requests(spec, id).await {
                Ok(()) => info!(url = %self.url, "registered with the discovery service"),
                Err(TokenError::Unavailable(error)) => {
                    backoff.pause(&self.url, &error.to_string()).await;
                }
                Err(
                    error @ (TokenError::UnknownToken(_)
                    | TokenError::Refused(..)
                    | TokenError::NotAToken(..)),
                ) => {
                    warn!(%error, "not registered with the discovery service");
                    break;
                }
            }
        }
        let mut wait = RENEW_EVERY;
        loop {
            tokio::time::sleep(wait).await;
            wait = match self.register(spec).await {
                Ok(_) => RENEW_EVERY,
                Err(error) => {
                    warn!(url = %self.url, %error, "registration not renewed");
                    RENEW_RETRY
                }
            };
        }
    }

    /// Send the requests of a start; their answers do not matter any more.
    async fn send_start_requests(
        &self,
        spec: &MemberSpec,
        id: Option<MemberId>,
    ) -> Result<(), TokenError> {
        self.register(spec).await?;
        if let Some(id) = id {
            self.claim(id).await?;
        }
        self.list_others(spec).await.map(|_| ())
    }

    /// The path of a member's registration.
    fn path_of(&self, name: &str) -> String {
        let name = utf8_percent_encode(name, ESCAPED);
        format!("{}/{name}", self.url.path)
    }

    async fn write(&self, target: &str, form: &[(&str, &str)]) -> Result<Answer, Error> {
        let request = Request {
            method: Method::PUT,
            target: target.to_owned(),
            body: Some(Body::Form(encode_form(form))),
            timeout: Some(ANSWER_TIMEOUT),
        };
        self.client.send(&request).await
    }

    /// Read the node at a path below the token's, with a query; none if there is no such key.
    async fn read(&self, target: &str) -> Result<Option<Node>, TokenError> {
        let request = Request {
            timeout: Some(ANSWER_TIMEOUT),
            ..Request::page(&format!("{}{target}", self.url.path))
        };
        let answer = self.client.send(&request).await;
        let answer = answer.map_err(TokenError::Unavailable)?;
        match answer.event() {
            Err(Error::Api(error)) if error.error_code == NOT_FOUND => Ok(None),
            _ => self.check(answer).map(|event| Some(event.node)),
        }
    }

    /// The event in an answer to a valid request.
    fn check(&self, answer: Answer) -> Result<crate::client::Event, TokenError> {
        let (status, url) = (answer.status, self.url.to_string());
        let event = answer.event();
        if status >= 500 {
            return event.map_err(TokenError::Unavailable);
        }
        event.map_err(|error| match error {
            Error::Api(api) if status == 404 && api.error_code == NOT_FOUND => {
                TokenError::UnknownToken(url)
            }
            Error::Api(api) => TokenError::Refused(url, api),
            error @ (Error::NoMember(_)
            | Error::NoResponse { .. }
            | Error::InvalidResponse { .. }) => TokenError::NotAToken(url, error),
        })
    }
}

fn encode_form(form: &[(&str, &str)]) -> Bytes {
    let mut fields = Serializer::new(String::new());
    fields.extend_pairs(form);
    Bytes::from(fields.finish())
}

fn claim_of(id: MemberId) -> String {
    format!("started by {id}")
}

fn parse_registration(node: &Node) -> Option<Registration> {
    let address = peer_address(node.value.as_deref()?).ok()?;
    let left = node.ttl.and_then(|ttl| u64::try_from(ttl).ok());
    // Without a time to live no member renews it: it counts as old.
    let age = TTL_SECONDS.saturating_sub(left.unwrap_or(0));
    Some(Registration {
        address,
        age: Duration::from_secs(age),
    })
}
