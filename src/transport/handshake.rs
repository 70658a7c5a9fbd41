//! The handshake of a connection between members: an HTTP request to upgrade, and its answer.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue, UPGRADE};
use hyper::upgrade::Upgraded;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use tokio::time::timeout;

use super::frame::Link;
use super::http::{self, Failure};
use super::refusal::{ACCEPTED, Refusal};
use super::{ConnectionKind, Local, PROTOCOL_VERSION};
use crate::cluster::{Address, ClusterId, MemberId, peer_address};

/// The protocol in the `Upgrade` header.
const PROTOCOL: &str = "oxetcd";

/// The timeout for opening a connection, from name lookup to the answer.
const DIAL_TIMEOUT: Duration = Duration::from_secs(3);

/// How many bytes of a refusal's reason are logged.
const REFUSAL_BYTES_MAX: usize = 1024;

/// The longest name of a peer, in bytes.
const NAME_BYTES_MAX: usize = 1024;

const VERSION: HeaderName = HeaderName::from_static("oxetcd-version");
const CLUSTER: HeaderName = HeaderName::from_static("oxetcd-cluster");
const FROM: HeaderName = HeaderName::from_static("oxetcd-from");
const NAME: HeaderName = HeaderName::from_static("oxetcd-name");
const PEER_URL: HeaderName = HeaderName::from_static("oxetcd-at");
const TO: HeaderName = HeaderName::from_static("oxetcd-to");
const NUMBER: HeaderName = HeaderName::from_static("oxetcd-connection");

/// An open connection between members.
pub(super) struct Connection {
    /// The byte stream.
    pub(super) io: TokioIo<Upgraded>,
    /// The direction from this member to the peer.
    pub(super) link: Link,
}

/// Why a connection could not be opened.
#[derive(Debug)]
pub(super) enum DialError {
    /// The address cannot be reached, or no oxetcd peer port answered.
    Failed(Failure),
    /// The peer refused the connection, with this reason.
    Refused(String),
    /// The peer is a member of the same cluster, and reports that this member was removed from it.
    Removed,
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(failure) => failure.fmt(f),
            Self::Refused(reason) => write!(f, "connection refused by the peer: {reason}"),
            Self::Removed => {
                f.write_str("the peer reports that this member was removed from the cluster")
            }
        }
    }
}

impl From<Failure> for DialError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Open a connection of this kind to member `to` at `address`.
///
/// # Errors
///
/// - [`DialError::Failed`]: the address cannot be reached, the answer did not come in time, or it is not
///   that of an oxetcd peer port.
/// - [`DialError::Refused`]: the peer refused the connection.
/// - [`DialError::Removed`]: the peer reports that this member was removed from the cluster.
pub(super) async fn dial(
    local: &Local,
    to: MemberId,
    address: &Address,
    kind: ConnectionKind,
) -> Result<Connection, DialError> {
    timeout(DIAL_TIMEOUT, open(local, to, address, kind))
        .await
        .unwrap_or_else(|_| {
            Err(Failure::Unreachable(super::timed_out("waiting for the answer")).into())
        })
}

async fn open(
    local: &Local,
    to: MemberId,
    address: &Address,
    kind: ConnectionKind,
) -> Result<Connection, DialError> {
    let mut request = Request::new(Full::<Bytes>::default());
    *request.uri_mut() = hyper::Uri::from_static(local.paths.get(kind));
    *request.headers_mut() = request_headers(local, to);
    let response = http::open(&local.tls, address, request).await?;
    if response.status() != ACCEPTED {
        return Err(read_refusal(local, response).await);
    }
    let number = response.headers().get(NUMBER).and_then(hex);
    let Some(connection) = number.filter(|_| is_upgrade(response.headers())) else {
        let what = "the peer switches to an unknown protocol";
        return Err(Failure::Answer(what.to_owned()).into());
    };
    let upgraded = hyper::upgrade::on(response)
        .await
        .map_err(|error| Failure::Answer(error.to_string()))?;
    Ok(Connection {
        io: TokioIo::new(upgraded),
        link: Link::outgoing(local, to, connection),
    })
}

