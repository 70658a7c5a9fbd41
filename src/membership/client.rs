//! What a member or a standby asks others: to join, to change the membership, and for the member list.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, Request, Uri};
use tokio::time::sleep;
use tracing::info;

use super::api::{self, Malformed, MemberPage};
use crate::cluster::{
    Address, ClusterId, JoinAnswer, JoinRequest, Member, MemberList, Refusal, RefusalKind,
    peer_address,
};
use crate::net::staggered_race;
use crate::net::tls::Connector;
use crate::transport::http::{self, Failure};

/// The header of a request that a member forwarded to the leader: it is not forwarded again.
pub const FORWARDED: HeaderName = HeaderName::from_static("x-oxetcd-passed-on");

/// Timeout for an answer to a request to join, which waits for a leader and a quorum.
const JOIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Timeout for a member list.
const MEMBER_LIST_TIMEOUT: Duration = Duration::from_secs(2);

/// Timeout for the leader's answer to a forwarded request: a little longer than the leader's own.
const FORWARD_TIMEOUT: Duration = Duration::from_secs(7);

/// How many redirects are followed; a member that knows the leader sends one.
const REDIRECTS_MAX: usize = 4;

/// How often to ask the peers.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// The number of rounds through all peers (`-max-retry-attempts`); 0 for no limit, as in 0.4.
    pub attempts: u32,
    /// The time between two rounds (`-retry-interval`).
    pub interval: Duration,
}

/// Why a member could not join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JoinFailure {
    /// The cluster refused, and asking again would not help.
    Refused {
        /// The peer whose cluster that is.
        by: Address,
        /// Why.
        refusal: Refusal,
    },
    /// A peer is not a member of a cluster that can be joined.
    NotAMember {
        /// The peer.
        at: Address,
        /// What it answered.
        answer: String,
    },
    /// No peer admitted the member in any round; for each peer the last reason.
    Unavailable(Vec<(Address, String)>),
}

impl JoinFailure {
    /// The refusal of the cluster, if that is the failure.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal),
            Self::NotAMember { .. } | Self::Unavailable(_) => None,
        }
    }
}

impl fmt::Display for JoinFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { by, refusal } => {
                write!(f, "the cluster at {by} refused the member: {refusal}")
            }
            Self::NotAMember { at, answer } => write!(
                f,
                "the peer at {at} is not a member of a cluster that can be joined: {answer}; check -peers \
                 (it takes peer addresses, with port 7001 by default)"
            ),
            Self::Unavailable(reasons) => {
                f.write_str("no peer admitted the member (")?;
                f.write_str(&list_reasons(reasons))?;
                f.write_str(
                    "): with -peers alone no cluster is founded, so start one member without it",
                )
            }
        }
    }
}

impl std::error::Error for JoinFailure {}

/// Why no member list was received.
#[derive(Debug)]
pub enum MemberListError {
    /// The member could not be reached, or sent no HTTP answer.
    Request(Failure),
    /// It answered with this status.
    Status(u16),
    /// Its answer is not a member list.
    Malformed(Malformed),
    /// It belongs to another cluster.
    ForeignCluster(ClusterId),
}

impl fmt::Display for MemberListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(failure) => failure.fmt(f),
            Self::Status(status) => write!(f, "unexpected answer with status {status}"),
            Self::Malformed(error) => write!(f, "not a valid member list: {error}"),
            Self::ForeignCluster(cluster) => write!(f, "it belongs to cluster {cluster}"),
        }
    }
}

impl std::error::Error for MemberListError {}

/// No contact knows the members of the cluster; for each the reason.
#[derive(Debug)]
pub struct NoMemberList(Vec<(Address, MemberListError)>);

impl fmt::Display for NoMemberList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&list_reasons(&self.0))
    }
}

impl std::error::Error for NoMemberList {}

/// The reason for each address, in a line.
pub fn list_reasons(reasons: &[(Address, impl fmt::Display)]) -> String {
    let reasons = reasons.iter();
    let reasons = reasons.map(|(address, reason)| format!("{address}: {reason}"));
    reasons.collect::<Vec<_>>().join("; ")
}

