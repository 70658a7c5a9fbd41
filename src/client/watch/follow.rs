//! The task of a watch: from member to member, event by event.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, sleep, timeout};

use super::channel::{Closed, Sender};
use super::heartbeat::{self, First, HEARTBEAT_TIMEOUT, Heartbeat, MemberStatus};
use super::split::{Split, trim};
use super::{Change, WatchEvent, WatchSubject};
use crate::client::error::{Cause, Failure};
use crate::client::response::Response;
use crate::client::{Answer, Client, Error, Request};
use crate::cluster::Address;

/// The delay after a round in which no member could be watched; it doubles with each.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// The longest delay between rounds.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3);

/// After a long poll without an event that ended earlier than this, the next one is delayed by [`RETRY_AFTER`].
const POLL_SHORT: Duration = Duration::from_secs(1);

/// How a watch at one member ended.
enum End {
    /// The member ended it; the watch may resume at any member.
    Ended,
    /// The member does not respond.
    Lost(Cause),
    /// The API refused the watch for good.
    Refused(Error),
    /// The receiver was dropped.
    Closed,
}

impl From<Closed> for End {
    fn from(_: Closed) -> Self {
        Self::Closed
    }
}

/// The state of one watch.
struct Follow {
    client: Arc<Client>,
    /// `since` is raised with each event.
    subject: WatchSubject,
    sender: Sender,
    /// Whether the watch was established at any member so far.
    was_established: bool,
    /// Whether it was established at the current member.
    established: bool,
}

/// Deliver events until the receiver is dropped or the API refuses the watch.
pub(super) async fn follow(client: Arc<Client>, subject: WatchSubject, sender: Sender) {
    let mut follow = Follow {
        client,
        subject,
        sender,
        was_established: false,
        established: false,
    };
    if let Some(error) = follow.run().await {
        follow.sender.close(error).await;
    }
}

impl Follow {
    async fn run(&mut self) -> Option<Error> {
        let members = self.client.members.clone();
        let mut index = self.client.preferred();
        let mut delay = RETRY_AFTER;
        loop {
            let mut tried = Vec::new();
            while tried.len() < members.len() {
                let member = members.get(index % members.len())?;
                self.established = false;
                match self.watch_at(member).await {
                    End::Ended => {
                        // A member may end every watch at once.
                        sleep(RETRY_AFTER).await;
                    }
                    End::Lost(cause) => {
                        if self.established {
                            tried.clear();
                            delay = RETRY_AFTER;
                        }
                        tried.push((member.clone(), cause));
                        index = index.wrapping_add(1);
                    }
                    End::Refused(error) => return Some(error),
                    End::Closed => return None,
                }
            }
            let error = Error::NoMember(tried);
            if !self.was_established {
                return Some(error);
            }
            let cause = error.to_string();
            if self.sender.send(WatchEvent::Lost { cause }).await.is_err() {
                return None;
            }
            sleep(delay).await;
            delay = (delay * 2).min(RETRY_AFTER_MAX);
        }
    }

    async fn watch_at(&mut self, member: &Address) -> End {
        let ended = match self.prepare(member).await {
            Ok(status) if status.is_oxetcd => self.stream(status).await,
            Ok(status) => self.poll(status).await,
            Err(cause) => Err(End::Lost(cause)),
        };
        match ended {
            Ok(()) => End::Ended,
            Err(end) => end,
        }
    }

    /// Fetch the status of a member, and set the first index if it is not set.
    async fn prepare(&mut self, member: &Address) -> Result<MemberStatus, Cause> {
        let mut status = heartbeat::fetch_status(&self.client, member).await?;
        if status.is_oxetcd {
            status = heartbeat::fetch_status_with_quorum(&self.client, &status.member).await?;
        }
        self.subject
            .since
            .get_or_insert(status.index.saturating_add(1));
        Ok(status)
    }

    async fn establish(&mut self, status: &MemberStatus) -> Result<(), End> {
        self.was_established = true;
        self.established = true;
        let event = WatchEvent::Established {
            member: status.member.clone(),
            index: status.index,
            since: self.since(),
            raft_index: status.raft.0,
            raft_term: status.raft.1,
        };
        Ok(self.sender.send(event).await?)
    }

