//! The receiving side: the connections that peers open, and the messages on them.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeSet, HashMap};
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tracing::{debug, warn};

use super::frame::{FRAME_BYTES_MAX, Frame, FrameError, Link};
use super::handshake::{self, Refusal, RemotePeer};
use super::kind::Kind;
use super::log_limit::RateLimit;
use super::snapshot::{self, ReceiveSnapshot};
use super::stream::{Ended, FrameStream};
use super::wire::Malformed;
use super::{ConnectionKind, Inbox, Local, Received, Report, Stats};
use crate::cluster::MemberId;
use crate::consensus::message::{Body, RaftKind};

/// How long a connection may be silent before it is closed; peers send a ping every second.
const IDLE_MAX: Duration = Duration::from_secs(4);

/// How many KiB of messages of one peer may be unhandled by the driver; the largest frame fits. Beyond that
/// the connection is not read, so the peer cannot send more.
const UNHANDLED_KIB_MAX: usize = FRAME_BYTES_MAX / 1024 + 1;

/// How many different peers may connect, far more than a cluster has members; another one is refused.
const PEERS_MAX: usize = 128;

/// Accepts the connections of one member's peers.
pub struct Listener {
    local: Local,
    inbox: Inbox,
    stats: Arc<Stats>,
    receive: ReceiveSnapshot,
    removed_ids: watch::Receiver<BTreeSet<MemberId>>,
    unhandled_kib_max: usize,
    peers: Mutex<HashMap<MemberId, PeerState>>,
    /// Held while a snapshot is received: one at a time.
    snapshot_slot: Arc<Semaphore>,
    /// Draws the numbers of connections.
    numbers: RandomState,
    accepted: AtomicU64,
    log_limit: RateLimit,
    closed: watch::Sender<bool>,
}

/// The state of one peer, across its connections.
struct PeerState {
    /// The number of its current connection; none if there is none.
    connection: Option<u64>,
    /// Notified when a newer connection replaces the current one.
    replaced: Arc<Notify>,
    /// A permit per KiB of unhandled messages.
    unhandled: Arc<Semaphore>,
}

/// One accepted connection for messages.
struct Accepted {
    peer: RemotePeer,
    connection: u64,
    replaced: Arc<Notify>,
    unhandled: Arc<Semaphore>,
}

impl Listener {
    /// A listener for `local`. Messages go to `inbox`; a snapshot is first stored by `receive`; `stats` counts
    /// both. A peer whose id is in `removed_ids` was removed from the cluster: its connection is refused with
    /// that reason.
    pub fn new(
        local: Local,
        inbox: Inbox,
        stats: Arc<Stats>,
        receive: ReceiveSnapshot,
        removed_ids: watch::Receiver<BTreeSet<MemberId>>,
    ) -> Arc<Self> {
        Self::with_unhandled_max(local, inbox, stats, receive, removed_ids, UNHANDLED_KIB_MAX)
    }

    /// As [`Listener::new`], with another limit on the unhandled messages of each peer.
    pub(super) fn with_unhandled_max(
        local: Local,
        inbox: Inbox,
        stats: Arc<Stats>,
        receive: ReceiveSnapshot,
        removed_ids: watch::Receiver<BTreeSet<MemberId>>,
        unhandled_kib_max: usize,
    ) -> Arc<Self> {
        Arc::new(Self {
            local,
            inbox,
            stats,
            receive,
            removed_ids,
            unhandled_kib_max,
            peers: Mutex::default(),
            snapshot_slot: Arc::new(Semaphore::new(1)),
            numbers: RandomState::new(),
            accepted: AtomicU64::new(0),
            log_limit: RateLimit::default(),
            closed: watch::Sender::new(false),
        })
    }

