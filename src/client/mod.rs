//! An HTTP client of the v2 API: several members, pooled connections, redirects, and no write sent twice.
//!
//! [`Client::send`] sends a [`Request`] to the first member that responds and returns its [`Answer`]. A
//! [`watch::Watch`] delivers every event from an index on.

mod answer;
mod api_error;
mod connection;
mod error;
mod request;
mod response;
mod sync;
pub mod watch;

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::header::LOCATION;

pub use answer::{Answer, Event, Node};
pub use api_error::ApiError;
pub use error::{Cause, Error};
pub use request::{Body, Delete, Get, Put, Request};

use crate::cluster::Address;
use crate::net::tls::Connector;
use connection::Pool;
use error::Failure;

/// The number of redirects that are followed; one more is an error.
const REDIRECTS_MAX: usize = 5;

/// The delay before a watch is resumed that ended without an event.
const WATCH_PAUSE: Duration = Duration::from_millis(100);

/// A step of a client on the way to a response, for an observer.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// A request is sent to a member.
    Request(&'a Address, &'a Request),
    /// The member sent no usable response.
    Failure(&'a Address, &'a Cause),
}

/// A client of one cluster. Many tasks may use it at once.
pub struct Client {
    members: Vec<Address>,
    /// The index of the member that responded last; it is tried first.
    preferred: AtomicUsize,
    pool: Pool,
    observer: fn(Step<'_>),
    /// Replaces the timeout of a request that has one.
    timeout: Option<Duration>,
}

impl Client {
    /// A client that tries `members` in this order until one of them responds.
    pub fn new(members: Vec<Address>) -> Self {
        Self {
            members,
            preferred: AtomicUsize::new(0),
            pool: Pool::default(),
            observer: |_| {},
            timeout: None,
        }
    }

    /// Set the timeout for each response; a watch has none.
    #[must_use]
    pub fn with_timeout(self, limit: Duration) -> Self {
        Self {
            timeout: Some(limit),
            ..self
        }
    }

