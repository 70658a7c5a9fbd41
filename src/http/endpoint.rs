//! What a port serves, which changes when a member becomes a standby or a standby a member.

use std::pin::Pin;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use tokio::sync::watch;

use super::admin::MemberPages;
use super::body::Body;
use super::cors::Cors;
use super::reply::{self, Reply};
use super::{Limits, Pages, StandbyPages};

/// How every request at a port is treated, whatever it asks for.
#[derive(Clone)]
pub struct ConnectionPolicy {
    /// Which web pages may ask.
    pub cors: Cors,
    /// What one client may take.
    pub limits: Limits,
    /// When it turns true, or its sender is gone, watches and idle connections end.
    pub stop: watch::Receiver<bool>,
}

/// Which port a listener serves.
#[derive(Clone)]
pub enum Port {
    /// The client API.
    Client,
    /// Administration, and the pages by which members find and reach each other.
    Peer(MemberPages),
}

/// Answers whatever another service than a member serves.
pub type ServicePages = Arc<
    dyn Fn(Request<Incoming>) -> Pin<Box<dyn Future<Output = Response<Body>> + Send>> + Send + Sync,
>;

/// What a port serves just now.
#[derive(Clone)]
pub enum Endpoint {
    /// A member's pages.
    Member(Port, Arc<Pages>),
    /// A standby's.
    Standby(Port, Arc<StandbyPages>),
    /// Another service's.
    Service(ConnectionPolicy, ServicePages),
}

impl Endpoint {
    /// How its requests are treated.
    pub(super) fn policy(&self) -> &ConnectionPolicy {
        match self {
            Self::Member(_, pages) => &pages.policy,
            Self::Standby(_, pages) => pages.policy(),
            Self::Service(policy, _) => policy,
        }
    }

    /// The store's index now; 0 where there is no store.
    pub(super) fn index(&self) -> u64 {
        match self {
            Self::Member(_, pages) => pages.index(),
            Self::Standby(..) | Self::Service(..) => 0,
        }
    }

    /// The answer to one request.
    pub async fn answer(&self, request: Request<Incoming>) -> Reply {
        if *request.method() == Method::OPTIONS {
            return reply::empty();
        }
        match self {
            Self::Member(port, pages) => pages.answer(port, request).await,
            Self::Standby(port, pages) => pages.answer(port, request).await,
            Self::Service(_, pages) => pages(request).await,
        }
    }
}