/// Ask `peers` to admit a member, until one of them does.
///
/// # Errors
///
/// - [`JoinFailure::Refused`]: at once, when a cluster refuses for good.
/// - [`JoinFailure::NotAMember`]: after the round in which a peer is not a member of a cluster that can be joined,
///   and no other peer admits the member.
/// - [`JoinFailure::Unavailable`]: after the last round.
pub async fn join(
    tls: &Connector,
    peers: &[Address],
    request: &JoinRequest,
    retry: RetryPolicy,
) -> Result<JoinAnswer, JoinFailure> {
    let mut round: u32 = 0;
    loop {
        let answers = staggered_race(peers, |peer| {
            ask_for_decision(tls.clone(), peer, request.clone())
        });
        let undecided = match answers.await {
            Ok(decision) => return decision,
            Err(undecided) => undecided,
        };
        let mut not_a_member = None;
        let mut reasons = Vec::new();
        for one in undecided {
            match one {
                Undecided::NotAMember(at, answer) => {
                    not_a_member.get_or_insert(JoinFailure::NotAMember { at, answer });
                }
                Undecided::Later(peer, reason) => reasons.push((peer, reason)),
            }
        }
        if let Some(failure) = not_a_member {
            return Err(failure);
        }
        round = round.saturating_add(1);
        if round == retry.attempts || peers.is_empty() {
            return Err(JoinFailure::Unavailable(reasons));
        }
        for (peer, reason) in &reasons {
            info!(%peer, reason, "not admitted yet");
        }
        let retry_in = format!("{}s", retry.interval.as_secs_f64());
        info!(round, retry_in, "retrying to join");
        sleep(retry.interval).await;
    }
}

/// Why the next peer is asked.
enum Undecided {
    NotAMember(Address, String),
    Later(Address, String),
}

/// Ask one peer. A refusal for good is a decision as well.
async fn ask_for_decision(
    tls: Connector,
    peer: Address,
    request: JoinRequest,
) -> Result<Result<JoinAnswer, JoinFailure>, Undecided> {
    match ask_to_join(&tls, &peer, &request).await {
        Answer::Admitted(answer) => Ok(Ok(answer)),
        Answer::Refused(refusal) => match refusal.kind() {
            // This peer's cluster is another one; the next peer's may not be.
            RefusalKind::ForeignCluster => Err(Undecided::NotAMember(peer, refusal.to_string())),
            RefusalKind::NotLeader | RefusalKind::Unavailable => {
                Err(Undecided::Later(peer, refusal.to_string()))
            }
            RefusalKind::Invalid
            | RefusalKind::Full
            | RefusalKind::UnknownMember
            | RefusalKind::Conflict
            | RefusalKind::Removed => Ok(Err(JoinFailure::Refused { by: peer, refusal })),
        },
        Answer::NotAMember(answer) => Err(Undecided::NotAMember(peer, answer)),
        Answer::Unreachable(reason) => Err(Undecided::Later(peer, reason)),
    }
}

/// One peer's answer to a request to join.
enum Answer {
    Admitted(JoinAnswer),
    Refused(Refusal),
    NotAMember(String),
    Unreachable(String),
}

/// Ask one peer, and the members it redirects to.
async fn ask_to_join(tls: &Connector, peer: &Address, request: &JoinRequest) -> Answer {
    let body = Bytes::from(api::encode_join_request(request));
    let mut to = peer.clone();
    for _ in 0..=REDIRECTS_MAX {
        let mut post = Request::new(Full::new(body.clone()));
        *post.method_mut() = Method::POST;
        *post.uri_mut() = Uri::from_static(MemberPage::Join.path());
        let json = HeaderValue::from_static("application/json");
        post.headers_mut().insert(CONTENT_TYPE, json);
        let answer = match http::request(tls, &to, post, JOIN_TIMEOUT).await {
            Ok(answer) => answer,
            Err(Failure::Unreachable(error)) => return Answer::Unreachable(error.to_string()),
            Err(Failure::Answer(answer)) => return Answer::NotAMember(answer),
        };
        if answer.status.is_success() {
            return match api::decode_join_answer(&answer.body, request.member.id) {
                Ok(answer) => Answer::Admitted(answer),
                Err(error) => Answer::NotAMember(format!("not a valid answer: {error}")),
            };
        }
        let status = answer.status.as_u16();
        match api::decode_refusal(status, &answer.body) {
            None => return Answer::NotAMember(format!("unexpected answer with status {status}")),
            Some(Refusal::NotLeader {
                leader: Some(leader),
            }) => match peer_address(&leader) {
                Ok(leader) => to = leader,
                Err(error) => {
                    return Answer::Unreachable(format!("redirected to {leader}, which {error}"));
                }
            },
            Some(refusal) => return Answer::Refused(refusal),
        }
    }
    Answer::Unreachable("too many redirects".to_owned())
}

