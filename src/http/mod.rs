//! The client API, and the pages of the peer port.
//!
//! The way of a request: [`serve`] (connections and their limits), `route` (page and methods), `body` and
//! [`params`] (a typed, validated request), then one file for each kind of page: `keys`, `watching`, `stats`,
//! `about`, `members`, `admin`; a standby has the pages in `standby` instead. `reply` makes the response, and is
//! the only file that names status numbers.

mod about;
mod activity;
mod admin;
mod body;
mod cors;
mod endpoint;
pub mod json;
mod keys;
mod members;
pub mod multipart;
pub mod params;
pub mod peer;
mod policy;
pub mod port;
mod reply;
mod route;
mod serve;
mod socket;
mod standby;
mod stats;
mod watching;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use jiff::Timestamp;

pub use activity::{HEAD_TIME_MAX, STREAM_STALL_MAX};
pub use body::{Body, DISCARD_MAX};
pub use cors::Cors;
pub use endpoint::{Endpoint, ServicePages};
pub use peer::PeerPages;
pub use policy::ConnectionPolicy;
pub use port::Port;
pub use route::clean;
pub use serve::{GRACE, HEADER_BYTES_MAX, serve};
pub use standby::StandbyPages;

use crate::cluster::MemberId;
use crate::consensus::Handle;
use crate::membership::admin::Administration;
use crate::net::tls::Connector;
use crate::transport::Stats;
use reply::Reply;
use route::Page;

/// Timeouts and limits for one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Timeout for reading a request, and for waiting for the next one; zero for none. When it expires, the
    /// connection is closed. Does not apply to watches.
    pub read: Duration,
    /// Timeout for writing to a client that does not read; zero for none. When it expires, the connection is
    /// closed. A watch has [`STREAM_STALL_MAX`] instead.
    pub write: Duration,
    /// Maximum length of the body of a request, in bytes; a longer one is answered with 413.
    pub body_bytes: usize,
    /// Maximum number of open connections at a port; further ones wait to be accepted.
    pub connections: usize,
}

/// What the pages show about this member beyond its store.
#[derive(Clone)]
pub struct MemberDescription {
    /// Its id.
    pub id: MemberId,
    /// Its name.
    pub name: String,
    /// Its client URL.
    pub client_url: String,
    /// Connects to members whose URL is `https`.
    pub tls: Connector,
    /// When it started.
    pub started: Timestamp,
    /// Statistics of its messages to and from other members.
    pub traffic: Arc<Stats>,
}

/// The pages of a member, for both ports.
pub struct Pages {
    handle: Handle,
    member: MemberDescription,
    administration: Administration,
    policy: ConnectionPolicy,
    watchers: Arc<AtomicU64>,
}

impl Default for Limits {
    /// Five minutes as in 0.4.6, bodies of 2 MiB, 16,384 connections.
    fn default() -> Self {
        Self {
            read: Duration::from_secs(300),
            write: Duration::from_secs(300),
            body_bytes: 2 << 20,
            connections: 16_384,
        }
    }
}

impl Pages {
    /// The pages of the member behind `handle`. Watches end with the stop signal of `policy`.
    pub fn new(handle: Handle, member: MemberDescription, policy: ConnectionPolicy) -> Arc<Self> {
        Arc::new(Self {
            administration: Administration::new(handle.clone(), member.tls.clone()),
            handle,
            member,
            policy,
            watchers: Arc::default(),
        })
    }

    /// Answer one request.
    async fn answer(self: &Arc<Self>, port: &Port, request: Request<Incoming>) -> Reply {
        let path = match route::clean(request.uri().path()) {
            Ok(path) => path.into_owned(),
            Err(rejection) => return reply::rejected(rejection, self.index()),
        };
        let page = match port {
            Port::Client => route::client(&path),
            Port::Peer(_) => route::peer(&path),
        };
        let Some(page) = page else {
            return reply::not_found();
        };
        if let Some(allow) = page.refuses(request.method()) {
            return reply::not_allowed(allow);
        }
        match page {
            Page::Keys(key) => keys::answer(self, key, request).await,
            Page::Version => about::version(),
            Page::Health => about::health(self),
            Page::Leader => about::leader(self),
            Page::Machines => about::machines(self),
            Page::SelfStats => stats::own(self),
            Page::StoreStats => stats::store(self),
            Page::LeaderStats => stats::leader(self, request.uri()),
            Page::MemberList => members::list(self),
            Page::MemberLeader => members::leader(self),
            Page::Member(id) => members::remove(self, id).await,
            Page::Peer(page) => admin::answer(self, port, page, request).await,
        }
    }

    /// The current index of the store.
    fn index(&self) -> u64 {
        self.handle.applied().store.index()
    }
}
