//! One client: its connection, its requests, and what it counts.

use std::io::{Error, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::connection::{Connection, Reply};
use super::failure::Failure;
use super::outcome::Outcome;
use super::parse::number_after;
use super::workload::Requests;
use super::{Limit, Plan, Workload};
use crate::cluster::Address;
use crate::net::tls::Connector;

/// The timeout for a response.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

/// The delay before a client reconnects after a failure.
const RECONNECT_AFTER: Duration = Duration::from_millis(20);

/// The number of redirects that one request follows.
const REDIRECTS_MAX: usize = 3;

/// What all clients share.
pub(super) struct Shared {
    pub(super) plan: Plan,
    /// TLS for members whose URL is `https`.
    tls: Connector,
    /// The start of the run.
    pub(super) start: Instant,
    /// The number of the next request.
    next: AtomicU64,
    /// The number of completed requests, successful or not.
    pub(super) done: AtomicU64,
    /// The number of failed ones.
    pub(super) failed: AtomicU64,
    /// Set to end the run early.
    pub(super) stop: AtomicBool,
}

/// One client.
pub(super) struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) requests: Requests,
    pub(super) outcome: Outcome,
    member: usize,
    /// The target of a redirect; replaces `member`.
    redirected: Option<Address>,
    connection: Option<Connection>,
}

impl Shared {
    pub(super) fn new(plan: &Plan, tls: &Connector) -> Arc<Self> {
        Arc::new(Self {
            plan: plan.clone(),
            tls: tls.clone(),
            start: Instant::now(),
            next: AtomicU64::new(0),
            done: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        })
    }

    /// Whether the run is over for requests without a number.
    pub(super) fn is_over(&self) -> bool {
        let reached = match self.plan.limit {
            Limit::Duration(duration) => self.start.elapsed() >= duration,
            Limit::Total(total) => self.done.load(Ordering::Relaxed) >= total,
        };
        reached || self.stop.load(Ordering::Relaxed)
    }

    /// Wait until the next request is due, and return the time its latency counts from; none when the run is over.
    pub(super) async fn next_due(&self) -> Option<Instant> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if let Limit::Total(total) = self.plan.limit
            && number >= total
        {
            return None;
        }
        let Some(rate) = self.plan.rate else {
            return (!self.is_over()).then(Instant::now);
        };
        #[expect(clippy::cast_precision_loss, reason = "2^53 requests are out of reach")]
        let due = self.start + Duration::from_secs_f64(number as f64 / rate);
        if let Limit::Duration(duration) = self.plan.limit
            && due >= self.start + duration
        {
            return None;
        }
        if due <= Instant::now() {
            return (!self.is_over()).then_some(due);
        }
        tokio::time::sleep_until(due.into()).await;
        // Timers have a resolution of a millisecond, which must not count as latency: count from now. For a
        // client that was busy when the request was due, the latency counts from the due time, above.
        (!self.is_over()).then(Instant::now)
    }
}

impl Worker {
    pub(super) fn new(shared: &Arc<Shared>, number: usize) -> Self {
        Self {
            shared: Arc::clone(shared),
            requests: Requests::new(&shared.plan, number),
            outcome: Outcome::default(),
            member: number,
            redirected: None,
            connection: None,
        }
    }

    /// Send requests until the run is over.
    pub(super) async fn run(mut self) -> Outcome {
        while let Some(due) = self.shared.next_due().await {
            let result = self
                .request(|requests, member| requests.next(member))
                .await
                .map(drop);
            self.count(due, result).await;
        }
        self.outcome
    }

    /// Write key number `key`, without counting it.
    pub(super) async fn fill(&mut self, key: u64) -> Result<(), Failure> {
        self.request(|requests, member| requests.put(member, key))
            .await
            .map(drop)
    }