/// The error that a refusal of the peer stands for.
async fn read_refusal(local: &Local, response: Response<hyper::body::Incoming>) -> DialError {
    let status = response.status();
    let is_peer_port = response.headers().contains_key(VERSION);
    let cluster = response.headers().get(CLUSTER).and_then(hex);
    let is_removed = status == Refusal::Removed.status();
    if is_peer_port && is_removed && cluster == Some(local.cluster.get()) {
        return DialError::Removed;
    }
    let text = match http::read_body(response.into_body(), REFUSAL_BYTES_MAX).await {
        Ok(body) => String::from_utf8_lossy(&body).trim().to_owned(),
        Err(_) => String::new(),
    };
    if is_peer_port && !text.is_empty() {
        return DialError::Refused(text);
    }
    // The error page of another server does not help the reader of a log.
    DialError::Failed(Failure::Answer(format!(
        "not an oxetcd peer port (HTTP status {status})"
    )))
}

/// A peer that opens a connection, as its request names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RemotePeer {
    /// Its id.
    pub(super) id: MemberId,
    /// Its name.
    pub(super) name: String,
    /// Its peer URL, if the request names a valid one.
    pub(super) peer_url: Option<String>,
}

fn request_headers(local: &Local, to: MemberId) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let name = utf8_percent_encode(&local.name, NON_ALPHANUMERIC).to_string();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static(PROTOCOL));
    headers.insert(VERSION, HeaderValue::from(u16::from(PROTOCOL_VERSION)));
    for (header, value) in [
        (CLUSTER, local.cluster.to_string()),
        (FROM, local.id.to_string()),
        (NAME, name),
        (PEER_URL, local.peer_url.clone()),
        (TO, to.to_string()),
    ] {
        // Hex digits, percent-encoded text and URLs are always valid header values.
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(header, value);
        }
    }
    headers
}

/// The peer that sent the request, if the request is for `local` and comes from another member of its
/// cluster.
///
/// # Errors
///
/// - [`Refusal::NotAnUpgrade`]: the request is not an upgrade to the peer protocol.
/// - [`Refusal::Version`]: the sender uses another version of it.
/// - [`Refusal::Incomplete`]: the request does not name its cluster, sender and receiver.
/// - [`Refusal::Cluster`]: the sender belongs to another cluster.
/// - [`Refusal::Receiver`]: the request is for another member.
/// - [`Refusal::OwnId`]: the sender has the id of this member.
pub(super) fn check(local: &Local, headers: &HeaderMap) -> Result<RemotePeer, Refusal> {
    if !is_upgrade(headers) {
        return Err(Refusal::NotAnUpgrade);
    }
    let version = headers.get(VERSION).and_then(|value| value.to_str().ok());
    if version != Some(PROTOCOL_VERSION.to_string().as_str()) {
        return Err(Refusal::Version(version.map(str::to_owned)));
    }
    let id = |name: &HeaderName| headers.get(name).and_then(hex);
    let from = id(&FROM).and_then(MemberId::new);
    let cluster = id(&CLUSTER).and_then(ClusterId::new);
    let (Some(from), Some(cluster), Some(to)) = (from, cluster, id(&TO)) else {
        return Err(Refusal::Incomplete);
    };
    if cluster != local.cluster {
        return Err(Refusal::Cluster {
            own: local.cluster,
            requested: cluster,
        });
    }
    if to != local.id.get() {
        return Err(Refusal::Receiver {
            own: local.id,
            name: local.name.clone(),
            requested: to,
        });
    }
    if from == local.id {
        return Err(Refusal::OwnId(from));
    }
    Ok(RemotePeer {
        id: from,
        name: name(headers).unwrap_or_else(|| from.to_string()),
        peer_url: peer_url(headers),
    })
}

/// The answer that upgrades the connection, with its number.
pub(super) fn accept(connection: u64) -> Response<Full<Bytes>> {
    let mut response = answer(ACCEPTED, String::new());
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static(PROTOCOL));
    if let Ok(number) = HeaderValue::try_from(format!("{connection:016x}")) {
        headers.insert(NUMBER, number);
    }
    response
}

/// The answer that refuses a connection.
pub(super) fn refuse(refusal: &Refusal) -> Response<Full<Bytes>> {
    let mut response = answer(refusal.status(), format!("{refusal}\n"));
    if refusal.names_protocol() {
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static(PROTOCOL));
    }
    response
}

