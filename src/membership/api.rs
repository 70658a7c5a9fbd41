//! The pages of the peer port: every path, the JSON of the pages for members, and the status of each refusal. Both
//! the server and the client use what is here.

use std::fmt;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cluster::{
    ClusterId, InvalidAddress, InvalidSettings, JoinAnswer, JoinRequest, Member, MemberId,
    MemberList, Refusal, RefusalKind, Settings, peer_address,
};
use crate::transport::{ConnectionPaths, PROTOCOL_VERSION};

/// The longest name of a member, as for `-name`.
const NAME_BYTES_MAX: usize = 250;

/// The longest URL, and how much of a message from another member is shown.
const TEXT_BYTES_MAX: usize = 1024;

/// Below this path are the pages for members.
const MEMBER_PAGES: &str = "/oxetcd/";
const JOIN: &str = "/oxetcd/join";
const MEMBER_LIST: &str = "/oxetcd/roster";
const MESSAGES: &str = "/oxetcd/peer";
const SNAPSHOT: &str = "/oxetcd/snapshot";
const SETTINGS: &str = "/v2/admin/config";
const MEMBERS: &str = "/v2/admin/machines";

/// The paths of the pages that become connections between members.
pub const CONNECTIONS: ConnectionPaths = ConnectionPaths {
    messages: MESSAGES,
    snapshot: SNAPSHOT,
};

/// A page of the peer port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerPage<'a> {
    /// A page that only members and standbys ask for.
    ForMembers(MemberPage),
    /// This member's name.
    Name,
    /// The version of 0.4's peer protocol.
    Version,
    /// Whether this member speaks the given version of 0.4's peer protocol.
    VersionCheck(&'a str),
    /// The URL of this member's client port.
    ClientUrl,
    /// The cluster's settings.
    Settings,
    /// All members.
    Members,
    /// The member with this name.
    Member(&'a str),
    /// The removal of the member with this name.
    Remove(&'a str),
    /// The store's hash.
    Hash,
}

/// A page that only members and standbys ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberPage {
    /// `POST`: a request to join, as JSON.
    Join,
    /// The [`MemberList`], as JSON.
    MemberList,
    /// Becomes a connection for messages.
    Messages,
    /// Becomes a connection for one snapshot.
    Snapshot,
}

impl<'a> PeerPage<'a> {
    /// The page at a clean path.
    pub fn parse(path: &'a str) -> Option<Self> {
        Some(match path {
            "/name" => Self::Name,
            "/version" => Self::Version,
            "/etcdURL" => Self::ClientUrl,
            "/hash" => Self::Hash,
            SETTINGS => Self::Settings,
            MEMBERS => Self::Members,
            _ => {
                return MemberPage::parse(path)
                    .map(Self::ForMembers)
                    .or_else(|| part(path, "/v2/admin/machines/", "").map(Self::Member))
                    .or_else(|| part(path, "/remove/", "").map(Self::Remove))
                    .or_else(|| part(path, "/version/", "/check").map(Self::VersionCheck));
            }
        })
    }

    /// The path of the page of a member, escaped for a request.
    pub fn member_path(name: &str) -> String {
        let name = utf8_percent_encode(name, NON_ALPHANUMERIC);
        format!("{MEMBERS}/{name}")
    }

    /// The path of the page of the settings.
    pub fn settings_path() -> String {
        SETTINGS.to_owned()
    }
}

impl MemberPage {
    /// The page at a clean path. All others below `/oxetcd/` are the page for messages, which refuses whatever
    /// does not come from a member.
    fn parse(path: &str) -> Option<Self> {
        match path {
            JOIN => Some(Self::Join),
            MEMBER_LIST => Some(Self::MemberList),
            SNAPSHOT => Some(Self::Snapshot),
            _ => path.starts_with(MEMBER_PAGES).then_some(Self::Messages),
        }
    }

    /// Its path.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Join => JOIN,
            Self::MemberList => MEMBER_LIST,
            Self::Messages => MESSAGES,
            Self::Snapshot => SNAPSHOT,
        }
    }
}

