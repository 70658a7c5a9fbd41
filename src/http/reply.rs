//! Responses: status numbers, headers and JSON. The only file of this server that names status numbers.

use std::cell::OnceCell;

use bytes::{BufMut, Bytes, BytesMut};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use hyper::{Response, StatusCode};
use jiff::Timestamp;

use super::body::Body;
use super::json;
use super::params::Rejection;
use crate::cluster::{Refusal, RefusalKind};
use crate::consensus::{AppliedState, Position, Refused};
use crate::membership::api::{self, MemberPage};
use crate::store::{self, Action, ClusterTime, Code, Event, Listing, NodeView};

/// A response.
pub(super) type Reply = Response<Body>;

const ETCD_INDEX: HeaderName = HeaderName::from_static("x-etcd-index");
const RAFT_INDEX: HeaderName = HeaderName::from_static("x-raft-index");
const RAFT_TERM: HeaderName = HeaderName::from_static("x-raft-term");

/// The `Server` header of every response.
pub(super) const SERVER_NAME: HeaderValue =
    HeaderValue::from_static(concat!("oxetcd/", env!("CARGO_PKG_VERSION")));

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// Converts deadlines on the cluster's clock to wall-clock time.
pub(super) struct Clock {
    cluster: ClusterTime,
    wall: OnceCell<Timestamp>,
}

impl Clock {
    /// Both clocks at the same moment; the wall clock is only read if a node has a deadline.
    pub(super) fn new(view: &AppliedState) -> Self {
        Self::at(view.now(), None)
    }

    fn at(cluster: ClusterTime, wall: Option<Timestamp>) -> Self {
        Self {
            cluster,
            wall: wall.map(OnceCell::from).unwrap_or_default(),
        }
    }

    /// The cluster's time.
    pub(super) fn now(&self) -> ClusterTime {
        self.cluster
    }

    fn wall(&self, deadline: ClusterTime) -> Timestamp {
        let now = *self.wall.get_or_init(Timestamp::now);
        let (ahead, behind) = (deadline.since(self.cluster), self.cluster.since(deadline));
        // Beyond the largest timestamp: the largest timestamp.
        let then = now
            .checked_add(ahead)
            .and_then(|then| then.checked_sub(behind));
        then.unwrap_or(Timestamp::MAX)
    }
}

/// The response to a read.
pub(super) fn listing(listing: &Listing, position: Position, clock: &Clock) -> Reply {
    let mut out = BytesMut::with_capacity(256);
    out.extend_from_slice(b"{\"action\":\"get\",\"node\":");
    list(&mut out, listing, clock);
    out.put_u8(b'}');
    indexed(StatusCode::OK, position, Body::whole(out.freeze()))
}

