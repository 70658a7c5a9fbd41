//! A pool of connections, kept for the next request.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper_util::rt::TokioIo;
use tokio::sync::oneshot;

use super::Request;
use super::error::{Cause, Failure};
use super::response::Response;
use crate::cluster::Address;
use crate::net::tls::Connector;
use crate::net::{ConnectOptions, Stream, connect};

/// How a connection to a member is opened; after the timeout the next member is tried.
const OPTIONS: ConnectOptions = ConnectOptions {
    timeout: Duration::from_secs(2),
    keepalive: Some(Duration::from_secs(3)),
};

/// The number of idle connections that are kept; one more is closed.
const IDLE_MAX: usize = 128;

type Sender = SendRequest<Full<Bytes>>;

/// Receives the error of a connection when it has ended; none if it ended regularly.
type Ended = oneshot::Receiver<Option<String>>;

/// Idle connections.
#[derive(Default)]
pub(super) struct Pool {
    pub(super) idle: Mutex<Vec<(Address, Sender)>>,
    pub(super) tls: Connector,
}

impl Pool {
    /// Send a request to a member and read the whole response.
    ///
    /// # Errors
    ///
    /// A [`Failure`]: no connection, no response in time, a connection that failed, or an incomplete response.
    pub(super) async fn exchange(
        &self,
        member: &Address,
        target: &str,
        request: &Request,
    ) -> Result<Response, Failure> {
        let work = self.exchange_without_timeout(member, target, request);
        match request.timeout {
            None => work.await,
            Some(limit) => tokio::time::timeout(limit, work)
                .await
                .unwrap_or_else(|_| Err(Failure::sent(Cause::Timeout(limit)))),
        }
    }

    async fn exchange_without_timeout(
        &self,
        member: &Address,
        target: &str,
        request: &Request,
    ) -> Result<Response, Failure> {
        let mut message = message(member, target, request)?;
        // A pooled connection may have been closed; then the request comes back unsent.
        while let Some(mut sender) = self.take(member) {
            match sender.try_send_request(message).await {
                Ok(response) => return self.finish(member, sender, response).await,
                Err(mut error) => match error.take_message() {
                    Some(back) => message = back,
                    None => {
                        let cause = error.into_error().to_string();
                        return Err(Failure::sent(Cause::Connection(cause)));
                    }
                },
            }
        }
        let (mut sender, ended) = self.connect(member).await?;
        match sender.try_send_request(message).await {
            Ok(response) => self.finish(member, sender, response).await,
            Err(mut error) => {
                let sent = error.take_message().is_none();
                // The error of the connection is more specific than that of the request.
                let cause = ended.await.ok().flatten();
                Err(Failure {
                    sent,
                    ..Failure::unsent(Cause::Connection(
                        cause.unwrap_or_else(|| root_cause(&error.into_error())),
                    ))
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
        let response = Response::read(response).await?;
        self.keep(member, sender);
        Ok(response)
    }

    /// Send a request on a new connection, which lives as long as the response's body.
    ///
    /// # Errors
    ///
    /// A [`Failure`]: no connection, or one that failed before the response's headers.
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
            .map_err(|error| Failure::sent(Cause::Connection(error.to_string())))
    }

    async fn connect(&self, member: &Address) -> Result<(Sender, Ended), Failure> {
        let stream = connect(member, &self.tls, OPTIONS)
            .await
            .map_err(|error| Failure::unsent(Cause::Connect(error)))?;
        start_http(stream).await
    }

    fn take(&self, member: &Address) -> Option<Sender> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(_, sender)| !sender.is_closed());
        let index = idle
            .iter()
            .rposition(|(address, sender)| address == member && sender.is_ready())?;
        Some(idle.swap_remove(index).1)
    }

    fn keep(&self, member: &Address, sender: Sender) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX && !sender.is_closed() {
            idle.push((member.clone(), sender));
        }
    }
}

async fn start_http(stream: Stream) -> Result<(Sender, Ended), Failure> {
    let (sender, connection) = handshake(TokioIo::new(stream))
        .await
        .map_err(|error| Failure::unsent(Cause::Connection(error.to_string())))?;
    let (sender_of_end, ended) = oneshot::channel();
    tokio::spawn(async move {
        let cause = connection.await.err().map(|error| root_cause(&error));
        // The receiver is usually gone when a connection ends.
        let _ = sender_of_end.send(cause);
    });
    Ok((sender, ended))
}

/// The innermost error of a chain.
fn root_cause(error: &hyper::Error) -> String {
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
        .map_err(|_| Failure::unsent(Cause::Target(target.to_owned())))
}
