//! An HTTP client of the v2 API: several members, kept connections, redirects, and no write sent twice.
//!
//! [`Request`] says what is wanted, [`Client::send`] gets it done by whichever member answers, and
//! [`Answer`] is what came back.

mod answer;
mod connection;
mod error;
mod request;
mod sync;
pub mod watch;

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::StatusCode;
use hyper::header::LOCATION;

pub use answer::{Answer, ApiError, Event, Node};
pub use error::Error;
pub use request::{Body, Delete, Get, Put, Request};

use crate::cluster::Address;
use crate::net::tls::Connector;
use connection::{Failure, Pool};

/// How often a request is sent on to where an answer points; then that answer is an error.
const REDIRECTS_MAX: usize = 5;

/// How long to wait before watching again when a watch ended without an event.
const WATCH_PAUSE: Duration = Duration::from_millis(100);

/// What a client does on the way to an answer, for those who want to see it.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// A member is asked.
    Asking(&'a Address, &'a Request),
    /// It gave no answer.
    Failed(&'a Address, &'a str),
}

/// A client of one cluster. Cheap to use from many tasks at once.
pub struct Client {
    members: Vec<Address>,
    /// The member that answered last; asked first.
    preferred: AtomicUsize,
    pool: Pool,
    watched: fn(Step<'_>),
    /// Instead of a request's own limit of time, where it has one.
    patience: Option<Duration>,
}

impl Client {
    /// A client that talks to any of `members`, in this order until one of them answers.
    pub fn new(members: Vec<Address>) -> Self {
        Self {
            members,
            preferred: AtomicUsize::new(0),
            pool: Pool::default(),
            watched: |_| {},
            patience: None,
        }
    }

    /// This client, waiting for each answer no longer than `limit`; a watch has no limit all the same.
    #[must_use]
    pub fn patient(self, limit: Duration) -> Self {
        Self {
            patience: Some(limit),
            ..self
        }
    }

    /// This client, telling what it does: `watched` hears each step as it happens.
    #[must_use]
    pub fn telling(self, watched: fn(Step<'_>)) -> Self {
        Self { watched, ..self }
    }

    /// The members it talks to.
    pub fn members(&self) -> &[Address] {
        &self.members
    }

    /// The same client, speaking `tls` to members whose URL is `https`; without it they must show a
    /// certificate that the system trusts.
    #[must_use]
    pub fn with_tls(mut self, tls: Connector) -> Self {
        self.pool.tls = tls;
        self
    }

    /// Read a key or a directory.
    ///
    /// # Errors
    ///
    /// See [`Client::send`]; and the API's own error.
    pub async fn get(&self, key: &str, get: &Get) -> Result<Event, Error> {
        self.send(&get.request(key)).await?.event()
    }

    /// Write a key or a directory.
    ///
    /// # Errors
    ///
    /// See [`Client::send`]; and the API's own error.
    pub async fn put(&self, key: &str, put: &Put) -> Result<Event, Error> {
        self.send(&put.request(key)).await?.event()
    }

    /// Make a key in order below a directory.
    ///
    /// # Errors
    ///
    /// See [`Client::send`]; and the API's own error.
    pub async fn post(&self, directory: &str, put: &Put) -> Result<Event, Error> {
        self.send(&put.request_in_order(directory)).await?.event()
    }

    /// Remove a key or a directory.
    ///
    /// # Errors
    ///
    /// See [`Client::send`]; and the API's own error.
    pub async fn delete(&self, key: &str, delete: &Delete) -> Result<Event, Error> {
        self.send(&delete.request(key)).await?.event()
    }

    /// The first event of a key, or with `recursive` below it too, from index `since` on, or from now on,
    /// and the answer it came in. It survives lost connections and members: it goes on where it was.
    ///
    /// # Errors
    ///
    /// [`Error::NoMember`] when none can be reached; the API's own error, 401 among them.
    pub async fn watch(
        &self,
        key: &str,
        recursive: bool,
        mut since: Option<u64>,
    ) -> Result<(Answer, Event), Error> {
        loop {
            let answer = match self.send(&Request::watch(key, recursive, since)).await {
                Ok(answer) => answer,
                Err(Error::Unanswered { index, .. }) => {
                    since = since.or(index.map(|index| index.saturating_add(1)));
                    tokio::time::sleep(WATCH_PAUSE).await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            // A server may end a watch that saw nothing for long with an empty answer.
            if answer.is_success() && answer.body.is_empty() {
                since = since.or(answer.index.map(|index| index.saturating_add(1)));
                tokio::time::sleep(WATCH_PAUSE).await;
                continue;
            }
            let event = answer.event()?;
            return Ok((answer, event));
        }
    }

    /// Tell whoever wants to see it what is asked of whom.
    fn asking(&self, member: &Address, request: &Request) {
        (self.watched)(Step::Asking(member, request));
    }

    /// Have a request answered by the first member that can. Another member is asked if one could not
    /// be reached, if the request surely did not get to it, or if it only reads.
    ///
    /// # Errors
    ///
    /// [`Error::NoMember`] if nobody could be asked; [`Error::Unanswered`] if a write was sent and no
    /// answer came: it may have happened. Any answer, whatever its status, is no error here.
    pub async fn send(&self, request: &Request) -> Result<Answer, Error> {
        let first = self.preferred.load(Ordering::Relaxed);
        let mut tried = Vec::new();
        for offset in 0..self.members.len() {
            let place = first.wrapping_add(offset) % self.members.len();
            let Some(member) = self.members.get(place) else {
                break;
            };
            self.asking(member, request);
            let outcome = self.send_to(member, request).await;
            if let Err(failure) = &outcome {
                (self.watched)(Step::Failed(member, &failure.cause));
            }
            match outcome {
                Ok(answer) => {
                    self.preferred.store(place, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(failure) if failure.sent && !request.may_be_repeated() => {
                    self.preferred.store(place + 1, Ordering::Relaxed);
                    return Err(Error::Unanswered {
                        member: member.clone(),
                        cause: failure.cause,
                        index: failure.index,
                    });
                }
                Err(failure) => tried.push((member.clone(), failure.cause)),
            }
        }
        Err(Error::NoMember(tried))
    }

    /// The place of the member to ask first.
    fn first(&self) -> usize {
        self.preferred.load(Ordering::Relaxed)
    }

    /// One member, and whoever it points at.
    async fn send_to(&self, member: &Address, request: &Request) -> Result<Answer, Failure> {
        let mut member = member.clone();
        let mut target = request.target.clone();
        let mut request = request.clone();
        request.timeout = request.timeout.map(|limit| self.patience.unwrap_or(limit));
        for _ in 0..=REDIRECTS_MAX {
            let response = self.pool.exchange(&member, &target, &request).await?;
            let redirected = matches!(
                response.status,
                // The first two allow a client to ask again with GET, which would never be right here.
                StatusCode::MOVED_PERMANENTLY
                    | StatusCode::FOUND
                    | StatusCode::TEMPORARY_REDIRECT
                    | StatusCode::PERMANENT_REDIRECT
            );
            let location = response
                .headers
                .get(LOCATION)
                .and_then(|value| value.to_str().ok());
            match location.filter(|_| redirected) {
                Some(location) => {
                    let Some(next) = resolve(&member, location) else {
                        return Err(Failure::unsent(format!("bad redirect to {location:?}")));
                    };
                    (member, target) = next;
                }
                None => return Ok(Answer::new(member, response)),
            }
        }
        Err(Failure::unsent(String::from("too many redirects")))
    }
}

/// The member and the target a `Location` points at.
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
