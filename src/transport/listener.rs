//! The receiving side: connections that peers open, and what they say on them.

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

use super::dial::{self, Caller, Refusal};
use super::frame::{FRAME_BYTES_MAX, Frame, FrameError, Kind, Link};
use super::quiet::Pace;
use super::snapshot::{self, ReceiveSnapshot};
use super::stream::{Ended, FrameStream};
use super::wire::Malformed;
use super::{ConnectionKind, Inbox, Local, News, Received, Stats};
use crate::cluster::MemberId;
use crate::consensus::message::{Body, RaftKind};

/// Peers ask every second whether we are there, so a connection that is silent for this long is dead.
const IDLE_MAX: Duration = Duration::from_secs(4);

/// What one peer may have said that the driver has not dealt with, in KiB: the largest frame fits.
/// Beyond it the connection is not read, and the peer feels that.
const ROOM_KIB: usize = FRAME_BYTES_MAX / 1024 + 1;

/// How many different peers may call; one more is refused. Far more than any cluster has members.
const CALLERS_MAX: usize = 128;

/// Takes the connections of the peers of one member.
pub struct Listener {
    local: Local,
    inbox: Inbox,
    stats: Arc<Stats>,
    receive: ReceiveSnapshot,
    gone: watch::Receiver<BTreeSet<MemberId>>,
    room_kib: usize,
    callers: Mutex<HashMap<MemberId, Line>>,
    snapshot_slot: Arc<Semaphore>,
    numbers: RandomState,
    accepted: AtomicU64,
    pace: Pace,
    closed: watch::Sender<bool>,
}

/// What there is for one caller.
struct Line {
    /// The number of its latest connection; none when it is over.
    connection: Option<u64>,
    /// Told when a newer connection takes the place of that one.
    replaced: Arc<Notify>,
    room: Arc<Semaphore>,
}

/// One accepted connection for messages.
struct Call {
    caller: Caller,
    connection: u64,
    replaced: Arc<Notify>,
    room: Arc<Semaphore>,
}

impl Listener {
    /// Takes connections for `local`. What peers say goes to `inbox`, a snapshot they send is first
    /// stored by `receive`, and `stats` counts. A caller whose id is in `gone` was removed from the
    /// cluster: it is told so, and not heard.
    pub fn new(
        local: Local,
        inbox: Inbox,
        stats: Arc<Stats>,
        receive: ReceiveSnapshot,
        gone: watch::Receiver<BTreeSet<MemberId>>,
    ) -> Arc<Self> {
        Self::with_room(local, inbox, stats, receive, gone, ROOM_KIB)
    }

    /// As [`Listener::new`], with another room for each peer.
    pub(super) fn with_room(
        local: Local,
        inbox: Inbox,
        stats: Arc<Stats>,
        receive: ReceiveSnapshot,
        gone: watch::Receiver<BTreeSet<MemberId>>,
        room_kib: usize,
    ) -> Arc<Self> {
        Arc::new(Self {
            local,
            inbox,
            stats,
            receive,
            gone,
            room_kib,
            callers: Mutex::default(),
            snapshot_slot: Arc::new(Semaphore::new(1)),
            numbers: RandomState::new(),
            accepted: AtomicU64::new(0),
            pace: Pace::default(),
            closed: watch::Sender::new(false),
        })
    }

    /// Answer a request for a connection of this kind, and once that answer is sent, take over its connection. The server must serve its connections with upgrades, and
    /// must be running on a tokio runtime.
    ///
    /// A new connection of a peer takes the place of its old one.
    pub fn upgrade<B>(
        self: &Arc<Self>,
        kind: ConnectionKind,
        mut request: Request<B>,
    ) -> Response<Full<Bytes>> {
        let accepted = dial::check(&self.local, request.headers());
        if let Ok(caller) = &accepted
            && self.gone.borrow().contains(&caller.id)
        {
            let Caller { name, id, .. } = caller;
            self.complain(|| format!("{name} ({id}) calls, and was removed from the cluster"));
            return dial::say_removed(&self.local);
        }
        let connection = self.number();
        let on_upgrade = hyper::upgrade::on(&mut request);
        let listener = self.clone();
        let accepted = accepted.and_then(|caller| {
            if kind == ConnectionKind::Snapshot {
                let slot = self.take_snapshot_slot()?;
                tokio::spawn(listener.take_snapshot(on_upgrade, caller, connection, slot));
            } else {
                let call = self.admit(caller, connection)?;
                if let Some(at) = call.caller.at.clone() {
                    let from = call.caller.id;
                    (self.inbox)(News::Calls { from, at });
                }
                tokio::spawn(listener.take_call(on_upgrade, call));
            }
            Ok(())
        });
        match accepted {
            Ok(()) => dial::accept(connection),
            Err(refusal) => {
                self.complain(|| {
                    format!("a connection to the peer port is refused: {}", refusal.1)
                });
                dial::refuse(refusal)
            }
        }
    }

    /// End all connections, and take no more.
    pub fn close(&self) {
        self.closed.send_replace(true);
    }

    /// A number nobody outside can foresee.
    fn number(&self) -> u64 {
        let count = self.accepted.fetch_add(1, Ordering::Relaxed);
        self.numbers.hash_one(count)
    }

    fn take_snapshot_slot(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let slot = self.snapshot_slot.clone().try_acquire_owned();
        slot.map_err(|_| {
            let why = "it is busy with another snapshot".to_owned();
            Refusal(StatusCode::SERVICE_UNAVAILABLE, why)
        })
    }