/// Ask a member for the member list.
///
/// # Errors
///
/// [`MemberListError`], except for [`MemberListError::ForeignCluster`].
pub async fn request_member_list(
    tls: &Connector,
    member: &Address,
) -> Result<MemberList, MemberListError> {
    let mut request = Request::new(Full::default());
    *request.uri_mut() = Uri::from_static(MemberPage::MemberList.path());
    let answer = http::request(tls, member, request, MEMBER_LIST_TIMEOUT).await;
    let answer = answer.map_err(MemberListError::Request)?;
    if !answer.status.is_success() {
        return Err(MemberListError::Status(answer.status.as_u16()));
    }
    api::decode_member_list(&answer.body).map_err(MemberListError::Malformed)
}

/// Ask `contacts` for the member list of `cluster`. A list with a leader is preferred: a member that knows no leader
/// may be cut off from the others.
///
/// # Errors
///
/// [`NoMemberList`]: none of them has one.
pub async fn find_member_list(
    tls: &Connector,
    contacts: &[Address],
    cluster: ClusterId,
) -> Result<MemberList, NoMemberList> {
    let answers = staggered_race(contacts, |member| {
        request_list_with_leader(tls.clone(), member, cluster)
    });
    let others = match answers.await {
        Ok(list) => return Ok(list),
        Err(others) => others,
    };
    let (mut leaderless, mut reasons) = (None, Vec::new());
    for (member, other) in others {
        match other {
            Ok(list) => leaderless = leaderless.or(Some(*list)),
            Err(error) => reasons.push((member, error)),
        }
    }
    leaderless.ok_or(NoMemberList(reasons))
}

/// A contact without a list that has a leader: what it has instead.
type Other = (Address, Result<Box<MemberList>, MemberListError>);

async fn request_list_with_leader(
    tls: Connector,
    member: Address,
    cluster: ClusterId,
) -> Result<MemberList, Other> {
    match request_member_list(&tls, &member).await {
        Ok(list) if list.cluster != cluster => {
            let foreign = MemberListError::ForeignCluster(list.cluster);
            Err((member, Err(foreign)))
        }
        Ok(list) if list.leader().is_some() => Ok(list),
        Ok(list) => Err((member, Ok(Box::new(list)))),
        Err(error) => Err((member, Err(error))),
    }
}

/// A request to an administration page: method, path and body.
pub type AdminRequest = (Method, String, Bytes);

/// Forward a request to the administration page of the leader; returns the body of its answer.
///
/// # Errors
///
/// The leader's refusal; [`Refusal::Unavailable`] where it cannot be reached or its answer cannot be read.
pub async fn forward_to_leader(
    tls: &Connector,
    leader: &Member,
    (method, path, body): AdminRequest,
) -> Result<Bytes, Refusal> {
    let unavailable = |error: &dyn fmt::Display| {
        Refusal::Unavailable(format!("leader {} unavailable: {error}", leader.name))
    };
    let address = peer_address(&leader.peer_url).map_err(|error| unavailable(&error))?;
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = Uri::try_from(path).map_err(|error| unavailable(&error))?;
    let headers = request.headers_mut();
    headers.insert(FORWARDED, HeaderValue::from_static("1"));
    let answer = http::request(tls, &address, request, FORWARD_TIMEOUT).await;
    let answer = answer.map_err(|error| unavailable(&error))?;
    if answer.status.is_success() {
        return Ok(answer.body);
    }
    let refusal = api::decode_admin_refusal(answer.status.as_u16(), &answer.body);
    Err(match refusal.kind() == RefusalKind::Unavailable {
        true => unavailable(&refusal),
        false => refusal,
    })
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
