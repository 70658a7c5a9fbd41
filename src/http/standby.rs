//! A standby's pages: without data, it redirects clients to the leader.

use std::sync::Arc;

use bytes::BytesMut;
use hyper::Request;
use hyper::body::Incoming;
use tokio::sync::watch;

use super::about::with_path;
use super::reply::{self, Reply};
use super::{ConnectionPolicy, Port, json, route};
use crate::cluster::Member;
use crate::membership::api::PeerPage;

/// All pages of a standby, for both of its ports.
pub struct StandbyPages {
    name: String,
    leader: watch::Receiver<Option<Member>>,
    policy: ConnectionPolicy,
}

impl StandbyPages {
    /// The pages of the standby called `name`; `leader` is the leader of its cluster, if that is known.
    pub fn new(
        name: String,
        leader: watch::Receiver<Option<Member>>,
        policy: ConnectionPolicy,
    ) -> Arc<Self> {
        Arc::new(Self {
            name,
            leader,
            policy,
        })
    }

    /// The policy for its connections.
    pub(super) fn policy(&self) -> &ConnectionPolicy {
        &self.policy
    }

    /// Answer one request. The peer port has none of a member's pages: tools of 0.4 recognise a standby by that.
    pub(super) async fn answer(&self, port: &Port, request: Request<Incoming>) -> Reply {
        let path = match route::clean(request.uri().path()) {
            Ok(path) => path,
            Err(rejection) => return reply::rejected(rejection, 0),
        };
        match port {
            Port::Client if path == "/health" => self.health(),
            Port::Client => {
                let leader = self.leader.borrow().clone();
                leader
                    .and_then(|leader| {
                        reply::redirect(&with_path(&leader.client_url, request.uri()))
                    })
                    .unwrap_or_else(|| reply::leaderless(0))
            }
            Port::Peer(peer) => match PeerPage::parse(&path) {
                Some(PeerPage::ForMembers(page)) => peer.answer(page, request).await,
                Some(_) | None => reply::not_found(),
            },
        }
    }

    /// Whether clients can be redirected.
    fn health(&self) -> Reply {
        let healthy = self.leader.borrow().is_some();
        let mut out = BytesMut::with_capacity(128);
        out.extend_from_slice(if healthy {
            b"{\"health\":\"true\""
        } else {
            b"{\"health\":\"false\",\"reason\":\"no leader is known\""
        });
        out.extend_from_slice(b",\"standby\":true,\"name\":");
        json::string(&mut out, self.name.as_bytes());
        out.extend_from_slice(b",\"version\":");
        json::string(&mut out, env!("CARGO_PKG_VERSION").as_bytes());
        out.extend_from_slice(b"}\n");
        reply::health(healthy, out.freeze())
    }
}
