//! The peer port's own pages: who this member is, and the administration of machines and settings.

use std::pin::Pin;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response};

use super::body::{self, Body};
use super::reply::{self, Reply};
use super::{Pages, Port, json};
use crate::cluster::{Member, MemberId};
use crate::membership::admin::{Denied, PASSED_ON};
use crate::store::image;

/// Answers what members ask each other for, below `/oxetcd/`: connections for messages and for snapshots,
/// and joining. It is given the request whole, with what it takes to upgrade its connection.
pub type MemberPages = Arc<
    dyn Fn(Request<Incoming>) -> Pin<Box<dyn Future<Output = Response<Full<Bytes>>> + Send>>
        + Send
        + Sync,
>;

/// This member's name.
pub(super) fn name(pages: &Pages) -> Reply {
    reply::text(pages.facts.name.clone())
}

/// The version of what members of 0.4 said to each other, which tools look for.
pub(super) fn version() -> Reply {
    reply::text("2")
}

/// Whether this member speaks that version of 0.4's protocol; 2 is the one tools ask for.
pub(super) fn version_check(version: &str) -> Reply {
    match version.parse::<u64>() {
        Ok(2) => reply::empty(),
        Ok(_) => reply::forbidden(),
        Err(_) => reply::not_found(),
    }
}

/// Where this member's clients reach it.
pub(super) fn client_url(pages: &Pages) -> Reply {
    reply::text(pages.facts.client_url.clone())
}

/// The cluster's settings, after a change if the request asks for one.
pub(super) async fn settings(pages: &Pages, mut request: Request<Incoming>) -> Reply {
    let settings = if *request.method() == Method::PUT {
        let json = match body::whole(&mut request, &pages.manners.limits).await {
            Ok(json) => json,
            Err(rejection) => return reply::rejected(rejection, pages.index()),
        };
        match pages
            .administration
            .configure(json, passed_on(&request))
            .await
        {
            Ok(settings) => settings,
            Err(denied) => return reply::denied(denied, "/_etcd/config", pages.index()),
        }
    } else {
        pages.handle.applied().settings()
    };
    reply::json(format!("{settings}\n"))
}

/// All members.
pub(super) fn machines(pages: &Pages) -> Reply {
    let (mut members, leader) = known(pages);
    members.sort_by(|one, other| one.name.cmp(&other.name));
    let mut out = BytesMut::with_capacity(256);
    out.put_u8(b'[');
    for (place, member) in members.iter().enumerate() {
        if place > 0 {
            out.put_u8(b',');
        }
        machine_json(&mut out, member, leader);
    }
    out.extend_from_slice(b"]\n");
    reply::json(out.freeze())
}

/// One member, or that it is to be none.
pub(super) async fn machine(pages: &Pages, name: &str, request: Request<Incoming>) -> Reply {
    if *request.method() == Method::DELETE {
        return remove(pages, name, request).await;
    }
    let (members, leader) = known(pages);
    match members.iter().find(|member| member.name == name) {
        Some(member) => {
            let mut out = BytesMut::with_capacity(256);
            machine_json(&mut out, member, leader);
            out.put_u8(b'\n');
            reply::json(out.freeze())
        }
        None => reply::denied(Denied::Unknown, &key(name), pages.index()),
    }
}

/// Take a member out.
pub(super) async fn remove(pages: &Pages, name: &str, request: Request<Incoming>) -> Reply {
    match pages.administration.remove(name, passed_on(&request)).await {
        Ok(()) => reply::empty(),
        Err(denied) => reply::denied(denied, &key(name), pages.index()),
    }
}

/// The store's hash, and the index of the last entry in it: members at the same index have the same.
pub(super) async fn hash(pages: &Pages) -> Reply {
    let (store, position) = {
        let view = pages.handle.applied();
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

fn known(pages: &Pages) -> (Vec<Member>, Option<MemberId>) {
    let view = pages.handle.applied();
    (
        view.store.members().cloned().collect(),
        view.raft_status.leader,
    )
}

fn machine_json(out: &mut BytesMut, member: &Member, leader: Option<MemberId>) {
    let state = match leader == Some(member.id) {
        true => "leader",
        false => "follower",
    };
    for (before, text) in [
        ("{\"name\":", member.name.as_str()),
        (",\"state\":", state),
        (",\"clientURL\":", &member.client_url),
        (",\"peerURL\":", &member.peer_url),
    ] {
        out.extend_from_slice(before.as_bytes());
        json::string(out, text.as_bytes());
    }
    out.put_u8(b'}');
}

/// The key at which a member stands in the tree.
fn key(name: &str) -> String {
    format!("/_etcd/machines/{name}")
}

/// Whether another member sent it.
fn passed_on(request: &Request<Incoming>) -> bool {
    request.headers().contains_key(PASSED_ON)
}