    /// Answer a request for a connection of this kind, and take over its connection after the answer is sent.
    /// The server must serve its connections with upgrades, and run on a tokio runtime.
    ///
    /// A new connection of a peer replaces its old one.
    pub fn upgrade<B>(
        self: &Arc<Self>,
        kind: ConnectionKind,
        mut request: Request<B>,
    ) -> Response<Full<Bytes>> {
        let accepted = handshake::check(&self.local, request.headers());
        if let Ok(peer) = &accepted
            && self.removed_ids.borrow().contains(&peer.id)
        {
            let RemotePeer { name, id, .. } = peer;
            self.warn_limited(|suppressed| {
                warn!(peer = %name, %id, suppressed, "connection of a removed member refused");
            });
            return handshake::report_removed(&self.local);
        }
        let connection = self.draw_number();
        let on_upgrade = hyper::upgrade::on(&mut request);
        let listener = self.clone();
        let accepted = accepted.and_then(|peer| {
            if kind == ConnectionKind::Snapshot {
                let slot = self.take_snapshot_slot()?;
                tokio::spawn(listener.serve_snapshot(on_upgrade, peer, connection, slot));
            } else {
                let accepted = self.register(peer, connection)?;
                if let Some(peer_url) = accepted.peer.peer_url.clone() {
                    let from = accepted.peer.id;
                    (self.inbox)(Report::AddressChanged { from, peer_url });
                }
                tokio::spawn(listener.serve_messages(on_upgrade, accepted));
            }
            Ok(())
        });
        match accepted {
            Ok(()) => handshake::accept(connection),
            Err(refusal) => {
                self.warn_limited(|suppressed| {
                    warn!(reason = refusal.1, suppressed, "peer connection refused");
                });
                handshake::refuse(refusal)
            }
        }
    }

    /// Close all connections, and accept no more.
    pub fn close(&self) {
        self.closed.send_replace(true);
    }

    /// A number for a connection that cannot be predicted from outside.
    fn draw_number(&self) -> u64 {
        let count = self.accepted.fetch_add(1, Ordering::Relaxed);
        self.numbers.hash_one(count)
    }

    fn take_snapshot_slot(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let slot = self.snapshot_slot.clone().try_acquire_owned();
        slot.map_err(|_| {
            let reason = "another snapshot is being received".to_owned();
            Refusal(StatusCode::SERVICE_UNAVAILABLE, reason)
        })
    }

    fn register(&self, peer: RemotePeer, connection: u64) -> Result<Accepted, Refusal> {
        let mut peers = self.peers();
        if peers.len() >= PEERS_MAX && !peers.contains_key(&peer.id) {
            peers.retain(|_, state| state.connection.is_some());
            if peers.len() >= PEERS_MAX {
                let reason = "too many peers are connected".to_owned();
                return Err(Refusal(StatusCode::SERVICE_UNAVAILABLE, reason));
            }
        }
        let state = peers.entry(peer.id).or_insert_with(|| PeerState {
            connection: None,
            replaced: Arc::new(Notify::new()),
            unhandled: Arc::new(Semaphore::new(self.unhandled_kib_max)),
        });
        state.replaced.notify_one();
        state.replaced = Arc::new(Notify::new());
        state.connection = Some(connection);
        Ok(Accepted {
            peer,
            connection,
            replaced: state.replaced.clone(),
            // The limit is that of the peer, not of the connection.
            unhandled: state.unhandled.clone(),
        })
    }

    async fn serve_messages(self: Arc<Self>, on_upgrade: OnUpgrade, accepted: Accepted) {
        let mut closed = self.closed.subscribe();
        let mut removed_ids = self.removed_ids.clone();
        let ended = tokio::select! {
            ended = self.receive_messages(on_upgrade, &accepted) => ended,
            () = accepted.replaced.notified() => Ended::Closed,
            // The peer learns of its removal when it connects again.
            Ok(_) = removed_ids.wait_for(|ids| ids.contains(&accepted.peer.id)) => Ended::Closed,
            _ = closed.wait_for(|closed| *closed) => Ended::Closed,
        };
        self.log_end(&accepted.peer, &ended);
        if let Some(state) = self.peers().get_mut(&accepted.peer.id)
            && state.connection == Some(accepted.connection)
        {
            state.connection = None;
        }
    }

