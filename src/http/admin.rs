//! The peer port's pages for operators: this member's name and addresses, and the administration of members and
//! settings.

use bytes::{BufMut, BytesMut};
use hyper::body::Incoming;
use hyper::{Method, Request};

use super::body;
use super::reply::{self, Reply};
use super::{Pages, Port, json};
use crate::cluster::{Member, MemberId, Refusal};
use crate::membership::api::PeerPage;
use crate::membership::client::FORWARDED;
use crate::store::image;

/// Answer a request for a page of the peer port.
pub(super) async fn answer(
    pages: &Pages,
    port: &Port,
    page: PeerPage<'_>,
    request: Request<Incoming>,
) -> Reply {
    match page {
        PeerPage::Name => name(pages),
        PeerPage::Version => version(),
        PeerPage::VersionCheck(version) => version_check(version),
        PeerPage::ClientUrl => client_url(pages),
        PeerPage::Settings => settings(pages, request).await,
        PeerPage::Members => members(pages),
        PeerPage::Member(name) => member(pages, name, request).await,
        PeerPage::Remove(name) => remove(pages, name, request).await,
        PeerPage::Hash => hash(pages).await,
        PeerPage::ForMembers(page) => match port {
            Port::Client => reply::not_found(),
            Port::Peer(peer) => peer.answer(page, request).await,
        },
    }
}

/// This member's name.
fn name(pages: &Pages) -> Reply {
    reply::text(pages.member.name.clone())
}

/// The version of 0.4's peer protocol, which tools ask for.
fn version() -> Reply {
    reply::text("2")
}

/// Whether this member speaks that version of 0.4's peer protocol.
fn version_check(version: &str) -> Reply {
    match version.parse::<u64>() {
        Ok(2) => reply::empty(),
        Ok(_) => reply::forbidden(),
        Err(_) => reply::not_found(),
    }
}

/// The URL of this member's client port.
fn client_url(pages: &Pages) -> Reply {
    reply::text(pages.member.client_url.clone())
}

/// The cluster's settings, after a change if the request asks for one.
async fn settings(pages: &Pages, mut request: Request<Incoming>) -> Reply {
    let settings = if *request.method() == Method::PUT {
        let json = match body::whole(&mut request, &pages.policy.limits).await {
            Ok(json) => json,
            Err(rejection) => return reply::rejected(rejection, pages.index()),
        };
        match pages
            .administration
            .configure(json, is_forwarded(&request))
            .await
        {
            Ok(settings) => settings,
            Err(refusal) => {
                return reply::refused_change(&refusal, "/_etcd/config", pages.index());
            }
        }
    } else {
        pages.handle.applied().settings()
    };
    reply::json(format!("{settings}\n"))
}

/// All members.
fn members(pages: &Pages) -> Reply {
    let (mut members, leader) = members_and_leader(pages);
    members.sort_by(|one, other| one.name.cmp(&other.name));
    let mut out = BytesMut::with_capacity(256);
    out.put_u8(b'[');
    for (position, member) in members.iter().enumerate() {
        if position > 0 {
            out.put_u8(b',');
        }
        write_member(&mut out, member, leader);
    }
    out.extend_from_slice(b"]\n");
    reply::json(out.freeze())
}

/// One member, or its removal.
async fn member(pages: &Pages, name: &str, request: Request<Incoming>) -> Reply {
    if *request.method() == Method::DELETE {
        return remove(pages, name, request).await;
    }
    let (members, leader) = members_and_leader(pages);
    match members.iter().find(|member| member.name == name) {
        Some(member) => {
            let mut out = BytesMut::with_capacity(256);
            write_member(&mut out, member, leader);
            out.put_u8(b'\n');
            reply::json(out.freeze())
        }
        None => reply::refused_change(&Refusal::UnknownMember, &key(name), pages.index()),
    }
}

/// Remove a member.
async fn remove(pages: &Pages, name: &str, request: Request<Incoming>) -> Reply {
    let is_forwarded = is_forwarded(&request);
    match pages.administration.remove(name, is_forwarded).await {
        Ok(()) => reply::empty(),
        Err(refusal) => reply::refused_change(&refusal, &key(name), pages.index()),
    }
}

/// The store's hash, and the index of the last applied entry: members at the same index have the same hash.
async fn hash(pages: &Pages) -> Reply {
    let (store, position) = {
        let view = pages.handle.applied();
        (view.store.clone(), view.position())
    };
    // The hash of a large store takes a while; other requests do not wait for it.
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

fn members_and_leader(pages: &Pages) -> (Vec<Member>, Option<MemberId>) {
    let view = pages.handle.applied();
    (
        view.store.members().cloned().collect(),
        view.raft_status.leader,
    )
}

fn write_member(out: &mut BytesMut, member: &Member, leader: Option<MemberId>) {
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

/// The member's key in the tree.
fn key(name: &str) -> String {
    format!("/_etcd/machines/{name}")
}

/// Whether another member forwarded it.
fn is_forwarded(request: &Request<Incoming>) -> bool {
    request.headers().contains_key(FORWARDED)
}
