//! From member to member, event by event.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Response, StatusCode};
use tokio::time::{Instant, sleep, timeout};

use super::heartbeat::{self, BEAT_TIMEOUT, First, Heartbeat, Pulse};
use super::split::{Split, trimmed};
use super::told::{Deaf, Teller};
use super::{Change, Heard, Watched};
use crate::client::connection::{Failure, collect};
use crate::client::{Answer, Client, Error, Request};
use crate::cluster::Address;

/// How long to wait after a round in which no member could be watched; the wait doubles with each.
const PAUSE: Duration = Duration::from_millis(100);

/// The longest wait between rounds.
const PAUSE_MAX: Duration = Duration::from_secs(3);

/// A server that ends long polls more quickly than this without an event is given a [`PAUSE`].
const POLL_SHORT: Duration = Duration::from_secs(1);

/// How a watch at one member ended.
enum End {
    /// The member said so; the watch may resume there or anywhere.
    Over,
    /// The member is lost, or never was there.
    Lost(String),
    /// The server will not do it, now or later.
    Refused(Error),
    /// Nobody listens.
    Deaf,
}

impl From<Deaf> for End {
    fn from(_: Deaf) -> Self {
        Self::Deaf
    }
}

/// One watch over its whole life.
struct Follow {
    client: Arc<Client>,
    /// `since` moves on with each event.
    watched: Watched,
    teller: Teller,
    /// Whether it was ever established, and whether it was since this was last set to false.
    ever: bool,
    established: bool,
}

/// Follow what happens, until nobody listens or the server refuses.
pub(super) async fn follow(client: Arc<Client>, watched: Watched, teller: Teller) {
    let mut follow = Follow {
        client,
        watched,
        teller,
        ever: false,
        established: false,
    };
    if let Some(error) = follow.run().await {
        follow.teller.end(error).await;
    }
}