    /// Receive messages until the connection ends.
    async fn receive_messages(&self, on_upgrade: OnUpgrade, accepted: &Accepted) -> Ended {
        let link = Link::outgoing(&self.local, accepted.peer.id, accepted.connection);
        let mut stream = match open(on_upgrade, link, IDLE_MAX).await {
            Ok(stream) => stream,
            Err(ended) => return ended,
        };
        loop {
            let handled = match stream.next(IDLE_MAX).await {
                Ok(frame) if frame.kind == Kind::Ping => stream.send(Kind::Pong, &[]).await,
                Ok(frame) => {
                    self.handle_frame(frame, stream.incoming_link(), accepted)
                        .await
                }
                Err(ended) => return ended,
            };
            if let Err(ended) = handled {
                return ended;
            }
        }
    }

    async fn handle_frame(
        &self,
        frame: Frame,
        link: Link,
        accepted: &Accepted,
    ) -> Result<(), Ended> {
        let bytes = frame.bytes;
        let message = frame.message(link).map_err(FrameError::from)?;
        let unexpected = |what| Err(FrameError::from(Malformed::Impossible(what)).into());
        let Some(message) = message else {
            return unexpected("a frame without a message");
        };
        if let Body::Raft(raft) = &message.body
            && raft.kind == RaftKind::Snapshot
        {
            return unexpected("a snapshot on a connection for messages");
        }
        self.stats
            .received(message.from, &message.body, bytes, Instant::now());
        let kib = u32::try_from((bytes / 1024 + 1).min(self.unhandled_kib_max)).unwrap_or(1);
        let permit = accepted.unhandled.clone().acquire_many_owned(kib).await;
        // The semaphore is never closed.
        let permit = permit.map_err(|_| Ended::Closed)?;
        (self.inbox)(Report::Received(Received { message, permit }));
        Ok(())
    }

    async fn serve_snapshot(
        self: Arc<Self>,
        on_upgrade: OnUpgrade,
        peer: RemotePeer,
        connection: u64,
        slot: OwnedSemaphorePermit,
    ) {
        let link = Link::outgoing(&self.local, peer.id, connection);
        let receiving = async {
            let mut stream = open(on_upgrade, link, snapshot::IDLE_MAX).await?;
            let message = snapshot::receive(&mut stream, &peer, self.receive.clone()).await?;
            // Before the answer to the sender, which continues from the snapshot once it has the answer.
            let permit = slot;
            (self.inbox)(Report::Received(Received { message, permit }));
            stream.send(Kind::Stored, &[]).await
        };
        let mut closed = self.closed.subscribe();
        let ended = tokio::select! {
            ended = receiving => ended,
            _ = closed.wait_for(|closed| *closed) => Ok(()),
        };
        if let Err(ended) = ended {
            warn!(peer = %peer.name, error = %ended, "snapshot not received");
        }
    }

    /// Log the end of a connection: a warning if the peer broke the protocol. A peer that merely disconnects
    /// is reported by this member's own connection to it.
    fn log_end(&self, peer: &RemotePeer, ended: &Ended) {
        match ended {
            Ended::ProtocolError(_) => self.warn_limited(|suppressed| {
                let RemotePeer { name, id, .. } = peer;
                warn!(peer = %name, %id, error = %ended, suppressed, "peer connection closed");
            }),
            Ended::Closed | Ended::Broken(_) => {
                debug!(peer = %peer.name, reason = %ended, "peer connection ended");
            }
        }
    }

    /// Log a warning with `warn`, unless the last one was a moment ago. `warn` gets the number of warnings
    /// that were suppressed since.
    fn warn_limited(&self, warn: impl FnOnce(u64)) {
        if let Some(suppressed) = self.log_limit.allow(Instant::now()) {
            warn(suppressed);
        }
    }

    fn peers(&self) -> MutexGuard<'_, HashMap<MemberId, PeerState>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn open(
    on_upgrade: OnUpgrade,
    link: Link,
    write_max: Duration,
) -> Result<FrameStream<TokioIo<Upgraded>>, Ended> {
    match on_upgrade.await {
        Ok(upgraded) => Ok(FrameStream::new(TokioIo::new(upgraded), link, write_max)),
        Err(_) => Err(Ended::Closed),
    }
}
