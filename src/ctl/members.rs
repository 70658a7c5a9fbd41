//! Who the members are, with names and both addresses, from whichever page a server has for it.

use serde::Deserialize;

use super::Exit;
use super::session::Session;
use crate::client::{Client, Get, Request};
use crate::cluster::Address;

/// The peer port of etcd 0.4, which a URL without a port means.
const PEER_PORT: u16 = 7001;

/// A member as the cluster knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Listed {
    /// Its id; empty where members have none, in 0.4.
    pub(super) id: String,
    /// Its name.
    pub(super) name: String,
    /// Where clients reach it.
    #[serde(rename = "clientURLs")]
    pub(super) client_urls: Vec<String>,
    /// Where peers reach it.
    #[serde(rename = "peerURLs")]
    pub(super) peer_urls: Vec<String>,
    /// Whether it leads, as far as that is known.
    #[serde(skip)]
    pub(super) leads: bool,
}

#[derive(Deserialize)]
struct Page {
    members: Vec<Listed>,
}

/// All members, by name.
///
/// # Errors
///
/// Nobody tells.
pub(super) async fn members(session: &Session) -> Result<Vec<Listed>, Exit> {
    let answer = session.client.send(&Request::page("/v2/members")).await?;
    let page = serde_json::from_slice::<Page>(&answer.body);
    let mut members = match page.ok().filter(|_| answer.is_success()) {
        Some(page) => page.members,
        None => machines(session).await?,
    };
    let leader = leader(session).await?;
    for member in &mut members {
        member.leads = leader
            .as_ref()
            .is_some_and(|leader| *leader == member.id || member.peer_urls.contains(leader));
    }
    members.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(members)
}

/// As 0.4 keeps them in its tree.
async fn machines(session: &Session) -> Result<Vec<Listed>, Exit> {
    let get = Get::default().request("/_etcd/machines");
    let (_, event) = session.ask(&get).await?;
    let machine = |node: &crate::client::Node| {
        let value = node.value.as_deref().unwrap_or_default();
        let url = |wanted: &str| {
            form_urlencoded::parse(value.as_bytes())
                .filter(|(name, _)| name == wanted)
                .map(|(_, url)| url.into_owned())
                .collect()
        };
        Listed {
            id: String::new(),
            name: node
                .key
                .rsplit('/')
                .next()
                .map_or_else(String::new, String::from),
            client_urls: url("etcd"),
            peer_urls: url("raft"),
            leads: false,
        }
    };
    Ok(event.node.nodes.iter().map(machine).collect())
}

/// The leader's id or peer URL; none if there is none, or no page that tells.
async fn leader(session: &Session) -> Result<Option<String>, Exit> {
    let answer = session
        .client
        .send(&Request::page("/v2/members/leader"))
        .await?;
    let member = serde_json::from_slice::<Listed>(&answer.body);
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
/// None of them has an address to ask.
pub(super) fn peers(session: &Session, members: &[Listed]) -> Result<Client, Exit> {
    let mut members: Vec<&Listed> = members.iter().collect();
    members.sort_by_key(|member| !member.leads);
    let peers: Vec<Address> = members
        .iter()
        .flat_map(|member| &member.peer_urls)
        .filter_map(|url| Address::parse_with_port(url, PEER_PORT).ok())
        .collect();
    if peers.is_empty() {
        return Err(Exit::refused("no member says where its peer port is"));
    }
    Ok(session.client_of(peers))
}
