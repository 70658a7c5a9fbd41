//! A response as HTTP delivers it.

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::{HeaderMap, StatusCode};

use super::error::{Cause, Failure};

/// The longest body that is read, in bytes; a longer one is a failure.
const BODY_BYTES_MAX: usize = 256 << 20;

/// A whole response.
pub(super) struct Response {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Response {
    /// Whether the request is to be sent to the `Location`. To 301 and 302 a client may react with GET, which
    /// would be wrong for a write; 303 is not used by the API.
    pub(super) fn is_redirect(&self) -> bool {
        matches!(self.status.as_u16(), 301 | 302 | 307 | 308)
    }

    /// Read a response to its end.
    ///
    /// # Errors
    ///
    /// [`Cause::Interrupted`] if the body is incomplete or too long.
    pub(super) async fn read(response: hyper::Response<Incoming>) -> Result<Self, Failure> {
        let (parts, body) = response.into_parts();
        match Limited::new(body, BODY_BYTES_MAX).collect().await {
            Ok(body) => Ok(Self {
                status: parts.status,
                headers: parts.headers,
                body: body.to_bytes(),
            }),
            Err(error) => Err(Failure {
                index: read_number(&parts.headers, "x-etcd-index"),
                ..Failure::sent(Cause::Interrupted(error.to_string()))
            }),
        }
    }
}

/// The number in a header.
pub(super) fn read_number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}
