//! The task of one peer: keeps a connection to it, and sends the driver's messages.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tracing::{error, info, warn};

use super::frame::{FrameError, TooLarge};
use super::handshake::{self, DialError};
use super::kind::Kind;
use super::log_limit::RepeatFilter;
use super::queue::Queue;
use super::stream::{BATCH_BYTES_MAX, Ended, FrameStream};
use super::wire::Malformed;
use super::{ConnectionKind, Inbox, Local, Report, Stats, stats};
use crate::cluster::{Address, MemberId};
use crate::consensus::message::Body;

/// The pause after a connection is lost; doubled after each further failure. It is short compared with the
/// heartbeat interval, so that a restarted peer misses few heartbeats.
const PAUSE_MIN: Duration = Duration::from_millis(10);

/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// A connection that lasted this long resets the pause.
const STEADY_AFTER: Duration = Duration::from_secs(1);

/// The timeout for writing a batch; after it the connection is closed.
const WRITE_MAX: Duration = Duration::from_secs(5);

/// The time between two pings.
const PING_EVERY: Duration = Duration::from_secs(1);

/// The timeout for the answer to a ping. A host that lost power does not close its connections.
const PONG_WAIT: Duration = Duration::from_secs(3);

/// The name and the address of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Its name.
    pub(super) name: String,
    /// The address of its peer port.
    pub(super) address: Address,
}

/// The task's state.
pub(super) struct Peer {
    local: Arc<Local>,
    id: MemberId,
    target: watch::Receiver<Target>,
    queue: Queue,
    inbox: Inbox,
    stats: Arc<Stats>,
    last_warning: RepeatFilter,
}

/// Why a connection, or an attempt to open one, ended.
enum End {
    /// The attempt failed, or the connection was lost, for this reason.
    Lost(String),
    /// The peer reports that this member was removed from the cluster.
    Removed,
    /// The peer's address changed.
    Moved,
    /// The peer was removed.
    Over,
}

impl From<Ended> for End {
    fn from(ended: Ended) -> Self {
        Self::Lost(ended.to_string())
    }
}

impl Peer {
    /// The task of a new peer.
    pub(super) fn new(
        local: Arc<Local>,
        id: MemberId,
        target: watch::Receiver<Target>,
        queue: Queue,
        inbox: Inbox,
        stats: Arc<Stats>,
    ) -> Self {
        Self {
            local,
            id,
            target,
            queue,
            inbox,
            stats,
            last_warning: RepeatFilter::default(),
        }
    }

    /// Connect, send, and reconnect, until the peer is removed.
    pub(super) async fn run(mut self) {
        let mut pause = PAUSE_MIN;
        loop {
            let started = Instant::now();
            match self.attempt().await {
                End::Over => return,
                End::Moved => {
                    pause = PAUSE_MIN;
                    continue;
                }
                End::Lost(reason) => self.report_lost(&reason),
                End::Removed => (self.inbox)(Report::Removed(self.id)),
            }
            if started.elapsed() >= STEADY_AFTER {
                pause = PAUSE_MIN;
            }
            tokio::select! {
                () = sleep(pause) => pause = PAUSE_MAX.min(pause * 2),
                moved = self.target.changed() => match moved {
                    Ok(()) => pause = PAUSE_MIN,
                    Err(_) => return,
                },
            }
        }
    }

    async fn attempt(&mut self) -> End {
        let target = self.target.borrow_and_update().clone();
        let kind = ConnectionKind::Messages;
        match handshake::dial(&self.local, self.id, &target.address, kind).await {
            Ok(connection) => {
                let stream = FrameStream::new(connection.io, connection.link, WRITE_MAX);
                self.talk(stream, &target).await
            }
            Err(DialError::Removed) => End::Removed,
            Err(error) => End::Lost(error.to_string()),
        }
    }

