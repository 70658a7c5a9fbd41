//! Accepting connections, serving them within their limits, and closing them.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::Request;
use hyper::body::Incoming;
use hyper::header::SERVER;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tracing::{debug, warn};

use super::activity::Activity;
use super::reply::Reply;
use super::socket::Socket;
use super::{Endpoint, cors, reply};
use crate::net::tls::Acceptor;
use crate::transport::RateLimit;

/// Maximum length of the head of a request, in bytes; a longer one is answered with 431. The number of headers
/// is limited too, to 100.
pub const HEADER_BYTES_MAX: usize = 128 << 10;

/// How long requests may still take when the server stops; then their connections are closed.
pub const GRACE: Duration = Duration::from_secs(1);

/// Pause before the next accept when one failed, for example because no file descriptors are left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Time without traffic before TCP keepalive probes a client, and between its three probes. Watchers on hosts
/// that disappeared must not accumulate.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Serve the current value of `endpoints`; a connection keeps the one it was accepted with. When the sender is
/// dropped, no connection is accepted any more, and the function returns when the last request has ended: at
/// most [`GRACE`] after the stop signal of the last endpoint. No more connections are served at once than the
/// limits allow; further ones wait. With `tls` the port only serves TLS.
pub async fn serve(
    listener: TcpListener,
    mut endpoints: watch::Receiver<Endpoint>,
    tls: Option<Acceptor>,
) {
    let connections_max = u32::try_from(endpoints.borrow().policy().limits.connections)
        .unwrap_or(u32::MAX)
        .max(1);
    let permits = Arc::new(Semaphore::new(connections_max as usize));
    loop {
        let next = async {
            let permit = permits.clone().acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            biased;
            _ = endpoints.wait_for(|_| false) => break,
            next = next => next,
        };
        let Ok(permit) = permit else { break };
        match accepted {
            Ok((stream, _)) => {
                let (endpoint, tls) = (endpoints.borrow().clone(), tls.clone());
                tokio::spawn(async move {
                    serve_stream(stream, endpoint, tls).await;
                    drop(permit);
                });
            }
            Err(error) => {
                warn!("cannot accept a connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    // All permits are returned when the last connection has ended, within the grace period.
    let _ = permits.acquire_many(connections_max).await;
}

async fn serve_stream(stream: TcpStream, endpoint: Endpoint, tls: Option<Acceptor>) {
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE)
        .with_interval(KEEPALIVE)
        .with_retries(3);
    let prepared = stream
        .set_nodelay(true)
        .and_then(|()| SockRef::from(&stream).set_tcp_keepalive(&keepalive));
    if let Err(error) = prepared {
        debug!("connection closed before the first request: {error}");
        return;
    }
    let Some(tls) = tls else {
        return serve_connection(stream, endpoint).await;
    };
    let client = stream.peer_addr();
    let mut stop = endpoint.policy().stop.clone();
    let agreed = tokio::select! {
        biased;
        _ = stop.wait_for(|&stop| stop) => return,
        agreed = tls.accept(stream) => agreed,
    };
    match agreed {
        Ok(stream) => serve_connection(stream, endpoint).await,
        Err(error) => log_failed_handshake(client, &error),
    }
}

/// Log a failed TLS handshake, at a limited rate: anyone may connect as often as they like.
fn log_failed_handshake(client: io::Result<SocketAddr>, error: &io::Error) {
    static RATE_LIMIT: RateLimit = RateLimit::new();
    let client = client.map_or_else(|_| "unknown".to_owned(), |client| client.to_string());
    // A port scan or a health check closes the connection without a word.
    if error.kind() == io::ErrorKind::UnexpectedEof {
        debug!(client, "connection closed during the TLS handshake");
    } else if let Some(suppressed) = RATE_LIMIT.allow(Instant::now()) {
        warn!(client, suppressed, "TLS handshake failed: {error}");
    }
}

async fn serve_connection<S>(stream: S, endpoint: Endpoint)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Activity::new();
    let limits = endpoint.policy().limits.clone();
    let mut stop = endpoint.policy().stop.clone();
    let socket = TokioIo::new(Socket::new(stream, activity.clone(), endpoint.clone()));
    let noted = activity.clone();
    let service = service_fn(move |request| {
        let (endpoint, activity) = (endpoint.clone(), noted.clone());
        async move { Ok::<_, Infallible>(respond(&endpoint, &activity, request).await) }
    });
    let connection = http1::Builder::new()
        .title_case_headers(true)
        .max_header_size(HEADER_BYTES_MAX)
        .serve_connection(socket, service)
        .with_upgrades();
    let mut connection = pin!(connection);
    tokio::select! {
        biased;
        ended = &mut connection => {
            if let Err(error) = ended {
                debug!("connection failed: {error}");
            }
            return;
        }
        () = activity.wait_for_timeout(&limits) => {
            debug!("connection closed: timeout");
            return;
        }
        _ = stop.wait_for(|&stop| stop) => {}
    }
    connection.as_mut().graceful_shutdown();
    if tokio::time::timeout(GRACE, connection).await.is_err() {
        debug!("connection closed: the server is stopping");
    }
}

async fn respond(
    endpoint: &Endpoint,
    activity: &Arc<Activity>,
    request: Request<Incoming>,
) -> Reply {
    let guard = activity.start_request();
    let origin = endpoint.policy().cors.allowed(request.headers());
    let mut reply = endpoint.answer(request).await;
    if let Some(origin) = origin {
        cors::allow(reply.headers_mut(), origin);
    }
    reply.headers_mut().insert(SERVER, reply::SERVER_NAME);
    if reply.body().is_watch() {
        guard.set_watch();
    } else if reply::upgrades(&reply) {
        guard.set_upgraded();
    }
    reply.body_mut().keep(guard);
    reply
}