/// The response to a write.
pub(super) fn changed(event: &Event, position: Position, clock: &Clock) -> Reply {
    let status = if event.created() {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    indexed(status, position, Body::whole(event_json(event, clock)))
}

/// The response to a watch, with `events` as its body.
pub(super) fn watching(position: Position, events: Body) -> Reply {
    indexed(StatusCode::OK, position, events)
}

/// An event as JSON, without a line end.
pub(super) fn event_json(event: &Event, clock: &Clock) -> Bytes {
    let mut out = BytesMut::with_capacity(256);
    out.extend_from_slice(b"{\"action\":\"");
    out.extend_from_slice(action(event.action).as_bytes());
    out.extend_from_slice(b"\",\"node\":");
    node(&mut out, &event.node, &[], clock);
    if let Some(prev_node) = &event.prev_node {
        out.extend_from_slice(b",\"prevNode\":");
        node(&mut out, prev_node, &[], clock);
    }
    out.put_u8(b'}');
    out.freeze()
}

/// An error of the store.
pub(super) fn error(error: &store::Error) -> Reply {
    let status = match error.code {
        Code::KeyNotFound => StatusCode::NOT_FOUND,
        Code::TestFailed | Code::NodeExists => StatusCode::PRECONDITION_FAILED,
        Code::NotFile | Code::Reserved | Code::DirectoryNotEmpty => StatusCode::FORBIDDEN,
        Code::NotDirectory
        | Code::RootReadOnly
        | Code::PrevValueRequired
        | Code::TtlNotANumber
        | Code::IndexNotANumber
        | Code::ValueOrTtlRequired
        | Code::InvalidField
        | Code::InvalidForm
        | Code::ValueOnRefresh
        | Code::TtlRequiredOnRefresh
        | Code::EventIndexCleared => StatusCode::BAD_REQUEST,
        Code::RaftInternal | Code::LeaderElection => StatusCode::SERVICE_UNAVAILABLE,
    };
    failed(status, error)
}

/// The response to a request that is not valid.
pub(super) fn rejected(rejection: Rejection, index: u64) -> Reply {
    let (code, cause) = match rejection {
        Rejection::Form(why) => (Code::InvalidForm, why),
        Rejection::Flag(name) => (Code::InvalidField, format!("invalid value for \"{name}\"")),
        Rejection::Ttl(operation) => (Code::TtlNotANumber, operation.to_owned()),
        Rejection::Index(operation) => (Code::IndexNotANumber, operation.to_owned()),
        Rejection::PrevValue(operation) => (Code::PrevValueRequired, operation.to_owned()),
        Rejection::ValueOrTtl => (Code::ValueOrTtlRequired, "Update".to_owned()),
        Rejection::RefreshValue => (
            Code::ValueOnRefresh,
            "A value was provided on a refresh".to_owned(),
        ),
        Rejection::RefreshTtl => (Code::TtlRequiredOnRefresh, "No TTL value set".to_owned()),
        Rejection::BodyType => {
            let cause =
                "the content type must be application/x-www-form-urlencoded or multipart/form-data";
            return unread(StatusCode::UNSUPPORTED_MEDIA_TYPE, cause.to_owned(), index);
        }
        Rejection::TooLarge(bytes_max) => {
            let cause = format!("the body is longer than {bytes_max} bytes");
            return unread(StatusCode::PAYLOAD_TOO_LARGE, cause, index);
        }
        Rejection::Slow => {
            let cause = "timeout while reading the body".to_owned();
            return unread(StatusCode::REQUEST_TIMEOUT, cause, index);
        }
    };
    error(&store::Error { code, cause, index })
}

/// The response to a request that the cluster did not carry out.
pub(super) fn refused(refused: Refused, index: u64) -> Reply {
    let cause = match refused {
        Refused::NoLeader => "there is no leader; the request was not carried out",
        Refused::Unanswered => "timeout; a write may still be applied",
        Refused::Busy => "too many requests are waiting; the request was not carried out",
        Refused::Stopping => "this member is stopping; a write may still be applied",
    };
    let cause = cause.to_owned();
    unavailable(&store::Error {
        code: Code::RaftInternal,
        cause,
        index,
    })
}

/// The response of pages about the leader when there is none.
pub(super) fn leaderless(index: u64) -> Reply {
    unavailable(&store::Error {
        code: Code::LeaderElection,
        cause: String::new(),
        index,
    })
}

/// The response when this member cannot make the page.
pub(super) fn unmade(index: u64) -> Reply {
    let cause = "internal error of this member; retry the request".to_owned();
    unavailable(&store::Error {
        code: Code::RaftInternal,
        cause,
        index,
    })
}

/// The refusal of a change to the cluster, on an administration page about what is at `key`.
pub(super) fn refused_change(refusal: &Refusal, key: &str, index: u64) -> Reply {
    let (code, cause) = match refusal.kind() {
        RefusalKind::UnknownMember => (Code::KeyNotFound, key.to_owned()),
        RefusalKind::Invalid => (Code::InvalidForm, refusal.to_string()),
        RefusalKind::Full
        | RefusalKind::Conflict
        | RefusalKind::Removed
        | RefusalKind::ForeignCluster
        | RefusalKind::NotLeader
        | RefusalKind::Unavailable => (Code::RaftInternal, refusal.to_string()),
    };
    let mut reply = failed(status(refusal), &store::Error { code, cause, index });
    retry_later(&mut reply, refusal);
    reply
}

/// The same on 2.x's pages of members, whose errors have another form.
pub(super) fn refused_member(refusal: &Refusal, id: &str) -> Reply {
    let message = match refusal.kind() {
        RefusalKind::UnknownMember => format!("No such member: {id}"),
        RefusalKind::Invalid
        | RefusalKind::Full
        | RefusalKind::Conflict
        | RefusalKind::Removed
        | RefusalKind::ForeignCluster
        | RefusalKind::NotLeader
        | RefusalKind::Unavailable => refusal.to_string(),
    };
    let mut out = BytesMut::from("{\"message\":");
    json::string(&mut out, message.as_bytes());
    out.extend_from_slice(b"}\n");
    page(status(refusal), JSON, out.freeze())
}

/// The refusal of a request to join.
pub(super) fn join_refused(refusal: &Refusal) -> Reply {
    let mut reply = page(status(refusal), JSON, api::encode_refusal(refusal));
    if let Refusal::NotLeader {
        leader: Some(leader),
    } = refusal
        && let Ok(location) = HeaderValue::try_from(format!("{leader}{}", MemberPage::Join.path()))
    {
        reply.headers_mut().insert(LOCATION, location);
    }
    retry_later(&mut reply, refusal);
    reply
}

/// The answer to another method than `allow` on the page for requests to join.
pub(super) fn join_not_allowed(allow: &'static str) -> Reply {
    let refusal = Refusal::Invalid(format!("only {allow} is allowed here"));
    let json = api::encode_refusal(&refusal);
    let mut reply = page(StatusCode::METHOD_NOT_ALLOWED, JSON, json);
    let allow = HeaderValue::from_static(allow);
    reply.headers_mut().insert(ALLOW, allow);
    reply
}

/// The status of a refusal, as the peer port's client reads it.
fn status(refusal: &Refusal) -> StatusCode {
    let number = api::to_status(refusal.kind());
    StatusCode::from_u16(number).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Ask the client to retry, if the refusal may be over soon.
fn retry_later(reply: &mut Reply, refusal: &Refusal) {
    if refusal.kind() == RefusalKind::Unavailable {
        let seconds = HeaderValue::from_static("1");
        reply.headers_mut().insert(RETRY_AFTER, seconds);
    }
}

/// Success without content.
pub(super) fn done() -> Reply {
    let mut reply = empty();
    *reply.status_mut() = StatusCode::NO_CONTENT;
    reply
}

/// Forbidden, without content.
pub(super) fn forbidden() -> Reply {
    let mut reply = empty();
    *reply.status_mut() = StatusCode::FORBIDDEN;
    reply
}

/// Whether the connection is no longer HTTP once this is sent.
pub(super) fn upgrades(reply: &Reply) -> bool {
    reply.status() == StatusCode::SWITCHING_PROTOCOLS
}

/// The response to send instead of `head`, if `head` is hyper's own response to a malformed request: an error
/// without a body and without the `Server` header that every other response has.
pub(super) fn malformed(head: &[u8], index: impl FnOnce() -> u64) -> Option<Bytes> {
    let code = head.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
    let (line, cause) = match code {
        b"400" => ("400 Bad Request", "not a valid HTTP/1.1 request"),
        b"414" => ("414 URI Too Long", "the request line is too long"),
        b"431" => (
            "431 Request Header Fields Too Large",
            "the headers are too long or too many",
        ),
        _ => return None,
    };
    // Neither JSON nor its framing contains such a line, so no part of a body is mistaken for a head.
    let has = |line: &[u8]| {
        head.windows(line.len())
            .any(|text| text.eq_ignore_ascii_case(line))
    };
    if !has(b"\r\ncontent-length: 0\r\n") || has(b"\r\nserver: ") {
        return None;
    }
    let index = index();
    let error = store::Error {
        code: Code::InvalidForm,
        cause: cause.to_owned(),
        index,
    };
    let body = error_json(&error);
    let mut out = BytesMut::from("HTTP/1.1 ");
    let headers = [
        ("Content-Type", "application/json".to_owned()),
        ("X-Etcd-Index", index.to_string()),
        (
            "Server",
            SERVER_NAME.to_str().unwrap_or_default().to_owned(),
        ),
        ("Connection", "close".to_owned()),
        ("Content-Length", body.len().to_string()),
    ];
    out.extend_from_slice(line.as_bytes());
    for (name, value) in headers {
        out.extend_from_slice(format!("\r\n{name}: {value}").as_bytes());
    }
    out.extend_from_slice(b"\r\n\r\n");
    out.extend_from_slice(&body);
    Some(out.freeze())
}

/// A page of plain text.
pub(super) fn text(text: impl Into<Bytes>) -> Reply {
    plain(StatusCode::OK, text)
}

/// A page of JSON.
pub(super) fn json(text: impl Into<Bytes>) -> Reply {
    page(StatusCode::OK, JSON, text)
}

/// The health page.
pub(super) fn health(healthy: bool, text: impl Into<Bytes>) -> Reply {
    let status = if healthy {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    page(status, JSON, text)
}

/// Success with an empty body; the response to OPTIONS.
pub(super) fn empty() -> Reply {
    Response::new(Body::whole(Bytes::new()))
}

/// There is no such page.
pub(super) fn not_found() -> Reply {
    plain(StatusCode::NOT_FOUND, "404 page not found\n")
}

/// The page does not support this method; `allow` are those it supports.
pub(super) fn not_allowed(allow: &'static str) -> Reply {
    let mut reply = plain(StatusCode::METHOD_NOT_ALLOWED, "405 method not allowed\n");
    reply
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allow));
    reply
}

/// Redirect the request, with the same method; none if `url` is not valid in a header.
pub(super) fn redirect(url: &str) -> Option<Reply> {
    let location = HeaderValue::from_str(url).ok()?;
    let mut reply = empty();
    *reply.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    reply.headers_mut().insert(LOCATION, location);
    Some(reply)
}

/// Append a time as in RFC 3339: UTC, without trailing zeros of the nanoseconds.
fn time(out: &mut BytesMut, time: Timestamp) {
    out.put_u8(b'"');
    out.extend_from_slice(time.to_string().as_bytes());
    out.put_u8(b'"');
}

fn indexed(status: StatusCode, position: Position, body: Body) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.reserve(5);
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(ETCD_INDEX, HeaderValue::from(position.index));
    headers.insert(RAFT_INDEX, HeaderValue::from(position.raft_index));
    headers.insert(RAFT_TERM, HeaderValue::from(position.raft_term));
    reply
}