/// The answer to a peer that was removed from `local`'s cluster.
pub(super) fn report_removed(local: &Local) -> Response<Full<Bytes>> {
    let mut response = refuse(&Refusal::Removed);
    if let Ok(cluster) = HeaderValue::try_from(local.cluster.to_string()) {
        response.headers_mut().insert(CLUSTER, cluster);
    }
    response
}

fn answer(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let version = HeaderValue::from(u16::from(PROTOCOL_VERSION));
    response.headers_mut().insert(VERSION, version);
    response
}

fn is_upgrade(headers: &HeaderMap) -> bool {
    headers
        .get(UPGRADE)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(PROTOCOL.as_bytes()))
}

/// Parses an id or number: sixteen hex digits.
fn hex(value: &HeaderValue) -> Option<u64> {
    let text = value.to_str().ok()?;
    // The standard parser also accepts a plus sign.
    let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| u64::from_str_radix(text, 16).ok()).flatten()
}

/// The sender's peer URL, if it is valid.
fn peer_url(headers: &HeaderMap) -> Option<String> {
    let url = headers.get(PEER_URL)?.to_str().ok()?;
    peer_address(url).is_ok().then(|| url.to_owned())
}

/// The sender's name, if it can be logged safely.
fn name(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(NAME)?.to_str().ok()?;
    let name = percent_decode_str(text).decode_utf8().ok()?;
    let plain = !name.is_empty() && name.len() <= NAME_BYTES_MAX;
    (plain && !name.chars().any(char::is_control)).then(|| name.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(cluster: u64, id: u64, name: &str) -> Local {
        Local {
            cluster: ClusterId::new(cluster).expect("not zero"),
            id: MemberId::new(id).expect("not zero"),
            name: name.to_owned(),
            tls: crate::net::tls::Connector::default(),
            peer_url: format!("http://10.0.0.{id}:7001"),
            paths: crate::transport::tests::PATHS,
        }
    }

    #[test]
    fn a_member_is_accepted_with_its_name() {
        let (us, them) = (local(7, 1, "us"), local(7, 2, "ein Döner/%\r\n"));
        let peer = check(&us, &request_headers(&them, us.id)).expect("accepted");
        assert_eq!(peer.id, them.id);
        // A name that could forge log lines is not used.
        assert_eq!(peer.name, them.id.to_string());
        let them = local(7, 2, "ein Döner");
        let peer = check(&us, &request_headers(&them, us.id)).expect("accepted");
        assert_eq!(peer.name, "ein Döner");
        assert_eq!(peer.peer_url.as_deref(), Some("http://10.0.0.2:7001"));
        let mut invalid = request_headers(&them, us.id);
        invalid.insert(PEER_URL, HeaderValue::from_static("no address"));
        assert_eq!(check(&us, &invalid).expect("accepted").peer_url, None);
    }

    #[test]
    fn other_senders_are_refused_with_a_reason() {
        let us = local(7, 1, "us");
        let them = local(7, 2, "them");
        let why = |headers: &HeaderMap| check(&us, headers).expect_err("refused");

        let foreign = why(&request_headers(&local(8, 2, "x"), us.id));
        assert_eq!(foreign.status().as_u16(), 412);
        assert!(
            foreign.to_string().contains("0000000000000008"),
            "{foreign}"
        );

        let status = |headers: &HeaderMap| why(headers).status().as_u16();
        assert_eq!(status(&request_headers(&them, them.id)), 409);
        assert_eq!(status(&request_headers(&us, us.id)), 409);
        assert_eq!(status(&HeaderMap::new()), 426);

        let mut newer = request_headers(&them, us.id);
        newer.insert(VERSION, HeaderValue::from_static("2"));
        assert_eq!(status(&newer), 426);
        for header in [CLUSTER, FROM, TO] {
            let mut headers = request_headers(&them, us.id);
            headers.insert(header.clone(), HeaderValue::from_static("+00000000000000f"));
            assert!(check(&us, &headers).is_err(), "{header}");
            headers.remove(header);
            assert_eq!(status(&headers), 400);
        }
    }
}