    /// Drop the queued messages, report to the driver, and log a reason that is new.
    fn report_lost(&mut self, reason: &str) {
        let dropped = std::iter::from_fn(|| self.queue.try_next());
        let counted = dropped.filter(stats::is_counted).count();
        self.stats.failed(self.id, counted as u64);
        (self.inbox)(Report::Unreachable(self.id));
        let target = self.target.borrow();
        let line = format!("{} {} {reason}", target.name, target.address);
        if self.last_warning.is_new(&line) {
            warn!(
                peer = %target.name,
                address = %target.address,
                error = %reason,
                "peer connection lost"
            );
        }
    }

    async fn talk<Io>(&mut self, mut stream: FrameStream<Io>, target: &Target) -> End
    where
        Io: AsyncRead + AsyncWrite + Unpin,
    {
        let started = Instant::now();
        let mut announced = false;
        let mut unanswered: Option<Instant> = None;
        let mut ping = interval(PING_EVERY);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let step = tokio::select! {
                biased;
                _ = ping.tick() => {
                    if unanswered.is_some_and(|asked| asked.elapsed() >= PONG_WAIT) {
                        return End::Lost("ping timed out".to_owned());
                    }
                    unanswered.get_or_insert_with(Instant::now);
                    stream.send(Kind::Ping, &[]).await
                }
                frame = stream.next(PONG_WAIT * 2) => {
                    unanswered = None;
                    // A peer that accepts connections and closes them at once is not logged each time.
                    if !announced && started.elapsed() >= STEADY_AFTER {
                        announced = true;
                        self.last_warning.clear();
                        info!(peer = %target.name, address = %target.address, "peer connected");
                    }
                    frame.and_then(only_pong)
                }
                moved = self.target.changed() => match moved {
                    Ok(()) => return End::Moved,
                    Err(_) => return self.send_rest(stream).await,
                },
                Some(first) = self.queue.next() => self.send(first, &mut stream).await,
                else => return self.send_rest(stream).await,
            };
            if let Err(ended) = step {
                return ended.into();
            }
        }
    }

    /// Send `first` and other queued messages, up to [`BATCH_BYTES_MAX`].
    async fn send<Io>(&mut self, first: Body, stream: &mut FrameStream<Io>) -> Result<(), Ended>
    where
        Io: AsyncRead + AsyncWrite + Unpin,
    {
        let (writer, out) = stream.batch();
        let mut counted = 0;
        let mut next = Some(first);
        while let Some(body) = next {
            let before = out.len();
            match writer.put_message(&body, out) {
                Ok(()) => {
                    let bytes = out.len() - before;
                    self.stats
                        .sent(self.id, &body, bytes, std::time::Instant::now());
                    counted += u64::from(stats::is_counted(&body));
                }
                Err(TooLarge(bytes)) => {
                    error!(peer = %self.id, bytes, "message not sent, it is too large");
                    self.stats.failed(self.id, 1);
                }
            }
            next = (out.len() < BATCH_BYTES_MAX)
                .then(|| self.queue.try_next())
                .flatten();
        }
        let sent = stream.flush().await;
        if sent.is_err() {
            self.stats.failed(self.id, counted);
        }
        sent
    }

    /// Send the queued messages to a peer that was removed: they may contain the entry that removes it.
    async fn send_rest<Io>(&mut self, mut stream: FrameStream<Io>) -> End
    where
        Io: AsyncRead + AsyncWrite + Unpin,
    {
        while let Some(body) = self.queue.try_next() {
            if self.send(body, &mut stream).await.is_err() {
                return End::Over;
            }
        }
        // The peer may have closed the connection.
        let _ = stream.shut_down().await;
        End::Over
    }
}

fn only_pong(frame: super::frame::Frame) -> Result<(), Ended> {
    if frame.kind == Kind::Pong {
        return Ok(());
    }
    let malformed = Malformed::Impossible("a frame that does not answer a ping");
    Err(FrameError::from(malformed).into())
}
