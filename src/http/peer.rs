//! The pages of the peer port that only members and standbys ask for.

use std::future::Future;
use std::sync::Arc;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use tokio::sync::watch;
use tracing::info;

use super::body::Body;
use super::reply::{self, Reply};
use crate::cluster::{JoinAnswer, JoinRequest, Member, MemberList, Refusal};
use crate::membership::Membership;
use crate::membership::api::{self, MemberPage};
use crate::transport::http::read_body;
use crate::transport::{ConnectionKind, Listener};

/// The largest request to join; a longer one is refused.
const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// What serves the pages for members at a peer port.
#[derive(Clone)]
pub enum PeerPages {
    /// A member.
    Member {
        /// For requests to join, and the member list.
        membership: Membership,
        /// Takes the connections of peers.
        listener: Arc<Listener>,
    },
    /// A standby, which redirects requests to join to the leader, if it knows one.
    Standby(watch::Receiver<Option<Member>>),
}

impl PeerPages {
    /// Answer a request for a page. It is given whole, with what it takes to upgrade its connection.
    pub(super) async fn answer(&self, page: MemberPage, request: Request<Incoming>) -> Reply {
        match (self, page) {
            (Self::Member { membership, .. }, MemberPage::Join) => {
                join_page(request, |asking| membership.join(asking)).await
            }
            (Self::Member { membership, .. }, MemberPage::MemberList) => {
                member_list_page(&membership.member_list())
            }
            (Self::Member { listener, .. }, MemberPage::Messages) => {
                upgrade(listener, ConnectionKind::Messages, request).await
            }
            (Self::Member { listener, .. }, MemberPage::Snapshot) => {
                upgrade(listener, ConnectionKind::Snapshot, request).await
            }
            (Self::Standby(leader), MemberPage::Join) => {
                let leader = leader.borrow().clone();
                let leader = leader.map(|leader| leader.peer_url);
                join_page(request, |_| async { Err(Refusal::NotLeader { leader }) }).await
            }
            (
                Self::Standby(_),
                MemberPage::MemberList | MemberPage::Messages | MemberPage::Snapshot,
            ) => reply::not_found(),
        }
    }
}

/// Answer a request to join. `join` is called for a valid request only, and returns once the member is admitted. The
/// server ends requests that are sent too slowly.
pub async fn join_page<J, F>(request: Request<Incoming>, join: J) -> Response<Body>
where
    J: FnOnce(JoinRequest) -> F,
    F: Future<Output = Result<JoinAnswer, Refusal>>,
{
    if request.method() != Method::POST {
        return reply::join_not_allowed("POST");
    }
    let body = match read_body(request.into_body(), REQUEST_BYTES_MAX).await {
        Ok(body) => body,
        Err(failure) => return reply::join_refused(&Refusal::Invalid(failure.to_string())),
    };
    let request = match api::decode_join_request(&body) {
        Ok(request) => request,
        Err(refusal) => return reply::join_refused(&refusal),
    };
    let (name, id) = (request.member.name.clone(), request.member.id);
    match join(request).await {
        Ok(answer) => {
            info!(name, %id, "member admitted");
            reply::json(api::encode_join_answer(&answer))
        }
        Err(refusal) => {
            info!(name, %id, reason = %refusal, "request to join refused");
            reply::join_refused(&refusal)
        }
    }
}

/// The page with the member list.
pub fn member_list_page(list: &MemberList) -> Response<Body> {
    reply::json(api::encode_member_list(list))
}

async fn upgrade(
    listener: &Arc<Listener>,
    kind: ConnectionKind,
    request: Request<Incoming>,
) -> Reply {
    let (parts, body) = listener.upgrade(kind, request).into_parts();
    // A body that is in memory is read at once, and without an error.
    let bytes = body.collect().await.map(|body| body.to_bytes());
    Response::from_parts(parts, Body::whole(bytes.unwrap_or_default()))
}
