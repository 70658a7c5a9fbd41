//! The small request beside a watch: whether its member is there, and how far its store is.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::CONTENT_LENGTH;
use tokio::time::{Instant, Interval, MissedTickBehavior, timeout};

use super::Watched;
use crate::client::{Client, Request};
use crate::cluster::Address;

/// How often it is sent while nothing comes by itself.
const BEAT_EVERY: Duration = Duration::from_secs(2);

/// How long its answer may take; then the member is given up.
pub(super) const BEAT_TIMEOUT: Duration = Duration::from_secs(3);

/// By how much a store must have gone ahead of a quiet watch before it is worth asking whether the watch
/// may resume later. An event history is longer than this on any server.
const QUIET_STRETCH: u64 = 900;

/// A small page on every server, with the store's index.
const PULSE: &str = "/v2/keys/_etcd";

/// A member that answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pulse {
    /// Who it is, after redirects.
    pub(super) member: Address,
    /// Its store's index.
    pub(super) index: u64,
    /// The index of its log, and the term, if it says so.
    pub(super) raft: (Option<u64>, Option<u64>),
    /// Whether it is of this project.
    pub(super) ours: bool,
}

/// What happened first.
pub(super) enum First<T> {
    Work(T),
    /// No event that is watched has an index from where the watch is up to this.
    Quiet(u64),
}

type Beat = Pin<Box<dyn Future<Output = Result<Option<u64>, String>> + Send>>;

/// The beats of one watch at one member.
pub(super) struct Heartbeat {
    client: Arc<Client>,
    pulse: Pulse,
    clock: Interval,
    beat: Option<Beat>,
    /// Whether something came since the clock ticked last.
    heard: bool,
}

impl Heartbeat {
    pub(super) fn new(client: Arc<Client>, pulse: Pulse) -> Self {
        let mut clock = tokio::time::interval_at(Instant::now() + BEAT_EVERY, BEAT_EVERY);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            client,
            pulse,
            clock,
            beat: None,
            heard: false,
        }
    }

    /// Do `work` of a watch that is at `watched`, and see meanwhile that the member lives. Nothing is lost
    /// of work that can be dropped and begun again.
    ///
    /// # Errors
    ///
    /// Why the member is given up.
    pub(super) async fn beside<T>(
        &mut self,
        watched: &Watched,
        work: impl Future<Output = T>,
    ) -> Result<First<T>, String> {
        tokio::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => {
                    self.heard = true;
                    return Ok(First::Work(done));
                }
                quiet = finished(&mut self.beat) => {
                    self.beat = None;
                    if let Some(index) = quiet? {
                        return Ok(First::Quiet(index));
                    }
                }
                _ = self.clock.tick(), if self.beat.is_none() => {
                    if !std::mem::take(&mut self.heard) {
                        let (client, pulse) = (Arc::clone(&self.client), self.pulse.clone());
                        self.beat = Some(Box::pin(beat(client, pulse, watched.clone())));
                    }
                }
            }
        }
    }
}

/// The end of a beat; never, if there is none.
async fn finished(beat: &mut Option<Beat>) -> Result<Option<u64>, String> {
    match beat {
        Some(beat) => beat.await,
        None => std::future::pending().await,
    }
}

async fn beat(client: Arc<Client>, known: Pulse, watched: Watched) -> Result<Option<u64>, String> {
    let pulse = if known.ours {
        with_quorum(&client, &known.member).await?
    } else {
        pulse(&client, &known.member).await?
    };
    let since = watched.since.unwrap_or(pulse.index);
    if pulse.ours && pulse.index > since.saturating_add(QUIET_STRETCH) {
        return Ok(quiet_to(&client, &pulse.member, &watched).await);
    }
    Ok(None)
}

/// Whether a member is there.
pub(super) async fn pulse(client: &Client, member: &Address) -> Result<Pulse, String> {
    ask(client, member, PULSE).await
}

/// Whether a member is there, and not cut off from the rest of its cluster. On servers that are not of this
/// project such a question is written to the log.
pub(super) async fn with_quorum(client: &Client, member: &Address) -> Result<Pulse, String> {
    ask(client, member, &format!("{PULSE}?quorum=true")).await
}

async fn ask(client: &Client, member: &Address, page: &str) -> Result<Pulse, String> {
    let request = Request {
        timeout: Some(BEAT_TIMEOUT),
        ..Request::page(page)
    };
    // The client's own patience may be longer.
    let answer = match timeout(BEAT_TIMEOUT, client.send_to(member, &request)).await {
        Ok(answer) => answer.map_err(|failure| failure.cause)?,
        Err(_) => return Err(format!("no answer within {} s", BEAT_TIMEOUT.as_secs())),
    };
    match answer.index {
        Some(index) if answer.status < 500 => Ok(Pulse {
            raft: (answer.raft_index, answer.raft_term),
            member: answer.member,
            index,
            ours: answer.ours,
        }),
        Some(_) => Err(match answer.event() {
            Ok(_) => format!("it answered {}", answer.status),
            Err(error) => error.to_string(),
        }),
        None => Err(String::from("it is no server of the v2 API")),
    }
}

/// Up to which index nothing has happened from `watched.since` on, if that can be told. A member of this
/// project answers a long poll with a length when it has an event at once, and without when it has none up
/// to the index in the answer's head.
async fn quiet_to(client: &Client, member: &Address, watched: &Watched) -> Option<u64> {
    let request = Request::watch(&watched.key, watched.recursive, watched.since);
    let opening = client.pool.open(member, &request);
    let response = timeout(BEAT_TIMEOUT, opening).await.ok()?.ok()?;
    let waits = response.status().is_success() && !response.headers().contains_key(CONTENT_LENGTH);
    let index = crate::client::answer::number(response.headers(), "x-etcd-index");
    index.filter(|_| waits)
}
