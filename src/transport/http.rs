//! One HTTP request to a peer port: enough to join, and to open connections.

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

/// The largest answer that is read; a longer one is a [`Failure::Answer`].
pub const ANSWER_BYTES_MAX: usize = 1 << 20;

/// How long opening a connection may take, the name's lookup included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

const CONNECT_OPTIONS: ConnectOptions = ConnectOptions {
    timeout: CONNECT_TIMEOUT,
    keepalive: None,
};

/// Why a request got no answer that could be read.
#[derive(Debug)]
pub enum Failure {
    /// Nobody could be reached there, or not in time.
    Unreachable(io::Error),
    /// What came back is no HTTP, too long, or was cut off.
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

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, at most [`ANSWER_BYTES_MAX`].
    pub body: Bytes,
}

/// Send one request on a connection of its own and read the answer, all within `patience`.
///
/// The `Host` header is set from `to`, which also says whether to speak TLS; the request's URI is a path.
///
/// # Errors
///
/// [`Failure`]. Whatever the status, an answer that could be read is no error here.
pub async fn request(
    tls: &Connector,
    to: &Address,
    request: Request<Full<Bytes>>,
    patience: Duration,
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
    timeout(patience, exchange)
        .await
        .unwrap_or_else(|_| Err(Failure::Unreachable(super::timed_out("the answer"))))
}

/// Send one request on a connection of its own; the answer's body, or the connection itself if the
/// answer switches protocols, is still to be read.
pub(super) async fn open(
    tls: &Connector,
    to: &Address,
    mut request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, Failure> {
    let stream = connect(to, tls, CONNECT_OPTIONS)
        .await
        .map_err(|error| Failure::Unreachable(error.into()))?;
    let host = to.to_string().parse();
    let host = host.map_err(|_| Failure::Answer(format!("{to} makes no Host header")))?;
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
        .map_err(|error| not_http(&error))?;
    let (tell, ended) = oneshot::channel();
    // Ends by itself when the answer has been read, the connection is taken over, or both are dropped.
    tokio::spawn(async move {
        let _ = tell.send(connection.with_upgrades().await.err());
    });
    match sender.send_request(request).await {
        Ok(response) => Ok(response),
        // How the connection ended says more than that no answer came: who is refused learns it so.
        Err(error) => Err(not_http(&ended.await.ok().flatten().unwrap_or(error))),
    }
}

/// Read a body of at most `bytes_max`.
pub(crate) async fn read_body(mut body: Incoming, bytes_max: usize) -> Result<Bytes, Failure> {
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| not_http(&error))?;
        if let Ok(part) = frame.into_data() {
            if read.len() + part.len() > bytes_max {
                let what = format!("more than {bytes_max} bytes came");
                return Err(Failure::Answer(what));
            }
            read.extend_from_slice(&part);
        }
    }
    Ok(read.freeze())
}

/// A peer that hangs up has said nothing wrong; one that talks something else has.
fn not_http(error: &hyper::Error) -> Failure {
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
    Failure::Answer(format!("no HTTP answer came: {error}"))
}
