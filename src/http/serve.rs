//! Connections: accepting them, their limits, their end.

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

use super::reply::Reply;
use super::socket::{Activity, Socket};
use super::{Endpoint, cors, reply};
use crate::net::tls::Acceptor;
use crate::transport::RateLimit;

/// How long the head of a request may be, in bytes; a longer one is answered 431. The number of headers is
/// bounded too, by 100.
pub const HEADER_BYTES_MAX: usize = 128 << 10;

/// How long requests may take to end once the server stops; then their connections are closed.
pub const GRACE: Duration = Duration::from_secs(1);

/// How long to wait before accepting again when there are no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// After this long without a word a client is asked by TCP whether it is still there, and again at this
/// interval, three times in all: watchers of machines that vanished must not pile up.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Serve whatever `sites` shows, each connection what it showed when it began. Once nobody can change that
/// any more no connection is taken, and it returns when the last request has ended, which takes no longer
/// than [`GRACE`] from the last site's stop signal. As many connections as the limits allow are served at
/// once; more wait. With `tls` the port speaks nothing else.
pub async fn serve(
    listener: TcpListener,
    mut sites: watch::Receiver<Endpoint>,
    tls: Option<Acceptor>,
) {
    let connections_max = u32::try_from(sites.borrow().manners().limits.connections)
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
            _ = sites.wait_for(|_| false) => break,
            next = next => next,
        };
        let Ok(permit) = permit else { break };
        match accepted {
            Ok((stream, _)) => {
                let (site, tls) = (sites.borrow().clone(), tls.clone());
                tokio::spawn(async move {
                    accepted_one(stream, site, tls).await;
                    drop(permit);
                });
            }
            Err(error) => {
                warn!("a connection could not be accepted: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    // Each connection ends by itself within the grace; all permits are back when the last has.
    let _ = permits.acquire_many(connections_max).await;
}

async fn accepted_one(stream: TcpStream, site: Endpoint, tls: Option<Acceptor>) {
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE)
        .with_interval(KEEPALIVE)
        .with_retries(3);
    let prepared = stream
        .set_nodelay(true)
        .and_then(|()| SockRef::from(&stream).set_tcp_keepalive(&keepalive));
    if let Err(error) = prepared {
        debug!("a connection was over before it began: {error}");
        return;
    }
    let Some(tls) = tls else {
        return connection(stream, site).await;
    };
    let caller = stream.peer_addr();
    let mut stop = site.manners().stop.clone();
    let agreed = tokio::select! {
        biased;
        _ = stop.wait_for(|&stop| stop) => return,
        agreed = tls.accept(stream) => agreed,
    };
    match agreed {
        Ok(stream) => connection(stream, site).await,
        Err(error) => refused(caller, &error),
    }
}

/// Tell people who could not be served, now and then: a stranger may call as often as he likes.
fn refused(caller: io::Result<SocketAddr>, error: &io::Error) {
    static PACE: RateLimit = RateLimit::new();
    let caller = caller.map_or_else(|_| "somebody".to_owned(), |caller| caller.to_string());
    // Whoever only looks whether the port is open has said nothing.
    if error.kind() == io::ErrorKind::UnexpectedEof {
        debug!("{caller} hung up during the TLS handshake");
    } else if let Some(others) = PACE.allow(Instant::now()) {
        warn!("{caller} is not served, since TLS with it fails: {error} ({others} more before)");
    }
}

async fn connection<S>(stream: S, site: Endpoint)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Activity::new();
    let limits = site.manners().limits.clone();
    let mut stop = site.manners().stop.clone();
    let socket = TokioIo::new(Socket::new(stream, activity.clone(), site.clone()));
    let noted = activity.clone();
    let service = service_fn(move |request| {
        let (site, activity) = (site.clone(), noted.clone());
        async move { Ok::<_, Infallible>(respond(&site, &activity, request).await) }
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
                debug!("a connection ended: {error}");
            }
            return;
        }
        () = activity.overrun(&limits) => {
            debug!("a connection is closed: nothing happened on it for too long");
            return;
        }
        _ = stop.wait_for(|&stop| stop) => {}
    }
    connection.as_mut().graceful_shutdown();
    if tokio::time::timeout(GRACE, connection).await.is_err() {
        debug!("a connection is cut off: the server stops");
    }
}

async fn respond(site: &Endpoint, activity: &Arc<Activity>, request: Request<Incoming>) -> Reply {
    let busy = activity.busy();
    let origin = site.manners().cors.allowed(request.headers());
    let mut reply = site.answer(request).await;
    if let Some(origin) = origin {
        cors::allow(reply.headers_mut(), origin);
    }
    reply.headers_mut().insert(SERVER, reply::SERVER_NAME);
    if reply.body().is_watch() {
        busy.watches();
    } else if reply::upgrades(&reply) {
        busy.upgrades();
    }
    reply.body_mut().keep(busy);
    reply
}
