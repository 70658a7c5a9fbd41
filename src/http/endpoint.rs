//! What a port serves: it changes when a member becomes a standby, or a standby a member.

use std::pin::Pin;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{Method, Request, Response};

use super::body::Body;
use super::policy::ConnectionPolicy;
use super::port::Port;
use super::reply::{self, Reply};
use super::{Pages, StandbyPages};

/// Answers all requests to a service that is not a member.
pub type ServicePages = Arc<
    dyn Fn(Request<Incoming>) -> Pin<Box<dyn Future<Output = Response<Body>> + Send>> + Send + Sync,
>;

/// What a port serves at present.
#[derive(Clone)]
pub enum Endpoint {
    /// A member's pages.
    Member(Port, Arc<Pages>),
    /// A standby's pages.
    Standby(Port, Arc<StandbyPages>),
    /// The pages of another service.
    Service(ConnectionPolicy, ServicePages),
}

impl Endpoint {
    /// The policy for its connections.
    pub(super) fn policy(&self) -> &ConnectionPolicy {
        match self {
            Self::Member(_, pages) => &pages.policy,
            Self::Standby(_, pages) => pages.policy(),
            Self::Service(policy, _) => policy,
        }
    }

    /// The store's index; 0 without a store.
    pub(super) fn index(&self) -> u64 {
        match self {
            Self::Member(_, pages) => pages.index(),
            Self::Standby(..) | Self::Service(..) => 0,
        }
    }

    /// Answer one request.
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