fn unread(status: StatusCode, cause: String, index: u64) -> Reply {
    failed(
        status,
        &store::Error {
            code: Code::InvalidForm,
            cause,
            index,
        },
    )
}

fn unavailable(failure: &store::Error) -> Reply {
    let mut reply = error(failure);
    reply
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from_static("1"));
    reply
}

fn failed(status: StatusCode, error: &store::Error) -> Reply {
    let mut reply = page(status, JSON, error_json(error));
    reply
        .headers_mut()
        .insert(ETCD_INDEX, HeaderValue::from(error.index));
    reply
}

fn error_json(error: &store::Error) -> Bytes {
    let mut out = BytesMut::with_capacity(128);
    out.extend_from_slice(b"{\"errorCode\":");
    json::integer(&mut out, error.code.number().into());
    out.extend_from_slice(b",\"message\":");
    json::string(&mut out, error.code.message().as_bytes());
    if !error.cause.is_empty() {
        out.extend_from_slice(b",\"cause\":");
        json::string(&mut out, error.cause.as_bytes());
    }
    out.extend_from_slice(b",\"index\":");
    json::integer(&mut out, error.index);
    out.extend_from_slice(b"}\n");
    out.freeze()
}

fn plain(status: StatusCode, text: impl Into<Bytes>) -> Reply {
    page(status, TEXT, text)
}

