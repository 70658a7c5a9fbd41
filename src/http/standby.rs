//! A standby's pages: it has no data, and sends clients to who leads.

use std::sync::Arc;

use bytes::BytesMut;
use hyper::Request;
use hyper::body::Incoming;
use tokio::sync::watch;

use super::about::with_path;
use super::reply::{self, Reply};
use super::{ConnectionPolicy, Port, admin, json, route};
use crate::cluster::Member;

/// All pages of a standby, for both of its ports.
pub struct StandbyPages {
    name: String,
    leader: watch::Receiver<Option<Member>>,
    policy: ConnectionPolicy,
}

impl StandbyPages {
    /// The pages of the standby called `name`, which follows who leads the cluster.
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

    /// How its requests are treated.
    pub(super) fn policy(&self) -> &ConnectionPolicy {
        &self.policy
    }

    /// The answer to one request. The peer port has none of a member's pages, which is how 0.4's tools
    /// tell a standby.
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
            Port::Peer(_) if path.starts_with("/oxetcd/") => admin::members(port, request).await,
            Port::Peer(_) => reply::not_found(),
        }
    }

    /// Whether clients can be sent on.
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
