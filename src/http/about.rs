//! Pages about the member and its cluster: version, health, leader, and client URLs.

use bytes::BufMut;
use hyper::Uri;
use serde::Serialize;

use super::reply::{self, Reply};
use super::{Pages, json};
use crate::cluster::{Member, MemberId};
use crate::consensus::AppliedState;

/// The version of oxetcd.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The version of the API, which clients parse.
pub(super) fn version() -> Reply {
    reply::text("etcd 0.4.6")
}

#[derive(Serialize)]
struct Health<'a> {
    /// A string, as in 0.4.6.
    health: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    name: &'a str,
    version: &'static str,
    #[serde(rename = "etcdIndex")]
    etcd_index: u64,
    /// False for a learner, which is a member and still receives the log.
    votes: bool,
}

/// Whether this member can serve: it knows a leader, and its store does not differ from another member's.
pub(super) fn health(pages: &Pages) -> Reply {
    let (status, etcd_index, votes) = {
        let view = pages.handle.applied();
        (
            view.raft_status,
            view.store.index(),
            view.is_voter(pages.member.id),
        )
    };
    let reason = match (status.leader, status.diverged) {
        (None, _) => Some("there is no leader"),
        (Some(_), true) => Some("the store differs from another member's"),
        (Some(_), false) => None,
    };
    let health = Health {
        health: if reason.is_none() { "true" } else { "false" },
        reason,
        name: &pages.member.name,
        version: VERSION,
        etcd_index,
        votes,
    };
    let mut json = json::encode(&health);
    json.put_u8(b'\n');
    reply::health(reason.is_none(), json)
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

/// The client URLs of all members, on one line, the leader's first.
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

/// The member with this id, if it is in the store.
pub(super) fn member_by_id(view: &AppliedState, id: MemberId) -> Option<Member> {
    view.store.members().find(|member| member.id == id).cloned()
}

/// `url` with the path and query of `uri`.
pub(super) fn with_path(url: &str, uri: &Uri) -> String {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    format!("{}{path}", url.trim_end_matches('/'))
}
