//! Asking the peers for a place, as often as configured.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use tokio::time::sleep;
use tracing::info;

use super::api::{self, JOIN_PATH, ROSTER_PATH, Said};
use crate::cluster::{Address, JoinAnswer, JoinRequest, MemberList, peer_address};
use crate::net::staggered_race;
use crate::net::tls::Connector;
use crate::transport::http::{self, Failure};

/// How long one peer may take to answer: a change of the members waits for a leader and a quorum.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a member may take to show its member list.
const MEMBER_LIST_TIMEOUT: Duration = Duration::from_secs(2);

/// How often a peer may send us on to another; a member that knows the leader does so once.
const REDIRECTS_MAX: usize = 4;

/// How often to ask.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// How many rounds through all peers (`-max-retry-attempts`); 0 for no end, as in 0.4.
    pub attempts: u32,
    /// The time between two rounds (`-retry-interval`).
    pub interval: Duration,
}

/// Why there is no place. The text says what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JoinFailure {
    /// The cluster says no; asking again would not help.
    Declined {
        /// Who said so.
        by: Address,
        /// Why.
        why: String,
    },
    /// The cluster has as many members as it is to have.
    NoPlace(Box<MemberList>),
    /// The id was a member's that was removed: the machine needs a new one.
    Removed,
    /// What answers there is no member of anything.
    Stranger {
        /// Where.
        at: Address,
        /// What it answered.
        what: String,
    },
    /// Nobody could be asked, in any round: for each peer the last reason.
    Nobody(Vec<(Address, String)>),
}

impl fmt::Display for JoinFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Declined { by, why } => write!(f, "the cluster at {by} has no place: {why}"),
            Self::NoPlace(roster) => write!(
                f,
                "the cluster has {} members, and is to have no more than {}",
                roster.members.len(),
                roster.settings.active_size()
            ),
            Self::Removed => {
                f.write_str("the member of this directory was removed from the cluster")
            }
            Self::Stranger { at, what } => write!(
                f,
                "the peer at {at} is no member of a cluster that can be joined: {what}; \
                 check -peers (it takes peer addresses, whose port is 7001 by default)"
            ),
            Self::Nobody(reasons) => {
                write!(f, "none of the peers could give a place (")?;
                for (at, (address, why)) in reasons.iter().enumerate() {
                    let comma = if at > 0 { "; " } else { "" };
                    write!(f, "{comma}{address}: {why}")?;
                }
                write!(
                    f,
                    "): -peers alone never founds a cluster, so one member must start without it"
                )
            }
        }
    }
}

impl std::error::Error for JoinFailure {}

/// What one peer made of the request.
enum Outcome {
    Joined(JoinAnswer),
    Declined(String),
    NoPlace(Box<MemberList>),
    Removed,
    Stranger(String),
    Later(String),
}

/// Why the next peer is asked.
enum Unsettled {
    Stranger(Address, String),
    Later(Address, String),
}

/// Ask `peers` for a place until one gives it.
///
/// # Errors
///
/// [`JoinFailure`]: at once when a cluster says no, or when something answers that is no member and no
/// other peer gives a place; else after all rounds.
pub async fn join(
    tls: &Connector,
    peers: &[Address],
    request: &JoinRequest,
    patience: RetryPolicy,
) -> Result<JoinAnswer, JoinFailure> {
    let mut round: u32 = 0;
    loop {
        let round_over = staggered_race(peers, |peer| {
            ask_for_good(tls.clone(), peer, request.clone())
        });
        let unsettled = match round_over.await {
            Ok(settled) => return settled,
            Err(unsettled) => unsettled,
        };
        let mut stranger = None;
        let mut reasons = Vec::new();
        for one in unsettled {
            match one {
                Unsettled::Stranger(at, what) => {
                    stranger.get_or_insert(JoinFailure::Stranger { at, what });
                }
                Unsettled::Later(peer, why) => reasons.push((peer, why)),
            }
        }
        if let Some(stranger) = stranger {
            return Err(stranger);
        }
        round = round.saturating_add(1);
        let failure = JoinFailure::Nobody(reasons);
        if round == patience.attempts || peers.is_empty() {
            return Err(failure);
        }
        let seconds = patience.interval.as_secs_f64();
        if let JoinFailure::Nobody(reasons) = &failure {
            for (peer, why) in reasons {
                info!("{peer} gives no place in its cluster yet: {why}");
            }
        }
        info!("asking again in {seconds} s (round {round})");
        sleep(patience.interval).await;
    }
}

