//! Connections, kept for the next request.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{HeaderMap, StatusCode};
use hyper_util::rt::TokioIo;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::Request;
use super::answer::number;
use crate::cluster::Address;
use crate::net::tls::Connector;

/// How long a member may take to accept a connection; then the next one is asked.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a connection may be silent before the kernel asks whether it still stands, and how long it waits
/// for each of three answers.
const KEEPALIVE: Duration = Duration::from_secs(3);

/// How many idle connections are kept; one more is closed.
const IDLE_MAX: usize = 128;

/// The longest answer that is read, in bytes; a longer one is a failure.
const ANSWER_BYTES_MAX: usize = 256 << 20;

type Sender = SendRequest<Full<Bytes>>;

/// Told when a connection ends: why, if not as it should.
type Ended = oneshot::Receiver<Option<String>>;

/// Idle connections.
#[derive(Default)]
pub(super) struct Pool {
    pub(super) idle: Mutex<Vec<(Address, Sender)>>,
    pub(super) tls: Connector,
}

/// An answer as HTTP gives it.
pub(super) struct Response {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Why there is none.
pub(super) struct Failure {
    /// Whether the request may have got there.
    pub(super) sent: bool,
    /// What went wrong.
    pub(super) cause: String,
    /// The store's index, if the answer's headers came.
    pub(super) index: Option<u64>,
}

impl Failure {
    /// The request did not get there.
    pub(super) fn unsent(cause: String) -> Self {
        Self {
            sent: false,
            cause,
            index: None,
        }
    }

    fn sent(cause: String, index: Option<u64>) -> Self {
        Self {
            sent: true,
            cause,
            index,
        }
    }
}

impl Pool {
    /// Send a request to a member and wait for the whole answer.
    pub(super) async fn exchange(
        &self,
        member: &Address,
        target: &str,
        request: &Request,
    ) -> Result<Response, Failure> {
        let work = self.exchange_unlimited(member, target, request);
        match request.timeout {
            None => work.await,
            Some(limit) => tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
                Err(Failure::sent(
                    format!("no answer within {} s", limit.as_secs_f64()),
                    None,
                ))
            }),
        }
    }

    async fn exchange_unlimited(
        &self,
        member: &Address,
        target: &str,
        request: &Request,
    ) -> Result<Response, Failure> {
        let mut message = message(member, target, request)?;
        // A kept connection may have been closed meanwhile; then the request comes back unsent.
        while let Some(mut sender) = self.take(member) {
            match sender.try_send_request(message).await {
                Ok(response) => return self.finish(member, sender, response).await,
                Err(mut error) => match error.take_message() {
                    Some(back) => message = back,
                    None => return Err(Failure::sent(error.into_error().to_string(), None)),
                },
            }
        }
        let (mut sender, ended) = self.connect(member).await?;
        match sender.try_send_request(message).await {
            Ok(response) => self.finish(member, sender, response).await,
            Err(mut error) => {
                let sent = error.take_message().is_none();
                // How the connection ended says more than that the request was not sent.
                let cause = ended.await.ok().flatten();
                Err(Failure {
                    sent,
                    ..Failure::unsent(cause.unwrap_or_else(|| deepest(&error.into_error())))
                })
            }
        }
    }

    async fn finish(
        &self,
        member: &Address,
        sender: Sender,
        response: hyper::Response<Incoming>,
    ) -> Result<Response, Failure> {
        let response = collect(response).await?;
        self.keep(member, sender);
        Ok(response)
    }

    /// Send a request on a connection of its own, which is as long-lived as the answer's body.
    pub(super) async fn open(
        &self,
        member: &Address,
        request: &Request,
    ) -> Result<hyper::Response<Incoming>, Failure> {
        let message = message(member, &request.target, request)?;
        let (mut sender, _) = self.connect(member).await?;
        sender
            .send_request(message)
            .await
            .map_err(|error| Failure::sent(error.to_string(), None))
    }

    async fn connect(&self, member: &Address) -> Result<(Sender, Ended), Failure> {
        let stream = connect(member).await?;
        if !member.tls {
            return speak(stream).await;
        }
        let agreed = self.tls.connect(&member.host, stream).await;
        speak(agreed.map_err(|error| Failure::unsent(format!("no TLS with it: {error}")))?).await
    }

    fn take(&self, member: &Address) -> Option<Sender> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(_, sender)| !sender.is_closed());
        let place = idle
            .iter()
            .rposition(|(address, sender)| address == member && sender.is_ready())?;
        Some(idle.swap_remove(place).1)
    }

    fn keep(&self, member: &Address, sender: Sender) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX && !sender.is_closed() {
            idle.push((member.clone(), sender));
        }
    }
}

/// Read an answer to its end.
pub(super) async fn collect(response: hyper::Response<Incoming>) -> Result<Response, Failure> {
    let (parts, body) = response.into_parts();
    match Limited::new(body, ANSWER_BYTES_MAX).collect().await {
        Ok(body) => Ok(Response {
            status: parts.status,
            headers: parts.headers,
            body: body.to_bytes(),
        }),
        Err(error) => {
            let index = number(&parts.headers, "x-etcd-index");
            Err(Failure::sent(
                format!("the answer broke off ({error})"),
                index,
            ))
        }
    }
}

async fn connect(member: &Address) -> Result<TcpStream, Failure> {
    let connecting = TcpStream::connect((member.host.as_str(), member.port));
    let stream = match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(Failure::unsent(error.to_string())),
        Err(_) => return Err(Failure::unsent(String::from("no connection in time"))),
    };
    // Without these a small request could wait for the last one's acknowledgement, and a connection that is
    // silently dead is found out later; it works all the same.
    let _ = stream.set_nodelay(true);
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE)
        .with_interval(KEEPALIVE)
        .with_retries(3);
    let _ = SockRef::from(&stream).set_tcp_keepalive(&keepalive);
    Ok(stream)
}

async fn speak<S>(stream: S) -> Result<(Sender, Ended), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = handshake(TokioIo::new(stream))
        .await
        .map_err(|error| Failure::unsent(error.to_string()))?;
    let (tell, ended) = oneshot::channel();
    tokio::spawn(async move {
        let cause = connection.await.err().map(|error| deepest(&error));
        // Most connections end when nobody wants to know any more.
        let _ = tell.send(cause);
    });
    Ok((sender, ended))
}

/// What is at the bottom of an error.
fn deepest(error: &hyper::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

fn message(
    member: &Address,
    target: &str,
    request: &Request,
) -> Result<hyper::Request<Full<Bytes>>, Failure> {
    let mut message = hyper::Request::builder()
        .method(request.method.clone())
        .uri(target)
        .header(HOST, member.to_string());
    let mut bytes = Bytes::new();
    if let Some(body) = &request.body {
        let (sent, kind) = body.parts();
        message = message.header(CONTENT_TYPE, kind);
        bytes = sent.clone();
    }
    message
        .body(Full::new(bytes))
        .map_err(|error| Failure::unsent(format!("{target:?} cannot be asked for ({error})")))
}