    /// Deliver the events of one stream until it ends.
    async fn stream(&mut self, status: MemberStatus) -> Result<(), End> {
        let WatchSubject {
            key,
            recursive,
            since,
        } = &self.subject;
        let request = Request::stream(key, *recursive, *since);
        self.client.observe(&status.member, &request);
        let opening = self.client.pool.open(&status.member, &request);
        let response = match timeout(HEARTBEAT_TIMEOUT, opening).await {
            Ok(response) => response.map_err(lost)?,
            Err(_) => return Err(End::Lost(Cause::Timeout(HEARTBEAT_TIMEOUT))),
        };
        if !response.status().is_success() {
            return Err(read_refusal(&status, response).await);
        }
        self.establish(&status).await?;
        let mut heartbeat = Heartbeat::new(Arc::clone(&self.client), status);
        let mut body = response.into_body();
        let mut split = Split::default();
        loop {
            let frame = match heartbeat.beside(&self.subject, body.frame()).await {
                Ok(First::Work(Some(frame))) => frame,
                Ok(First::Work(None)) => return Ok(()),
                Ok(First::Progress(index)) => {
                    self.advance(index).await?;
                    continue;
                }
                Err(cause) => return Err(End::Lost(cause)),
            };
            let frame = frame.map_err(|error| End::Lost(Cause::Interrupted(error.to_string())))?;
            if let Some(bytes) = frame.data_ref() {
                split.add(bytes);
            }
            while let Some(change) = split.next().map_err(End::Lost)? {
                self.deliver(change).await?;
            }
        }
    }

    /// Deliver events of long polls until one fails.
    async fn poll(&mut self, status: MemberStatus) -> Result<(), End> {
        self.establish(&status).await?;
        let member = status.member.clone();
        let mut heartbeat = Heartbeat::new(Arc::clone(&self.client), status);
        loop {
            let client = Arc::clone(&self.client);
            let WatchSubject {
                key,
                recursive,
                since,
            } = &self.subject;
            let request = Request::watch(key, *recursive, *since);
            self.client.observe(&member, &request);
            let sent_at = Instant::now();
            let mut sending = Box::pin(client.send_to(&member, &request));
            let answer = loop {
                match heartbeat.beside(&self.subject, &mut sending).await {
                    Ok(First::Work(answer)) => break answer.map_err(lost)?,
                    Ok(First::Progress(index)) => self.advance(index).await?,
                    Err(cause) => return Err(End::Lost(cause)),
                }
            };
            if answer.is_success() && answer.body.is_empty() {
                // A server may end a watch without an event.
                if sent_at.elapsed() < POLL_SHORT {
                    sleep(RETRY_AFTER).await;
                }
                continue;
            }
            let event = answer.event().map_err(to_end)?;
            let json = trim(&answer.body);
            if event.node.modified_index < self.since() {
                return Err(End::Lost(Cause::RepeatedEvent));
            }
            self.deliver(Change { event, json }).await?;
        }
    }

    /// Deliver a change, unless it was delivered before.
    async fn deliver(&mut self, change: Change) -> Result<(), End> {
        let index = change.event.node.modified_index;
        if index < self.since() {
            return Ok(());
        }
        self.sender
            .send(WatchEvent::Change(Arc::new(change)))
            .await?;
        self.subject.since = Some(index.saturating_add(1));
        Ok(())
    }

    /// There are no changes up to `index`.
    async fn advance(&mut self, index: u64) -> Result<(), End> {
        if index >= self.since() {
            self.subject.since = Some(index.saturating_add(1));
            self.sender.send(WatchEvent::Progress { index }).await?;
        }
        Ok(())
    }

    fn since(&self) -> u64 {
        self.subject.since.unwrap_or(0)
    }
}

/// Read the response to a watch that was not accepted.
async fn read_refusal(status: &MemberStatus, response: hyper::Response<Incoming>) -> End {
    let code = response.status().as_u16();
    match timeout(HEARTBEAT_TIMEOUT, Response::read(response)).await {
        Ok(Ok(response)) => match Answer::new(status.member.clone(), response).event() {
            Ok(_) => End::Lost(Cause::Status(code)),
            Err(error) => to_end(error),
        },
        Ok(Err(failure)) => lost(failure),
        Err(_) => End::Lost(Cause::Timeout(HEARTBEAT_TIMEOUT)),
    }
}

fn lost(failure: Failure) -> End {
    End::Lost(failure.cause)
}

/// An error of the API holds for every member, except one about the current state of the cluster (300 to 399).
fn to_end(error: Error) -> End {
    match error {
        Error::Api(api) if (300..400).contains(&api.error_code) => End::Lost(Cause::Api(api)),
        Error::Api(api) => End::Refused(Error::Api(api)),
        Error::InvalidResponse { cause, .. } => End::Lost(Cause::NotAnEvent(cause)),
        Error::NoResponse { cause, .. } => End::Lost(*cause),
        Error::NoMember(_) => End::Lost(Cause::NotTheApi),
    }
}