fn page(status: StatusCode, content_type: HeaderValue, text: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Body::whole(text));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, content_type);
    reply
}

fn action(action: Action) -> &'static str {
    match action {
        Action::Get => "get",
        Action::Set => "set",
        Action::Create => "create",
        Action::Update => "update",
        Action::Delete => "delete",
        Action::CompareAndSwap => "compareAndSwap",
        Action::CompareAndDelete => "compareAndDelete",
        Action::Expire => "expire",
    }
}

fn list(out: &mut BytesMut, listing: &Listing, clock: &Clock) {
    node(out, &listing.node, &listing.nodes, clock);
}

/// Append a node with the nodes listed below it. The recursion is bounded: keys have at most 128 levels.
fn node(out: &mut BytesMut, node: &NodeView, below: &[Listing], clock: &Clock) {
    out.extend_from_slice(b"{\"key\":");
    json::string(out, node.path.text().as_bytes());
    if let Some(value) = &node.value {
        out.extend_from_slice(b",\"value\":");
        json::string(out, value);
    }
    if node.directory {
        out.extend_from_slice(b",\"dir\":true");
    }
    if let Some(deadline) = node.deadline {
        out.extend_from_slice(b",\"expiration\":");
        time(out, clock.wall(deadline));
    }
    count(out, b",\"ttl\":", node.ttl);
    for (index, listing) in below.iter().enumerate() {
        out.extend_from_slice(if index == 0 {
            b",\"nodes\":[".as_slice()
        } else {
            b","
        });
        list(out, listing, clock);
    }
    if !below.is_empty() {
        out.put_u8(b']');
    }
    count(out, b",\"modifiedIndex\":", node.modified);
    count(out, b",\"createdIndex\":", node.created);
    out.put_u8(b'}');
}

/// Append a number, unless it is zero.
fn count(out: &mut BytesMut, name: &[u8], number: u64) {
    if number != 0 {
        out.extend_from_slice(name);
        json::integer(out, number);
    }
}

#[cfg(test)]
#[path = "reply_tests.rs"]
mod tests;
