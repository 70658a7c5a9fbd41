//! A single HTTP request to a peer port, to join a cluster or to open a connection.

use std::fmt;
use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{HOST, HeaderMap};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::cluster::Address;
use crate::net::tls::Connector;
use crate::net::{ConnectOptions, connect};

/// The largest body of an answer in bytes; a longer one is a [`Failure::Answer`].
pub const ANSWER_BYTES_MAX: usize = 1 << 20;

/// The timeout for connecting, including the lookup of the host name.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

const CONNECT_OPTIONS: ConnectOptions = ConnectOptions {
    timeout: CONNECT_TIMEOUT,
    keepalive: None,
};

/// Why a request has no valid answer.
#[derive(Debug)]
pub enum Failure {
    /// The address could not be reached, or the answer did not come in time.
    Unreachable(io::Error),
    /// The answer is not HTTP, is too long, or is truncated.
    Answer(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(error) => error.fmt(f),
            Self::Answer(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Failure {}

/// A complete answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, at most [`ANSWER_BYTES_MAX`].
    pub body: Bytes,
}

/// Send one request on a new connection and read the answer, with a timeout for both together.
///
/// The `Host` header is set from `to`, which also determines whether TLS is used; the request's URI is a path.
///
/// # Errors
///
/// - [`Failure::Unreachable`]: the address could not be reached, or the timeout passed.
/// - [`Failure::Answer`]: the answer is not valid HTTP, or longer than [`ANSWER_BYTES_MAX`].
///
/// An answer with an error status is not an error here.
pub async fn request(
    tls: &Connector,
    to: &Address,
    request: Request<Full<Bytes>>,
    time_limit: Duration,
) -> Result<Answer, Failure> {
    let exchange = async {
        let response = open(tls, to, request).await?;
        let (head, body) = response.into_parts();
        let body = read_body(body, ANSWER_BYTES_MAX).await?;
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
        })
    };
    timeout(time_limit, exchange).await.unwrap_or_else(|_| {
        Err(Failure::Unreachable(super::timed_out(
            "waiting for the answer",
        )))
    })
}

/// Send one request on a new connection. The caller reads the body of the answer, or takes the connection
/// over if the answer switches protocols.
pub(super) async fn open(
    tls: &Connector,
    to: &Address,
    mut request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, Failure> {
    let stream = connect(to, tls, CONNECT_OPTIONS)
        .await
        .map_err(|error| Failure::Unreachable(error.into()))?;
    let host = to.to_string().parse();
    let host = host.map_err(|_| Failure::Answer(format!("{to} is not a valid Host header")))?;
    request.headers_mut().insert(HOST, host);
    exchange(stream, request).await
}

async fn exchange<S>(
    stream: S,
    request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| to_failure(&error))?;
    let (end, ended) = oneshot::channel();
    // Ends when the answer has been read, the connection is taken over, or both are dropped.
    tokio::spawn(async move {
        let _ = end.send(connection.with_upgrades().await.err());
    });
    match sender.send_request(request).await {
        Ok(response) => Ok(response),
        // The error of the connection is more precise, for example if TLS was refused.
        Err(error) => Err(to_failure(&ended.await.ok().flatten().unwrap_or(error))),
    }
}

/// Read a body of at most `bytes_max` bytes.
///
/// # Errors
///
/// - [`Failure::Unreachable`]: the connection was closed.
/// - [`Failure::Answer`]: the body is longer, or not valid HTTP.
pub(crate) async fn read_body(mut body: Incoming, bytes_max: usize) -> Result<Bytes, Failure> {
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| to_failure(&error))?;
        if let Ok(part) = frame.into_data() {
            if read.len() + part.len() > bytes_max {
                let what = format!("the answer is longer than {bytes_max} bytes");
                return Err(Failure::Answer(what));
            }
            read.extend_from_slice(&part);
        }
    }
    Ok(read.freeze())
}

/// A closed connection is [`Failure::Unreachable`], anything else is not valid HTTP.
fn to_failure(error: &hyper::Error) -> Failure {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    if let Some(error) = cause.downcast_ref::<io::Error>() {
        return Failure::Unreachable(io::Error::new(error.kind(), error.to_string()));
    }
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        let kind = io::ErrorKind::ConnectionAborted;
        return Failure::Unreachable(io::Error::new(kind, "the connection was closed"));
    }
    Failure::Answer(format!("not a valid HTTP answer: {error}"))
}