/// The one part of the path between `before` and `after`.
fn part<'a>(path: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let part = path.strip_prefix(before)?.strip_suffix(after)?;
    (!part.is_empty() && !part.contains('/')).then_some(part)
}

/// The status of a refusal, on all pages of the peer port.
pub const fn to_status(kind: RefusalKind) -> u16 {
    match kind {
        RefusalKind::NotLeader => 307,
        RefusalKind::Invalid => 400,
        RefusalKind::Full => 403,
        RefusalKind::UnknownMember => 404,
        RefusalKind::Conflict => 409,
        RefusalKind::Removed => 410,
        RefusalKind::ForeignCluster => 412,
        RefusalKind::Unavailable => 503,
    }
}

/// The kind of refusal with this status; none if no refusal has it.
pub fn from_status(status: u16) -> Option<RefusalKind> {
    const KINDS: [RefusalKind; 8] = [
        RefusalKind::NotLeader,
        RefusalKind::Invalid,
        RefusalKind::Full,
        RefusalKind::UnknownMember,
        RefusalKind::Conflict,
        RefusalKind::Removed,
        RefusalKind::ForeignCluster,
        RefusalKind::Unavailable,
    ];
    KINDS.into_iter().find(|kind| to_status(*kind) == status)
}

/// Why what another member sent is not valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// It is not the JSON that belongs there, and why.
    Json(String),
    /// It is of another version of the peer protocol.
    Version(u64),
    /// The name of a member.
    Name(String),
    /// The id of a member.
    MemberId(String),
    /// The id of a cluster.
    ClusterId(String),
    /// The client URL of a member.
    ClientUrl(String),
    /// The peer URL of a member, and why.
    PeerUrl(InvalidAddress),
    /// The cluster's settings, and why.
    Settings(InvalidSettings),
    /// The answer to a request to join does not list the member that joins.
    NotListed,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(error) => f.write_str(error),
            Self::Version(version) => write!(f, "version {version} of the peer protocol"),
            Self::Name(name) => write!(f, "{name:?} is not a valid member name"),
            Self::MemberId(id) => write!(f, "{id:?} is not a valid member id"),
            Self::ClusterId(id) => write!(f, "{id:?} is not a valid cluster id"),
            Self::ClientUrl(url) => write!(f, "{url:?} is not a valid client URL"),
            Self::PeerUrl(error) => write!(f, "the peer URL {error}"),
            Self::Settings(error) => error.fmt(f),
            Self::NotListed => f.write_str("this member is not in the member list"),
        }
    }
}

impl std::error::Error for Malformed {}

impl From<serde_json::Error> for Malformed {
    fn from(error: serde_json::Error) -> Self {
        Self::Json(error.to_string())
    }
}

#[derive(Serialize, Deserialize)]
struct VersionJson {
    oxetcd: u64,
}

#[derive(Serialize, Deserialize)]
struct JoinRequestJson {
    oxetcd: u64,
    cluster: Option<String>,
    member: MemberJson,
}

#[derive(Serialize, Deserialize)]
struct MemberJson {
    id: String,
    name: String,
    client_url: String,
    peer_url: String,
}

#[derive(Serialize, Deserialize)]
struct JoinAnswerJson {
    oxetcd: u64,
    cluster: String,
    members: Vec<MemberJson>,
}

#[derive(Serialize, Deserialize)]
struct RefusalJson {
    oxetcd: u64,
    message: String,
    /// The leader's peer URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    leader: Option<String>,
    /// The members of a cluster that is full.
    #[serde(skip_serializing_if = "Option::is_none")]
    roster: Option<MemberListJson>,
}

#[derive(Serialize, Deserialize)]
struct MemberListJson {
    oxetcd: u64,
    cluster: String,
    members: Vec<MemberJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    leader: Option<String>,
    settings: Value,
}

/// The part of an error of the administration pages that is shown.
#[derive(Deserialize)]
struct ErrorJson {
    cause: String,
}

/// Encode a request to join.
pub fn encode_join_request(request: &JoinRequest) -> Vec<u8> {
    to_json(&JoinRequestJson {
        oxetcd: version(),
        cluster: request.cluster.map(|id| id.to_string()),
        member: to_member_json(&request.member),
    })
}