    /// Call `observer` with each step.
    #[must_use]
    pub fn with_observer(self, observer: fn(Step<'_>)) -> Self {
        Self { observer, ..self }
    }

    /// The members it knows.
    pub fn members(&self) -> &[Address] {
        &self.members
    }

    /// Use `tls` for members whose URL is `https`; by default the system's CA certificates are trusted.
    #[must_use]
    pub fn with_tls(mut self, tls: Connector) -> Self {
        self.pool.tls = tls;
        self
    }

    /// Read a key or a directory.
    ///
    /// # Errors
    ///
    /// Those of [`Client::send`], [`Error::Api`] and [`Error::InvalidResponse`].
    pub async fn get(&self, key: &str, get: &Get) -> Result<Event, Error> {
        self.send(&get.request(key)).await?.event()
    }

    /// Write a key or a directory.
    ///
    /// # Errors
    ///
    /// Those of [`Client::send`], [`Error::Api`] and [`Error::InvalidResponse`].
    pub async fn put(&self, key: &str, put: &Put) -> Result<Event, Error> {
        self.send(&put.request(key)).await?.event()
    }

    /// Create an in-order key in a directory.
    ///
    /// # Errors
    ///
    /// Those of [`Client::send`], [`Error::Api`] and [`Error::InvalidResponse`].
    pub async fn post(&self, directory: &str, put: &Put) -> Result<Event, Error> {
        self.send(&put.request_in_order(directory)).await?.event()
    }

    /// Remove a key or a directory.
    ///
    /// # Errors
    ///
    /// Those of [`Client::send`], [`Error::Api`] and [`Error::InvalidResponse`].
    pub async fn delete(&self, key: &str, delete: &Delete) -> Result<Event, Error> {
        self.send(&delete.request(key)).await?.event()
    }

    /// The first event of a key, or with `recursive` of the keys below it too, from index `since` on, or from
    /// now on, and the response it came in. After a lost connection the watch is resumed at its index.
    ///
    /// # Errors
    ///
    /// [`Error::NoMember`] if no member can be reached; [`Error::Api`], including 401 for a cleared history;
    /// [`Error::InvalidResponse`].
    pub async fn watch(
        &self,
        key: &str,
        recursive: bool,
        mut since: Option<u64>,
    ) -> Result<(Answer, Event), Error> {
        loop {
            let answer = match self.send(&Request::watch(key, recursive, since)).await {
                Ok(answer) => answer,
                Err(Error::NoResponse { index, .. }) => {
                    since = since.or(index.map(|index| index.saturating_add(1)));
                    tokio::time::sleep(WATCH_PAUSE).await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            // A server may end a watch without an event with an empty response.
            if answer.is_success() && answer.body.is_empty() {
                since = since.or(answer.index.map(|index| index.saturating_add(1)));
                tokio::time::sleep(WATCH_PAUSE).await;
                continue;
            }
            let event = answer.event()?;
            return Ok((answer, event));
        }
    }

    /// Report a request to the observer.
    fn observe(&self, member: &Address, request: &Request) {
        (self.observer)(Step::Request(member, request));
    }

    /// Send a request and return the response of the first member that responds. The next member is tried if
    /// one cannot be reached, if it certainly did not receive the request, or if the request only reads.
    ///
    /// # Errors
    ///
    /// [`Error::NoMember`] if no member received the request; [`Error::NoResponse`] if a write was sent and no
    /// response came: it may have been executed. A response with any status is not an error here.
    pub async fn send(&self, request: &Request) -> Result<Answer, Error> {
        let first = self.preferred.load(Ordering::Relaxed);
        let mut tried = Vec::new();
        for offset in 0..self.members.len() {
            let index = first.wrapping_add(offset) % self.members.len();
            let Some(member) = self.members.get(index) else {
                break;
            };
            self.observe(member, request);
            let outcome = self.send_to(member, request).await;
            if let Err(failure) = &outcome {
                (self.observer)(Step::Failure(member, &failure.cause));
            }
            match outcome {
                Ok(answer) => {
                    self.preferred.store(index, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(failure) if failure.sent && !request.is_repeatable() => {
                    self.preferred.store(index + 1, Ordering::Relaxed);
                    return Err(Error::NoResponse {
                        member: member.clone(),
                        cause: Box::new(failure.cause),
                        index: failure.index,
                    });
                }
                Err(failure) => tried.push((member.clone(), failure.cause)),
            }
        }
        Err(Error::NoMember(tried))
    }

    /// The index of the member to try first.
    fn preferred(&self) -> usize {
        self.preferred.load(Ordering::Relaxed)
    }

    /// Send a request to one member, and follow its redirects.
    async fn send_to(&self, member: &Address, request: &Request) -> Result<Answer, Failure> {
        let mut member = member.clone();
        let mut target = request.target.clone();
        let mut request = request.clone();
        request.timeout = request.timeout.map(|limit| self.timeout.unwrap_or(limit));
        for _ in 0..=REDIRECTS_MAX {
            let response = self.pool.exchange(&member, &target, &request).await?;
            let location = response
                .headers
                .get(LOCATION)
                .and_then(|value| value.to_str().ok());
            match location.filter(|_| response.is_redirect()) {
                Some(location) => {
                    let Some(next) = resolve(&member, location) else {
                        let location = location.to_owned();
                        return Err(Failure::unsent(Cause::BadRedirect(location)));
                    };
                    (member, target) = next;
                }
                None => return Ok(Answer::new(member, response)),
            }
        }
        Err(Failure::unsent(Cause::TooManyRedirects))
    }
}

/// The member and the target of a `Location`.
fn resolve(member: &Address, location: &str) -> Option<(Address, String)> {
    if location.starts_with('/') {
        return Some((member.clone(), String::from(location)));
    }
    let (scheme, rest) = location.split_once("://")?;
    let split = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(split)?;
    let port = if scheme == "https" { 443 } else { 80 };
    let address = Address::parse_with_port(&format!("{scheme}://{authority}"), port).ok()?;
    let path = if path.is_empty() { "/" } else { path };
    Some((address, String::from(path)))
}
