//! Opening a connection between members: what both sides say before the first frame.

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
use super::{ConnectionKind, Local, PROTOCOL_VERSION};
use crate::cluster::{Address, ClusterId, MemberId, peer_address};

/// What the `Upgrade` header asks for.
const PROTOCOL: &str = "oxetcd";

/// How long opening a connection may take in all.
const DIAL_TIMEOUT: Duration = Duration::from_secs(3);

/// How much of a refusal is shown.
const REFUSAL_BYTES_MAX: usize = 1024;

/// The longest name a peer may have.
const NAME_BYTES_MAX: usize = 1024;

const VERSION: HeaderName = HeaderName::from_static("oxetcd-version");
const CLUSTER: HeaderName = HeaderName::from_static("oxetcd-cluster");
const FROM: HeaderName = HeaderName::from_static("oxetcd-from");
const NAME: HeaderName = HeaderName::from_static("oxetcd-name");
const AT: HeaderName = HeaderName::from_static("oxetcd-at");
const TO: HeaderName = HeaderName::from_static("oxetcd-to");
const NUMBER: HeaderName = HeaderName::from_static("oxetcd-connection");

/// An open connection between members.
pub(super) struct Connection {
    /// Its bytes.
    pub(super) io: TokioIo<Upgraded>,
    /// The direction from us to the peer.
    pub(super) link: Link,
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum DialError {
    /// Nothing there that speaks our language.
    Failed(Failure),
    /// The other side said no, and why.
    Refused(String),
    /// It is a member of our cluster and knows that we are none any more.
    Removed,
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(failure) => failure.fmt(f),
            Self::Refused(why) => write!(f, "it refuses us: {why}"),
            Self::Removed => f.write_str("it says that we were removed from the cluster"),
        }
    }
}

impl From<Failure> for DialError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Open a connection of this kind to member `to` at `address`.
pub(super) async fn dial(
    local: &Local,
    to: MemberId,
    address: &Address,
    kind: ConnectionKind,
) -> Result<Connection, DialError> {
    timeout(DIAL_TIMEOUT, open(local, to, address, kind))
        .await
        .unwrap_or_else(|_| Err(Failure::Unreachable(super::timed_out("its answer")).into()))
}

async fn open(
    local: &Local,
    to: MemberId,
    address: &Address,
    kind: ConnectionKind,
) -> Result<Connection, DialError> {
    let mut request = Request::new(Full::<Bytes>::default());
    *request.uri_mut() = hyper::Uri::from_static(local.paths.get(kind));
    *request.headers_mut() = greeting(local, to);
    let response = http::open(&local.tls, address, request).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(refusal(local, response).await);
    }
    let number = response.headers().get(NUMBER).and_then(hex);
    let Some(connection) = number.filter(|_| speaks_ours(response.headers())) else {
        let what = "it switches to a protocol that is not ours";
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

async fn refusal(local: &Local, response: Response<hyper::body::Incoming>) -> DialError {
    let status = response.status();
    let ours = response.headers().contains_key(VERSION);
    let cluster = response.headers().get(CLUSTER).and_then(hex);
    if ours && status == StatusCode::GONE && cluster == Some(local.cluster.get()) {
        return DialError::Removed;
    }
    let text = match http::read_body(response.into_body(), REFUSAL_BYTES_MAX).await {
        Ok(body) => String::from_utf8_lossy(&body).trim().to_owned(),
        Err(_) => String::new(),
    };
    if ours && !text.is_empty() {
        return DialError::Refused(text);
    }
    // Some other server's error page says nothing to the reader of a log.
    DialError::Failed(Failure::Answer(format!(
        "it answers {status}: no oxetcd peer port is there"
    )))
}

/// Who calls, as its request says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    /// Its identity.
    pub(super) id: MemberId,
    /// Its name.
    pub(super) name: String,
    /// Its peer URL, if it says one that can be one.
    pub(super) at: Option<String>,
}

/// Why a caller is turned away: a status and a sentence for the caller's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal(pub(super) StatusCode, pub(super) String);

fn greeting(local: &Local, to: MemberId) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let name = utf8_percent_encode(&local.name, NON_ALPHANUMERIC).to_string();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static(PROTOCOL));
    headers.insert(VERSION, HeaderValue::from(u16::from(PROTOCOL_VERSION)));
    for (header, value) in [
        (CLUSTER, local.cluster.to_string()),
        (FROM, local.id.to_string()),
        (NAME, name),
        (AT, local.peer_url.clone()),
        (TO, to.to_string()),
    ] {
        // Hex digits, percent-encoded text and URLs always make a header.
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(header, value);
        }
    }
    headers
}

