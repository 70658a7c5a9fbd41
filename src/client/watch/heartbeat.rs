//! The small request beside a watch: whether its member responds, and the index of its store.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::CONTENT_LENGTH;
use tokio::time::{Instant, Interval, MissedTickBehavior, timeout};

use super::WatchSubject;
use crate::client::error::Cause;
use crate::client::response::read_number;
use crate::client::{Client, Error, Request};
use crate::cluster::Address;

/// The time between two of these requests while no event arrives.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(2);

/// Timeout for its response; then the member counts as lost.
pub(super) const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(3);

/// When the store's index is this much ahead of the watch, the member is asked whether the watch may resume at
/// a later index. The event history of every server is longer than this.
const PROGRESS_AFTER: u64 = 900;

/// A small page of every server, with the store's index.
const STATUS_PAGE: &str = "/v2/keys/_etcd";

/// The status of a member that responds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MemberStatus {
    /// The member, after redirects.
    pub(super) member: Address,
    /// The index of its store.
    pub(super) index: u64,
    /// Its Raft index and term, if it sends them.
    pub(super) raft: (Option<u64>, Option<u64>),
    /// Whether it is a server of this project.
    pub(super) is_oxetcd: bool,
}

/// What happened first beside a heartbeat.
pub(super) enum First<T> {
    /// The work is done.
    Work(T),
    /// There are no changes up to this index.
    Progress(u64),
}

type Pending = Pin<Box<dyn Future<Output = Result<Option<u64>, Cause>> + Send>>;

/// The heartbeat of one watch at one member.
pub(super) struct Heartbeat {
    client: Arc<Client>,
    status: MemberStatus,
    clock: Interval,
    pending: Option<Pending>,
    /// Whether an event arrived since the last tick of the clock.
    active: bool,
}

impl Heartbeat {
    /// A heartbeat of the member with this status.
    pub(super) fn new(client: Arc<Client>, status: MemberStatus) -> Self {
        let mut clock = tokio::time::interval_at(Instant::now() + HEARTBEAT_EVERY, HEARTBEAT_EVERY);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            client,
            status,
            clock,
            pending: None,
            active: false,
        }
    }

    /// Do `work` for a watch of `subject`, and check meanwhile that the member responds. The work must be
    /// cancel safe.
    ///
    /// # Errors
    ///
    /// The cause why the member counts as lost: no connection, no response in time, an error of the API.
    pub(super) async fn beside<T>(
        &mut self,
        subject: &WatchSubject,
        work: impl Future<Output = T>,
    ) -> Result<First<T>, Cause> {
        tokio::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => {
                    self.active = true;
                    return Ok(First::Work(done));
                }
                progress = finished(&mut self.pending) => {
                    self.pending = None;
                    if let Some(index) = progress? {
                        return Ok(First::Progress(index));
                    }
                }
                _ = self.clock.tick(), if self.pending.is_none() => {
                    if !std::mem::take(&mut self.active) {
                        let (client, status) = (Arc::clone(&self.client), self.status.clone());
                        self.pending = Some(Box::pin(check(client, status, subject.clone())));
                    }
                }
            }
        }
    }
}

/// The result of a heartbeat; pending for ever if there is none.
async fn finished(pending: &mut Option<Pending>) -> Result<Option<u64>, Cause> {
    match pending {
        Some(pending) => pending.await,
        None => std::future::pending().await,
    }
}

async fn check(
    client: Arc<Client>,
    known: MemberStatus,
    subject: WatchSubject,
) -> Result<Option<u64>, Cause> {
    let status = if known.is_oxetcd {
        fetch_status_with_quorum(&client, &known.member).await?
    } else {
        fetch_status(&client, &known.member).await?
    };
    let since = subject.since.unwrap_or(status.index);
    if status.is_oxetcd && status.index > since.saturating_add(PROGRESS_AFTER) {
        return Ok(fetch_progress(&client, &status.member, &subject).await);
    }
    Ok(None)
}

/// The status of a member.
///
/// # Errors
///
/// The cause why it sent no usable response.
pub(super) async fn fetch_status(client: &Client, member: &Address) -> Result<MemberStatus, Cause> {
    fetch(client, member, STATUS_PAGE).await
}

/// The status of a member that has a quorum. Other servers than this project's write such a read to the log.
///
/// # Errors
///
/// The cause why it sent no usable response; [`Cause::Api`] if it has no quorum.
pub(super) async fn fetch_status_with_quorum(
    client: &Client,
    member: &Address,
) -> Result<MemberStatus, Cause> {
    fetch(client, member, &format!("{STATUS_PAGE}?quorum=true")).await
}

async fn fetch(client: &Client, member: &Address, page: &str) -> Result<MemberStatus, Cause> {
    let request = Request {
        timeout: Some(HEARTBEAT_TIMEOUT),
        ..Request::page(page)
    };
    // The timeout of the client may be longer.
    let answer = match timeout(HEARTBEAT_TIMEOUT, client.send_to(member, &request)).await {
        Ok(answer) => answer.map_err(|failure| failure.cause)?,
        Err(_) => return Err(Cause::Timeout(HEARTBEAT_TIMEOUT)),
    };
    match answer.index {
        Some(index) if answer.status < 500 => Ok(MemberStatus {
            raft: (answer.raft_index, answer.raft_term),
            member: answer.member,
            index,
            is_oxetcd: answer.is_oxetcd,
        }),
        Some(_) => Err(match answer.event() {
            Err(Error::Api(error)) => Cause::Api(error),
            Ok(_) | Err(_) => Cause::Status(answer.status),
        }),
        None => Err(Cause::NotTheApi),
    }
}

/// The index up to which there are no changes from `subject.since` on, if it is known. A member of this project
/// responds to a long poll with a length if it has an event, and without a length if it has none up to the
/// index in the response's headers.
async fn fetch_progress(client: &Client, member: &Address, subject: &WatchSubject) -> Option<u64> {
    let request = Request::watch(&subject.key, subject.recursive, subject.since);
    let opening = client.pool.open(member, &request);
    let response = timeout(HEARTBEAT_TIMEOUT, opening).await.ok()?.ok()?;
    let waits = response.status().is_success() && !response.headers().contains_key(CONTENT_LENGTH);
    let index = read_number(response.headers(), "x-etcd-index");
    index.filter(|_| waits)
}