/// Ask one peer; what settles the matter is good, be it a no.
async fn ask_for_good(
    tls: Connector,
    peer: Address,
    request: JoinRequest,
) -> Result<Result<JoinAnswer, JoinFailure>, Unsettled> {
    match ask(&tls, &peer, &request).await {
        Outcome::Joined(answer) => Ok(Ok(answer)),
        Outcome::Declined(why) => Ok(Err(JoinFailure::Declined { by: peer, why })),
        Outcome::NoPlace(roster) => Ok(Err(JoinFailure::NoPlace(roster))),
        Outcome::Removed => Ok(Err(JoinFailure::Removed)),
        Outcome::Stranger(what) => Err(Unsettled::Stranger(peer, what)),
        Outcome::Later(why) => Err(Unsettled::Later(peer, why)),
    }
}

/// Ask one peer, and whomever it sends us to.
async fn ask(tls: &Connector, peer: &Address, request: &JoinRequest) -> Outcome {
    let body = Bytes::from(api::request_out(request));
    let mut to = peer.clone();
    for _ in 0..=REDIRECTS_MAX {
        let mut ask = Request::new(Full::new(body.clone()));
        *ask.method_mut() = Method::POST;
        *ask.uri_mut() = Uri::from_static(JOIN_PATH);
        let json = HeaderValue::from_static("application/json");
        ask.headers_mut().insert(CONTENT_TYPE, json);
        let answer = match http::request(tls, &to, ask, ANSWER_TIMEOUT).await {
            Ok(answer) => answer,
            Err(Failure::Unreachable(error)) => return Outcome::Later(error.to_string()),
            Err(Failure::Answer(what)) => return Outcome::Stranger(what),
        };
        if answer.status == StatusCode::OK {
            return match api::answer_in(&answer.body, request.member.id) {
                Ok(answer) => Outcome::Joined(answer),
                Err(what) => Outcome::Stranger(format!("it answers something else: {what}")),
            };
        }
        let Some(Said {
            message,
            leader,
            roster,
        }) = api::error_in(&answer.body)
        else {
            return Outcome::Stranger(format!("it answers {}", answer.status));
        };
        match answer.status {
            StatusCode::GONE => return Outcome::Removed,
            // Another cluster is there; that says nothing of ours.
            StatusCode::PRECONDITION_FAILED => return Outcome::Stranger(message),
            StatusCode::SERVICE_UNAVAILABLE => return Outcome::Later(message),
            StatusCode::TEMPORARY_REDIRECT => match leader.as_deref().map(peer_address) {
                Some(Ok(leader)) => to = leader,
                Some(Err(_)) | None => return Outcome::Later(message),
            },
            _ => {
                return match roster {
                    Some(roster) => Outcome::NoPlace(Box::new(roster)),
                    None => Outcome::Declined(message),
                };
            }
        }
    }
    Outcome::Later("its members send us in a circle".to_owned())
}

/// Ask a member for its roster.
pub async fn member_list(tls: &Connector, member: &Address) -> Result<MemberList, String> {
    let mut request = Request::new(Full::default());
    *request.uri_mut() = Uri::from_static(ROSTER_PATH);
    let answer = http::request(tls, member, request, MEMBER_LIST_TIMEOUT).await;
    let answer = answer.map_err(|failure| failure.to_string())?;
    if answer.status != StatusCode::OK {
        return Err(format!("it answers {}", answer.status));
    }
    api::member_list_in(&answer.body)
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