/// Decode a request to join. The version is checked first: another version may have another form.
///
/// # Errors
///
/// [`Refusal::Version`], or [`Refusal::Invalid`] with the reason.
pub fn decode_join_request(body: &[u8]) -> Result<JoinRequest, Refusal> {
    let invalid =
        |error: Malformed| Refusal::Invalid(format!("not a valid request to join: {error}"));
    let asking: VersionJson =
        serde_json::from_slice(body).map_err(|error| invalid(error.into()))?;
    if asking.oxetcd != version() {
        return Err(Refusal::Version {
            ours: version(),
            theirs: asking.oxetcd,
        });
    }
    let decode = || {
        let request: JoinRequestJson = serde_json::from_slice(body)?;
        Ok(JoinRequest {
            member: from_member_json(request.member)?,
            cluster: request
                .cluster
                .as_deref()
                .map(parse_cluster_id)
                .transpose()?,
        })
    };
    decode().map_err(invalid)
}

/// Encode the answer to a member that was admitted.
pub fn encode_join_answer(answer: &JoinAnswer) -> Vec<u8> {
    to_json(&JoinAnswerJson {
        oxetcd: version(),
        cluster: answer.cluster.to_string(),
        members: answer.members.iter().map(to_member_json).collect(),
    })
}

/// Decode the answer to the member with the id `asking`.
///
/// # Errors
///
/// [`Malformed`]: it is not the JSON of an answer, or [`Malformed::NotListed`].
pub fn decode_join_answer(body: &[u8], asking: MemberId) -> Result<JoinAnswer, Malformed> {
    let answer: JoinAnswerJson = serde_json::from_slice(body)?;
    let answer = JoinAnswer {
        cluster: parse_cluster_id(&answer.cluster)?,
        members: from_members_json(answer.members)?,
    };
    match answer.members.iter().any(|member| member.id == asking) {
        true => Ok(answer),
        false => Err(Malformed::NotListed),
    }
}

/// Encode a refusal for the page for requests to join. Its status is [`to_status`] of its kind.
pub fn encode_refusal(refusal: &Refusal) -> Vec<u8> {
    let leader = if let Refusal::NotLeader { leader } = refusal {
        leader.clone()
    } else {
        None
    };
    let roster = if let Refusal::Full(list) = refusal {
        Some(to_member_list_json(list))
    } else {
        None
    };
    to_json(&RefusalJson {
        oxetcd: version(),
        message: refusal.to_string(),
        leader,
        roster,
    })
}

/// Decode a refusal by the page for requests to join; none if no member of ours sent it.
pub fn decode_refusal(status: u16, body: &[u8]) -> Option<Refusal> {
    let json: RefusalJson = serde_json::from_slice(body).ok()?;
    let kind = from_status(status).unwrap_or(RefusalKind::Invalid);
    let list = json
        .roster
        .and_then(|list| from_member_list_json(list).ok());
    let reported = |kind| Refusal::Reported {
        kind,
        message: to_printable(&json.message),
    };
    Some(match (kind, list) {
        (RefusalKind::Removed, _) => Refusal::Removed,
        (RefusalKind::NotLeader, _) => match json.leader {
            Some(leader) => Refusal::NotLeader {
                leader: Some(leader),
            },
            None => reported(RefusalKind::Unavailable),
        },
        (RefusalKind::Full, Some(list)) => Refusal::Full(Box::new(list)),
        (kind, _) => reported(kind),
    })
}

/// Decode a refusal by an administration page.
pub fn decode_admin_refusal(status: u16, body: &[u8]) -> Refusal {
    let cause = serde_json::from_slice(body).map(|error: ErrorJson| to_printable(&error.cause));
    let message = || cause.unwrap_or_else(|_| format!("unexpected answer with status {status}"));
    match from_status(status) {
        Some(RefusalKind::UnknownMember) => Refusal::UnknownMember,
        Some(kind @ (RefusalKind::Invalid | RefusalKind::Conflict)) => Refusal::Reported {
            kind,
            message: message(),
        },
        Some(_) | None => Refusal::Unavailable(message()),
    }
}

