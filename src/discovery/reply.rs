//! Responses: status numbers and headers. The only file of this service that names status numbers.

use bytes::Bytes;
use hyper::header::{
    ALLOW, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER,
};
use hyper::{Response, StatusCode};

use crate::client::Answer;
use crate::http::Body;

/// A response.
pub(super) type Reply = Response<Body>;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The welcome page neither runs scripts nor loads anything.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'",
);

/// A page of plain text.
pub(super) fn text(text: impl Into<Bytes>) -> Reply {
    plain(StatusCode::OK, text)
}

/// A page of HTML.
pub(super) fn html(text: impl Into<Bytes>) -> Reply {
    let mut reply = page(StatusCode::OK, HTML, text);
    let headers = reply.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    reply
}

/// The request is not valid.
pub(super) fn bad_request(why: impl Into<Bytes>) -> Reply {
    plain(StatusCode::BAD_REQUEST, why)
}

/// There is no such page.
pub(super) fn not_found() -> Reply {
    plain(StatusCode::NOT_FOUND, "there is no such page\n")
}

/// There is no such key, as the keys API responds.
pub(super) fn key_not_found(key: &str) -> Reply {
    let json = format!(
        "{{\"errorCode\":100,\"message\":\"Key not found\",\"cause\":\"{key}\",\"index\":0}}\n"
    );
    page(StatusCode::NOT_FOUND, JSON, json)
}

/// The page does not support this method; `allow` are those it supports.
pub(super) fn not_allowed(allow: &'static str) -> Reply {
    let mut reply = plain(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("allowed: {allow}\n"),
    );
    let allow = HeaderValue::from_static(allow);
    reply.headers_mut().insert(ALLOW, allow);
    reply
}

/// The tokens cannot be read or written at present.
pub(super) fn unavailable(why: impl Into<Bytes>) -> Reply {
    let mut reply = plain(StatusCode::SERVICE_UNAVAILABLE, why);
    let seconds = HeaderValue::from_static("1");
    reply.headers_mut().insert(RETRY_AFTER, seconds);
    reply
}

/// The response of a cluster, forwarded.
pub(super) fn forwarded(answer: Answer) -> Reply {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut reply = page(status, JSON, answer.body);
    let headers = reply.headers_mut();
    for (name, number) in [
        ("x-etcd-index", answer.index),
        ("x-raft-index", answer.raft_index),
        ("x-raft-term", answer.raft_term),
    ] {
        if let Some(number) = number {
            headers.insert(HeaderName::from_static(name), HeaderValue::from(number));
        }
    }
    reply
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
