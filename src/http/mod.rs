//! The client API, and the pages of the peer port.
//!
//! A request's way: [`serve`] (connections and their limits), `route` (which page, which methods), `body`
//! and [`params`] (everything it says, typed and checked), then one file per kind of page: `keys`, `watching`,
//! `stats`, `about`, `members`, `admin`; a machine without a place has those of `standby` instead. `reply` makes the answer and alone knows status numbers.

mod about;
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

pub use body::{Body, DISCARD_MAX};
pub use cors::Cors;
pub use endpoint::{ConnectionPolicy, Endpoint, Port, ServicePages};
pub use peer::PeerPages;
pub use route::clean;
pub use serve::{GRACE, HEADER_BYTES_MAX, serve};
pub use socket::{HEAD_TIME_MAX, STREAM_STALL_MAX};
pub use standby::StandbyPages;

use crate::cluster::MemberId;
use crate::consensus::Handle;
use crate::membership::admin::Administration;
use crate::net::tls::Connector;
use crate::transport::Stats;
use reply::Reply;
use route::Page;

/// What one client may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long a request may take to arrive, and how long a connection may wait for the next one; zero
    /// for any time. Beyond it the connection is closed. It ends no watch.
    pub read: Duration,
    /// How long nothing of an answer may be taken from us; zero for any time. Beyond it the connection is
    /// closed. A watch has [`STREAM_STALL_MAX`] instead.
    pub write: Duration,
    /// How long a request's body may be, in bytes; a longer one is answered 413.
    pub body_bytes: usize,
    /// How many connections may be open at one port; more wait to be accepted.
    pub connections: usize,
}

/// What the pages say about this member that is not in its store.
#[derive(Clone)]
pub struct Facts {
    /// Its identity.
    pub id: MemberId,
    /// Its name.
    pub name: String,
    /// Where clients reach it.
    pub client_url: String,
    /// How it calls other members whose URL is `https`.
    pub tls: Connector,
    /// When it started.
    pub started: Timestamp,
    /// What it sent to other members and received from them.
    pub traffic: Arc<Stats>,
}

/// All pages of one member, for both of its ports.
pub struct Pages {
    handle: Handle,
    facts: Facts,
    administration: Administration,
    manners: ConnectionPolicy,
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
    /// The pages of the member behind `handle`. Watches end with the manners' stop signal.
    pub fn new(handle: Handle, facts: Facts, manners: ConnectionPolicy) -> Arc<Self> {
        Arc::new(Self {
            administration: Administration::new(handle.clone(), facts.tls.clone()),
            handle,
            facts,
            manners,
            watchers: Arc::default(),
        })
    }

    /// The answer to one request.
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

    /// The store's index now.
    fn index(&self) -> u64 {
        self.handle.applied().store.index()
    }
}