/// Encode a member list.
pub fn encode_member_list(list: &MemberList) -> Vec<u8> {
    to_json(&to_member_list_json(list))
}

/// Decode a member list.
///
/// # Errors
///
/// [`Malformed`]: it is not the JSON of a member list, or of another version.
pub fn decode_member_list(json: &[u8]) -> Result<MemberList, Malformed> {
    from_member_list_json(serde_json::from_slice(json)?)
}

fn version() -> u64 {
    PROTOCOL_VERSION.into()
}

/// A value as JSON with an end of line.
fn to_json(value: &impl Serialize) -> Vec<u8> {
    // Strings and numbers always make JSON; the other side would refuse an empty body.
    let mut body = serde_json::to_vec(value).unwrap_or_default();
    body.push(b'\n');
    body
}

/// Text of another member, fit for a terminal.
fn to_printable(text: &str) -> String {
    let printable = text.chars().filter(|c| !c.is_control());
    printable.take(TEXT_BYTES_MAX).collect()
}

fn to_member_json(member: &Member) -> MemberJson {
    MemberJson {
        id: member.id.to_string(),
        name: member.name.clone(),
        client_url: member.client_url.clone(),
        peer_url: member.peer_url.clone(),
    }
}

fn from_member_json(json: MemberJson) -> Result<Member, Malformed> {
    let MemberJson {
        id,
        name,
        client_url,
        peer_url,
    } = json;
    // It becomes a key below /_etcd/machines, so it must be one part of a path.
    if matches!(name.as_str(), "" | "." | "..")
        || name.len() > NAME_BYTES_MAX
        || name.contains(|c: char| c == '/' || c.is_control())
    {
        return Err(Malformed::Name(name));
    }
    let after_scheme = client_url
        .strip_prefix("http://")
        .or_else(|| client_url.strip_prefix("https://"));
    let has_host = after_scheme.is_some_and(|rest| peer_address(rest).is_ok());
    let is_blank = |c: char| c.is_control() || c.is_whitespace();
    if !has_host || client_url.len() > TEXT_BYTES_MAX || client_url.contains(is_blank) {
        return Err(Malformed::ClientUrl(client_url));
    }
    peer_address(&peer_url).map_err(Malformed::PeerUrl)?;
    let Some(id) = parse_id(&id).and_then(MemberId::new) else {
        return Err(Malformed::MemberId(id));
    };
    Ok(Member {
        id,
        name,
        client_url,
        peer_url,
    })
}

fn from_members_json(members: Vec<MemberJson>) -> Result<Vec<Member>, Malformed> {
    members.into_iter().map(from_member_json).collect()
}

fn to_member_list_json(list: &MemberList) -> MemberListJson {
    MemberListJson {
        oxetcd: version(),
        cluster: list.cluster.to_string(),
        members: list.members.iter().map(to_member_json).collect(),
        leader: list.leader.map(|id| id.to_string()),
        settings: serde_json::from_str(&list.settings.to_string()).unwrap_or_default(),
    }
}

fn from_member_list_json(json: MemberListJson) -> Result<MemberList, Malformed> {
    if json.oxetcd != version() {
        return Err(Malformed::Version(json.oxetcd));
    }
    let leader = json.leader.as_deref().and_then(parse_id);
    let settings = json.settings.to_string();
    Ok(MemberList {
        cluster: parse_cluster_id(&json.cluster)?,
        members: from_members_json(json.members)?,
        leader: leader.and_then(MemberId::new),
        settings: Settings::default()
            .with_changes(settings.as_bytes())
            .map_err(Malformed::Settings)?,
    })
}

fn parse_cluster_id(id: &str) -> Result<ClusterId, Malformed> {
    parse_id(id)
        .and_then(ClusterId::new)
        .ok_or_else(|| Malformed::ClusterId(id.to_owned()))
}

/// Parse sixteen hex digits.
fn parse_id(text: &str) -> Option<u64> {
    let is_hex = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| u64::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
#[path = "api_tests.rs"]
mod tests;
