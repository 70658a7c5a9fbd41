//! The peer port's own pages. The administration of machines and settings will stand here too.

use std::pin::Pin;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};

use super::body::Body;
use super::reply::{self, Reply};
use super::{Pages, Port, json};
use crate::store::{ClusterTime, Path, image};

/// Answers what members ask each other for, below `/oxetcd/`: connections for messages and for snapshots,
/// and joining. It is given the request whole, with what it takes to upgrade its connection.
pub type MemberPages = Arc<
    dyn Fn(Request<Incoming>) -> Pin<Box<dyn Future<Output = Response<Full<Bytes>>> + Send>>
        + Send
        + Sync,
>;

/// The settings of a cluster in which nobody has changed them.
const SETTINGS: &str = "{\"activeSize\":9,\"removeDelay\":1800,\"syncInterval\":5}";

/// This member's name.
pub(super) fn name(pages: &Pages) -> Reply {
    reply::text(pages.facts.name.clone())
}

/// The version of what members of 0.4 said to each other, which tools look for.
pub(super) fn version() -> Reply {
    reply::text("2")
}

/// The cluster's settings.
pub(super) fn settings(pages: &Pages) -> Reply {
    let path = Path::parse("/_etcd/config");
    let found = path
        .ok()
        .and_then(|path| pages.handle.view().store.get(&path).ok());
    let mut out = BytesMut::new();
    match found.and_then(|found| found.listing(false, ClusterTime::ZERO).node.value) {
        Some(settings) => out.extend_from_slice(&settings),
        None => out.extend_from_slice(SETTINGS.as_bytes()),
    }
    out.put_u8(b'\n');
    reply::json(out.freeze())
}

/// The store's hash, and the index of the last entry in it: members at the same index have the same.
pub(super) async fn hash(pages: &Pages) -> Reply {
    let (store, position) = {
        let view = pages.handle.view();
        (view.store.clone(), view.position())
    };
    // A large store takes a while, which other requests need not wait for.
    let hashed = tokio::task::spawn_blocking(move || image::hash(&store)).await;
    let Ok(hash) = hashed else {
        return reply::unmade(position.index);
    };
    let mut out = BytesMut::new();
    out.extend_from_slice(b"{\"index\":");
    json::integer(&mut out, position.raft_index);
    out.extend_from_slice(b",\"etcdIndex\":");
    json::integer(&mut out, position.index);
    out.extend_from_slice(b",\"hash\":");
    json::string(&mut out, format!("{hash:016x}").as_bytes());
    out.extend_from_slice(b"}\n");
    reply::json(out.freeze())
}

/// What only members ask for.
pub(super) async fn members(port: &Port, request: Request<Incoming>) -> Reply {
    match port {
        Port::Client => reply::not_found(),
        Port::Peer(pages) => {
            let (parts, body) = pages(request).await.into_parts();
            let bytes = body
                .collect()
                .await
                .map(|body| body.to_bytes())
                .unwrap_or_default();
            Response::from_parts(parts, Body::whole(bytes))
        }
    }
}