impl Follow {
    async fn run(&mut self) -> Option<Error> {
        let members = self.client.members.clone();
        let mut place = self.client.first();
        let mut pause = PAUSE;
        loop {
            let mut tried = Vec::new();
            while tried.len() < members.len() {
                let member = members.get(place % members.len())?;
                self.established = false;
                match self.watch_at(member).await {
                    End::Over => {
                        // A member that ends every watch at once must not keep us busy.
                        sleep(PAUSE).await;
                    }
                    End::Lost(cause) => {
                        if self.established {
                            tried.clear();
                            pause = PAUSE;
                        }
                        tried.push((member.clone(), cause));
                        place = place.wrapping_add(1);
                    }
                    End::Refused(error) => return Some(error),
                    End::Deaf => return None,
                }
            }
            let error = Error::NoMember(tried);
            if !self.ever {
                return Some(error);
            }
            let cause = error.to_string();
            if self.teller.tell(Heard::Lost { cause }).await.is_err() {
                return None;
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn watch_at(&mut self, member: &Address) -> End {
        let ended = match self.greet(member).await {
            Ok(pulse) if pulse.ours => self.stream(pulse).await,
            Ok(pulse) => self.poll(pulse).await,
            Err(cause) => Err(End::Lost(cause)),
        };
        match ended {
            Ok(()) => End::Over,
            Err(end) => end,
        }
    }

    /// Who is there, and from which index on to watch.
    async fn greet(&mut self, member: &Address) -> Result<Pulse, String> {
        let mut pulse = heartbeat::pulse(&self.client, member).await?;
        if pulse.ours {
            pulse = heartbeat::with_quorum(&self.client, &pulse.member).await?;
        }
        self.watched
            .since
            .get_or_insert(pulse.index.saturating_add(1));
        Ok(pulse)
    }

    async fn establish(&mut self, pulse: &Pulse) -> Result<(), End> {
        self.ever = true;
        self.established = true;
        let heard = Heard::Established {
            member: pulse.member.clone(),
            index: pulse.index,
            since: self.since(),
            raft_index: pulse.raft.0,
            raft_term: pulse.raft.1,
        };
        Ok(self.teller.tell(heard).await?)
    }

    /// Events as one stream, until it ends.
    async fn stream(&mut self, pulse: Pulse) -> Result<(), End> {
        let Watched {
            key,
            recursive,
            since,
        } = &self.watched;
        let request = Request::stream(key, *recursive, *since);
        self.client.asking(&pulse.member, &request);
        let opening = self.client.pool.open(&pulse.member, &request);
        let response = match timeout(BEAT_TIMEOUT, opening).await {
            Ok(response) => response.map_err(lost)?,
            Err(_) => return Err(End::Lost(String::from("no answer to the watch in time"))),
        };
        if response.status() != StatusCode::OK {
            return Err(self.refused(&pulse, response).await);
        }
        self.establish(&pulse).await?;
        let mut heartbeat = Heartbeat::new(Arc::clone(&self.client), pulse);
        let mut body = response.into_body();
        let mut split = Split::default();
        loop {
            let frame = match heartbeat.beside(&self.watched, body.frame()).await {
                Ok(First::Work(Some(frame))) => frame,
                Ok(First::Work(None)) => return Ok(()),
                Ok(First::Quiet(index)) => {
                    self.quiet(index).await?;
                    continue;
                }
                Err(cause) => return Err(End::Lost(cause)),
            };
            let frame =
                frame.map_err(|error| End::Lost(format!("the watch broke off ({error})")))?;
            if let Some(bytes) = frame.data_ref() {
                split.add(bytes);
            }
            while let Some(change) = split.next().map_err(End::Lost)? {
                self.pass_on(change).await?;
            }
        }
    }

    /// Events one by one, until something is wrong.
    async fn poll(&mut self, pulse: Pulse) -> Result<(), End> {
        self.establish(&pulse).await?;
        let member = pulse.member.clone();
        let mut heartbeat = Heartbeat::new(Arc::clone(&self.client), pulse);
        loop {
            let client = Arc::clone(&self.client);
            let Watched {
                key,
                recursive,
                since,
            } = &self.watched;
            let request = Request::watch(key, *recursive, *since);
            self.client.asking(&member, &request);
            let asked = Instant::now();
            let mut asking = Box::pin(client.send_to(&member, &request));
            let answer = loop {
                match heartbeat.beside(&self.watched, &mut asking).await {
                    Ok(First::Work(answer)) => break answer.map_err(lost)?,
                    Ok(First::Quiet(index)) => self.quiet(index).await?,
                    Err(cause) => return Err(End::Lost(cause)),
                }
            };
            if answer.is_success() && answer.body.is_empty() {
                // A server may end a watch that saw nothing for long.
                if asked.elapsed() < POLL_SHORT {
                    sleep(PAUSE).await;
                }
                continue;
            }
            let event = answer.event().map_err(refusal)?;
            let json = trimmed(&answer.body);
            if event.node.modified_index < self.since() {
                return Err(End::Lost(String::from("it sent an event again")));
            }
            self.pass_on(Change { event, json }).await?;
        }
    }

    /// Tell an event, unless it was told before.
    async fn pass_on(&mut self, change: Change) -> Result<(), End> {
        let index = change.event.node.modified_index;
        if index < self.since() {
            return Ok(());
        }
        self.teller.tell(Heard::Change(Arc::new(change))).await?;
        self.watched.since = Some(index.saturating_add(1));
        Ok(())
    }

    async fn quiet(&mut self, index: u64) -> Result<(), End> {
        if index >= self.since() {
            self.watched.since = Some(index.saturating_add(1));
            self.teller.tell(Heard::Quiet { index }).await?;
        }
        Ok(())
    }

    fn since(&self) -> u64 {
        self.watched.since.unwrap_or(0)
    }

    async fn refused(&self, pulse: &Pulse, response: Response<Incoming>) -> End {
        match timeout(BEAT_TIMEOUT, collect(response)).await {
            Ok(Ok(response)) => match Answer::new(pulse.member.clone(), response).event() {
                Ok(_) => End::Lost(String::from("it gave no answer to a watch")),
                Err(error) => refusal(error),
            },
            Ok(Err(failure)) => lost(failure),
            Err(_) => End::Lost(String::from("the answer did not end in time")),
        }
    }
}

fn lost(failure: Failure) -> End {
    End::Lost(failure.cause)
}

/// What the API says itself holds for every member, unless it is about the cluster's state just now.
fn refusal(error: Error) -> End {
    match error {
        Error::Api(api) if (300..400).contains(&api.error_code) => End::Lost(api.to_string()),
        Error::Api(api) => End::Refused(Error::Api(api)),
        Error::NoMember(_) | Error::Unanswered { .. } | Error::Garbage { .. } => {
            End::Lost(error.to_string())
        }
    }
}