/// Who calls, if the request is for `local` and comes from another member of its cluster.
pub(super) fn check(local: &Local, headers: &HeaderMap) -> Result<Caller, Refusal> {
    let refuse = |status, why: String| Err(Refusal(status, why));
    if !speaks_ours(headers) {
        let why = "this page is for members of the cluster only".to_owned();
        return refuse(StatusCode::UPGRADE_REQUIRED, why);
    }
    let version = headers.get(VERSION).and_then(|value| value.to_str().ok());
    if version != Some(PROTOCOL_VERSION.to_string().as_str()) {
        let shown = version.unwrap_or("none");
        let why = format!("it speaks version {PROTOCOL_VERSION}, we speak version {shown}");
        return refuse(StatusCode::UPGRADE_REQUIRED, why);
    }
    let id = |name: &HeaderName| headers.get(name).and_then(hex);
    let caller = id(&FROM).and_then(MemberId::new);
    let cluster = id(&CLUSTER).and_then(ClusterId::new);
    let (Some(caller), Some(cluster), Some(to)) = (caller, cluster, id(&TO)) else {
        let why = "the request does not say who calls whom".to_owned();
        return refuse(StatusCode::BAD_REQUEST, why);
    };
    if cluster != local.cluster {
        let why = format!(
            "it belongs to cluster {}, we belong to cluster {cluster}",
            local.cluster
        );
        return refuse(StatusCode::PRECONDITION_FAILED, why);
    }
    if to != local.id.get() {
        let why = format!(
            "it is {} ({}), not the member {to:016x} that we look for",
            local.name, local.id
        );
        return refuse(StatusCode::CONFLICT, why);
    }
    if caller == local.id {
        let why = "it has the very id that we have".to_owned();
        return refuse(StatusCode::CONFLICT, why);
    }
    Ok(Caller {
        id: caller,
        name: name(headers).unwrap_or_else(|| caller.to_string()),
        at: at(headers),
    })
}

/// The answer that turns the connection into one of ours.
pub(super) fn accept(connection: u64) -> Response<Full<Bytes>> {
    let mut response = answer(StatusCode::SWITCHING_PROTOCOLS, String::new());
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static(PROTOCOL));
    if let Ok(number) = HeaderValue::try_from(format!("{connection:016x}")) {
        headers.insert(NUMBER, number);
    }
    response
}

/// The answer that turns a caller away.
pub(super) fn refuse(refusal: Refusal) -> Response<Full<Bytes>> {
    let Refusal(status, why) = refusal;
    let mut response = answer(status, why + "\n");
    if status == StatusCode::UPGRADE_REQUIRED {
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static(PROTOCOL));
    }
    response
}

/// The answer to a caller that was a member of `local`'s cluster and was removed.
pub(super) fn say_removed(local: &Local) -> Response<Full<Bytes>> {
    let text = "the member of this id was removed from the cluster\n".to_owned();
    let mut response = answer(StatusCode::GONE, text);
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

fn speaks_ours(headers: &HeaderMap) -> bool {
    headers
        .get(UPGRADE)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(PROTOCOL.as_bytes()))
}

/// Sixteen hex digits, as ids are shown.
fn hex(value: &HeaderValue) -> Option<u64> {
    let text = value.to_str().ok()?;
    // The standard parser would take a plus sign.
    let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| u64::from_str_radix(text, 16).ok()).flatten()
}

/// Where the caller is reached.
fn at(headers: &HeaderMap) -> Option<String> {
    let url = headers.get(AT)?.to_str().ok()?;
    peer_address(url).is_ok().then(|| url.to_owned())
}

/// The caller's name, safe to show.
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
    fn a_member_is_let_in_by_name() {
        let (us, them) = (local(7, 1, "us"), local(7, 2, "ein Döner/%\r\n"));
        let caller = check(&us, &greeting(&them, us.id)).expect("let in");
        assert_eq!(caller.id, them.id);
        // A name that would forge lines of the log is not shown.
        assert_eq!(caller.name, them.id.to_string());
        let them = local(7, 2, "ein Döner");
        let caller = check(&us, &greeting(&them, us.id)).expect("let in");
        assert_eq!(caller.name, "ein Döner");
        assert_eq!(caller.at.as_deref(), Some("http://10.0.0.2:7001"));
        let mut nowhere = greeting(&them, us.id);
        nowhere.insert(AT, HeaderValue::from_static("no address"));
        assert_eq!(check(&us, &nowhere).expect("let in").at, None);
    }

    #[test]
    fn strangers_are_told_why_not() {
        let us = local(7, 1, "us");
        let them = local(7, 2, "them");
        let why = |headers: &HeaderMap| check(&us, headers).expect_err("refused");

        let foreign = why(&greeting(&local(8, 2, "x"), us.id));
        assert_eq!(foreign.0, StatusCode::PRECONDITION_FAILED);
        assert!(foreign.1.contains("0000000000000008"), "{}", foreign.1);

        assert_eq!(why(&greeting(&them, them.id)).0, StatusCode::CONFLICT);
        assert_eq!(why(&greeting(&us, us.id)).0, StatusCode::CONFLICT);
        assert_eq!(why(&HeaderMap::new()).0, StatusCode::UPGRADE_REQUIRED);

        let mut newer = greeting(&them, us.id);
        newer.insert(VERSION, HeaderValue::from_static("2"));
        assert_eq!(why(&newer).0, StatusCode::UPGRADE_REQUIRED);
        for header in [CLUSTER, FROM, TO] {
            let mut headers = greeting(&them, us.id);
            headers.insert(header.clone(), HeaderValue::from_static("+00000000000000f"));
            assert!(check(&us, &headers).is_err(), "{header}");
            headers.remove(header);
            assert_eq!(why(&headers).0, StatusCode::BAD_REQUEST);
        }
    }
}