    fn admit(&self, caller: Caller, connection: u64) -> Result<Call, Refusal> {
        let mut callers = self.callers();
        if callers.len() >= CALLERS_MAX && !callers.contains_key(&caller.id) {
            callers.retain(|_, line| line.connection.is_some());
            if callers.len() >= CALLERS_MAX {
                let why = "too many others are connected to it".to_owned();
                return Err(Refusal(StatusCode::SERVICE_UNAVAILABLE, why));
            }
        }
        let line = callers.entry(caller.id).or_insert_with(|| Line {
            connection: None,
            replaced: Arc::new(Notify::new()),
            room: Arc::new(Semaphore::new(self.room_kib)),
        });
        line.replaced.notify_one();
        line.replaced = Arc::new(Notify::new());
        line.connection = Some(connection);
        Ok(Call {
            caller,
            connection,
            replaced: line.replaced.clone(),
            // The room stays with the caller: connecting again makes no more of it.
            room: line.room.clone(),
        })
    }

    async fn take_call(self: Arc<Self>, on_upgrade: OnUpgrade, call: Call) {
        let mut closed = self.closed.subscribe();
        let mut gone = self.gone.clone();
        let ended = tokio::select! {
            ended = self.hear(on_upgrade, &call) => ended,
            () = call.replaced.notified() => Ended::Closed,
            // When it calls again, it is told.
            Ok(_) = gone.wait_for(|gone| gone.contains(&call.caller.id)) => Ended::Closed,
            _ = closed.wait_for(|closed| *closed) => Ended::Closed,
        };
        self.say(&call.caller, &ended);
        if let Some(line) = self.callers().get_mut(&call.caller.id)
            && line.connection == Some(call.connection)
        {
            line.connection = None;
        }
    }

    /// Listen until the connection is over.
    async fn hear(&self, on_upgrade: OnUpgrade, call: &Call) -> Ended {
        let link = Link::outgoing(&self.local, call.caller.id, call.connection);
        let mut stream = match open(on_upgrade, link, IDLE_MAX).await {
            Ok(stream) => stream,
            Err(ended) => return ended,
        };
        loop {
            let heard = match stream.next(IDLE_MAX).await {
                Ok(frame) if frame.kind == Kind::Ping => stream.send(Kind::Pong, &[]).await,
                Ok(frame) => self.pass_on(frame, stream.incoming_link(), call).await,
                Err(ended) => return ended,
            };
            if let Err(ended) = heard {
                return ended;
            }
        }
    }

    async fn pass_on(&self, frame: Frame, link: Link, call: &Call) -> Result<(), Ended> {
        let bytes = frame.bytes;
        let message = frame.message(link).map_err(FrameError::from)?;
        let out_of_place = |what| Err(FrameError::from(Malformed::Impossible(what)).into());
        let Some(message) = message else {
            return out_of_place("a frame that carries no message");
        };
        if let Body::Raft(raft) = &message.body
            && raft.kind == RaftKind::Snapshot
        {
            return out_of_place("a snapshot among the messages");
        }
        self.stats
            .received(message.from, &message.body, bytes, Instant::now());
        let kib = u32::try_from((bytes / 1024 + 1).min(self.room_kib)).unwrap_or(1);
        let room = call.room.clone().acquire_many_owned(kib).await;
        // The semaphore is never closed.
        let room = room.map_err(|_| Ended::Closed)?;
        (self.inbox)(News::Received(Received { message, room }));
        Ok(())
    }

    async fn take_snapshot(
        self: Arc<Self>,
        on_upgrade: OnUpgrade,
        caller: Caller,
        connection: u64,
        slot: OwnedSemaphorePermit,
    ) {
        let link = Link::outgoing(&self.local, caller.id, connection);
        let receiving = async {
            let mut stream = open(on_upgrade, link, snapshot::IDLE_MAX).await?;
            let message = snapshot::take(&mut stream, &caller, self.receive.clone()).await?;
            // First to the driver: when the sender hears that it is stored, it goes on from there.
            let room = slot;
            (self.inbox)(News::Received(Received { message, room }));
            stream.send(Kind::Stored, &[]).await
        };
        let mut closed = self.closed.subscribe();
        let ended = tokio::select! {
            ended = receiving => ended,
            _ = closed.wait_for(|closed| *closed) => Ok(()),
        };
        if let Err(ended) = ended {
            warn!("a snapshot from {} is dropped: {ended}", caller.name);
        }
    }

    /// A peer that goes is no news here, its own connection from us tells; one that talks nonsense is.
    fn say(&self, caller: &Caller, ended: &Ended) {
        match ended {
            Ended::Nonsense(_) => self.complain(|| {
                let Caller { name, id, .. } = caller;
                format!("the connection from {name} ({id}) is closed: {ended}")
            }),
            Ended::Closed | Ended::Broken(_) => {
                debug!("the connection from {} is over: {ended}", caller.name);
            }
        }
    }

    fn complain(&self, line: impl FnOnce() -> String) {
        match self.pace.line(Instant::now()) {
            None => {}
            Some(0) => warn!("{}", line()),
            Some(more) => warn!("{} (and {more} more like it)", line()),
        }
    }

    fn callers(&self) -> MutexGuard<'_, HashMap<MemberId, Line>> {
        self.callers.lock().unwrap_or_else(PoisonError::into_inner)
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
