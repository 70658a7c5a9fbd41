//! The list of members with names and URLs, from the page that the server has for it.

use serde::Deserialize;

use super::Exit;
use super::session::Session;
use crate::client::{Client, Get, Request};
use crate::cluster::Address;

/// The port of a peer URL without one: the peer port of etcd 0.4.
const PEER_PORT: u16 = 7001;

/// A member of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Member {
    /// The id; empty in 0.4, which has no ids.
    pub(super) id: String,
    /// The name.
    pub(super) name: String,
    /// The URLs of the client port.
    #[serde(rename = "clientURLs")]
    pub(super) client_urls: Vec<String>,
    /// The URLs of the peer port.
    #[serde(rename = "peerURLs")]
    pub(super) peer_urls: Vec<String>,
    /// Whether it is the leader, as far as known.
    #[serde(skip)]
    pub(super) is_leader: bool,
}

#[derive(Deserialize)]
struct Page {
    members: Vec<Member>,
}

/// All members, sorted by name.
///
/// # Errors
///
/// No member can be reached, or none returns a list of members.
pub(super) async fn list(session: &Session) -> Result<Vec<Member>, Exit> {
    let answer = session.client.send(&Request::page("/v2/members")).await?;
    let page = serde_json::from_slice::<Page>(&answer.body);
    let mut members = match page.ok().filter(|_| answer.is_success()) {
        Some(page) => page.members,
        None => list_of_0_4(session).await?,
    };
    let leader = find_leader(session).await?;
    for member in &mut members {
        member.is_leader = leader
            .as_ref()
            .is_some_and(|leader| *leader == member.id || member.peer_urls.contains(leader));
    }
    members.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(members)
}

/// The members in the tree of etcd 0.4.
async fn list_of_0_4(session: &Session) -> Result<Vec<Member>, Exit> {
    let get = Get::default().request("/_etcd/machines");
    let (_, event) = session.send(&get).await?;
    let to_member = |node: &crate::client::Node| {
        let value = node.value.as_deref().unwrap_or_default();
        let url = |wanted: &str| {
            form_urlencoded::parse(value.as_bytes())
                .filter(|(name, _)| name == wanted)
                .map(|(_, url)| url.into_owned())
                .collect()
        };
        Member {
            id: String::new(),
            name: node
                .key
                .rsplit('/')
                .next()
                .map_or_else(String::new, String::from),
            client_urls: url("etcd"),
            peer_urls: url("raft"),
            is_leader: false,
        }
    };
    Ok(event.node.nodes.iter().map(to_member).collect())
}

/// The leader's id or peer URL; none if there is no leader, or no page that names it.
async fn find_leader(session: &Session) -> Result<Option<String>, Exit> {
    let answer = session
        .client
        .send(&Request::page("/v2/members/leader"))
        .await?;
    let member = serde_json::from_slice::<Member>(&answer.body);
    if let Ok(member) = member
        && answer.is_success()
        && !member.id.is_empty()
    {
        return Ok(Some(member.id));
    }
    let answer = session.client.send(&Request::page("/v2/leader")).await?;
    let text = String::from_utf8_lossy(&answer.body);
    let url = Some(text.trim()).filter(|text| answer.is_success() && text.contains("://"));
    Ok(url.map(String::from))
}

/// A client of the peer ports of `members`, the leader's first.
///
/// # Errors
///
/// None of them has a valid peer URL.
pub(super) fn peer_client(session: &Session, members: &[Member]) -> Result<Client, Exit> {
    let mut members: Vec<&Member> = members.iter().collect();
    members.sort_by_key(|member| !member.is_leader);
    let peers: Vec<Address> = members
        .iter()
        .flat_map(|member| &member.peer_urls)
        .filter_map(|url| Address::parse_with_port(url, PEER_PORT).ok())
        .collect();
    if peers.is_empty() {
        return Err(Exit::refused("no member has a valid peer URL"));
    }
    Ok(session.client_of(peers))
}
