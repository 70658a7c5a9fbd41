//! Pages about the server and its cluster: version, health, leader, machines.

use bytes::BytesMut;
use hyper::Uri;

use super::reply::{self, Reply};
use super::{Pages, json};
use crate::cluster::{Member, MemberId};
use crate::consensus::AppliedState;

/// The version of the API, which clients parse.
pub(super) fn version() -> Reply {
    reply::text("etcd 0.4.6")
}

/// Whether this member can serve: it knows a leader.
pub(super) fn health(pages: &Pages) -> Reply {
    let (standing, index, votes) = {
        let view = pages.handle.applied();
        (
            view.raft_status,
            view.store.index(),
            view.is_voter(pages.facts.id),
        )
    };
    let healthy = standing.leader.is_some() && !standing.diverged;
    let mut out = BytesMut::with_capacity(128);
    out.extend_from_slice(if healthy {
        b"{\"health\":\"true\""
    } else {
        b"{\"health\":\"false\""
    });
    if standing.leader.is_none() {
        out.extend_from_slice(b",\"reason\":\"there is no leader\"");
    } else if standing.diverged {
        out.extend_from_slice(b",\"reason\":\"the store differs from another member's\"");
    }
    out.extend_from_slice(b",\"name\":");
    json::string(&mut out, pages.facts.name.as_bytes());
    out.extend_from_slice(b",\"version\":");
    json::string(&mut out, env!("CARGO_PKG_VERSION").as_bytes());
    out.extend_from_slice(b",\"etcdIndex\":");
    json::integer(&mut out, index);
    // One that does not has a place, and still catches up.
    out.extend_from_slice(if votes {
        b",\"votes\":true}\n".as_slice()
    } else {
        b",\"votes\":false}\n"
    });
    reply::health(healthy, out.freeze())
}

/// The leader's peer URL.
pub(super) fn leader(pages: &Pages) -> Reply {
    let (leader, index) = {
        let view = pages.handle.applied();
        (
            view.raft_status
                .leader
                .and_then(|id| member_by_id(&view, id)),
            view.store.index(),
        )
    };
    match leader {
        Some(leader) => reply::text(leader.peer_url),
        None => reply::leaderless(index),
    }
}

/// The client URLs of all members on one line, the leader's first.
pub(super) fn machines(pages: &Pages) -> Reply {
    let (mut members, leader) = {
        let view = pages.handle.applied();
        (
            view.store.members().cloned().collect::<Vec<Member>>(),
            view.raft_status.leader,
        )
    };
    members.sort_by(|one, other| {
        let leads = |member: &Member| Some(member.id) == leader;
        leads(other)
            .cmp(&leads(one))
            .then_with(|| one.name.cmp(&other.name))
    });
    let urls: Vec<_> = members
        .into_iter()
        .map(|member| member.client_url)
        .collect();
    reply::text(urls.join(", "))
}

/// The member with this id.
pub(super) fn member_by_id(view: &AppliedState, id: MemberId) -> Option<Member> {
    view.store.members().find(|member| member.id == id).cloned()
}

/// `url` with the path and query of `uri`.
pub(super) fn with_path(url: &str, uri: &Uri) -> String {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    format!("{}{path}", url.trim_end_matches('/'))
}