    /// Count the result of a request; after a lost connection, wait before the next one.
    pub(super) async fn count(&mut self, due: Instant, result: Result<(), Failure>) {
        match result {
            Ok(()) => self.outcome.succeed(due.elapsed()),
            Err(failure) => {
                self.outcome.fail(&failure);
                self.shared.failed.fetch_add(1, Ordering::Relaxed);
                if self.connection.is_none() {
                    tokio::time::sleep(RECONNECT_AFTER).await;
                }
            }
        }
        self.shared.done.fetch_add(1, Ordering::Relaxed);
    }

    /// Send one request and read the response.
    ///
    /// # Errors
    ///
    /// The [`Failure`] of the request.
    pub(super) async fn request(
        &mut self,
        make: impl for<'a> Fn(&'a mut Requests, &Address) -> &'a [u8],
    ) -> Result<Summary, Failure> {
        match tokio::time::timeout(RESPONSE_TIMEOUT, self.follow(make)).await {
            Ok(result) => result,
            Err(_) => {
                self.disconnect();
                Err(Failure::Timeout)
            }
        }
    }

    async fn follow(
        &mut self,
        make: impl for<'a> Fn(&'a mut Requests, &Address) -> &'a [u8],
    ) -> Result<Summary, Failure> {
        for _ in 0..=REDIRECTS_MAX {
            let member = self.member().clone();
            if !self
                .connection
                .as_ref()
                .is_some_and(|connection| connection.alive)
            {
                self.connection = match Connection::open(&member, &self.shared.tls).await {
                    Ok(connection) => Some(connection),
                    Err(error) => {
                        self.disconnect();
                        return Err(Failure::Connect(error.kind()));
                    }
                };
            }
            let Some(connection) = self.connection.as_mut() else {
                break;
            };
            let request = make(&mut self.requests, &member);
            let location = match connection.exchange(request).await {
                Err(error) => {
                    self.disconnect();
                    return Err(to_failure(&error));
                }
                Ok(Reply {
                    status: 307,
                    location,
                    ..
                }) => location,
                Ok(reply) if (200..300).contains(&reply.status) => {
                    let is_needed = self.shared.plan.workload == Workload::Watch;
                    return Ok(if is_needed {
                        Summary::new(&reply)
                    } else {
                        Summary::default()
                    });
                }
                Ok(reply) => {
                    let code = number_after(reply.body, b"\"errorCode");
                    return Err(Failure::Status(reply.status, code));
                }
            };
            self.connection = None;
            self.redirected = location.as_deref().and_then(parse_location);
            if self.redirected.is_none() {
                return Err(Failure::BadRedirect);
            }
        }
        Err(Failure::TooManyRedirects)
    }

    fn member(&self) -> &Address {
        let members = &self.shared.plan.members;
        match &self.redirected {
            Some(member) => member,
            None => &members[self.member % members.len()],
        }
    }

    /// Drop the connection; the next one goes to the next member.
    fn disconnect(&mut self) {
        self.connection = None;
        self.redirected = None;
        self.member = self.member.wrapping_add(1);
    }
}

fn to_failure(error: &Error) -> Failure {
    if error.kind() == ErrorKind::UnexpectedEof {
        return Failure::Closed;
    }
    Failure::Connection(error.kind())
}

/// The part of a response that the watch workload needs.
#[derive(Default)]
pub(super) struct Summary {
    /// The index of the event, or of the store.
    pub(super) index: u64,
    /// The number at the start of the value of the watched key.
    pub(super) stamp: Option<u64>,
}

impl Summary {
    fn new(reply: &Reply<'_>) -> Self {
        let event = number_after(reply.body, b"\"modifiedIndex");
        Self {
            index: event.or(reply.index).unwrap_or(0),
            stamp: number_after(reply.body, b"\"value"),
        }
    }
}

/// The member of a `Location` header.
fn parse_location(location: &str) -> Option<Address> {
    let (scheme, rest) = location.split_once("://")?;
    let port = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let authority = rest.split('/').next()?;
    Address::parse_with_port(&format!("{scheme}://{authority}"), port).ok()
}
