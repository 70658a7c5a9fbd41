//! One peer, as its own task: keeps a connection to it and sends what the driver wants sent.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tracing::{error, info, warn};

use super::dial::{self, DialError};
use super::frame::{FrameError, Kind, TooLarge};
use super::queue::Queue;
use super::quiet::Said;
use super::stream::{BATCH_BYTES_MAX, Ended, FrameStream};
use super::wire::Malformed;
use super::{ConnectionKind, Inbox, Local, News, Stats, stats};
use crate::cluster::{Address, MemberId};
use crate::consensus::message::Body;

/// The first pause after a connection was lost; each further one is twice as long. A leader's heartbeat
/// comes every 100 ms, and a restarted peer should not miss many.
const PAUSE_MIN: Duration = Duration::from_millis(10);

/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// A connection that held this long was a good one: the pauses begin anew.
const STEADY_AFTER: Duration = Duration::from_secs(1);

/// How long the peer may take to make room for a batch; then the connection counts as lost.
const WRITE_MAX: Duration = Duration::from_secs(5);

/// How often the peer is asked whether it is there.
const PING_EVERY: Duration = Duration::from_secs(1);

/// How long it may take to answer. A machine that lost its power sends no farewell.
const PONG_WAIT: Duration = Duration::from_secs(3);

/// Where a peer is, and what people call it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Its name.
    pub(super) name: String,
    /// Its peer port.
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
    said: Said,
}

/// Why a connection, or an attempt at one, is over.
enum End {
    /// It does not work, or no longer.
    Lost(String),
    /// It says that we are no member any more.
    Removed,
    /// The peer is elsewhere now.
    Moved,
    /// It is no peer any more.
    Over,
}

impl From<Ended> for End {
    fn from(ended: Ended) -> Self {
        Self::Lost(ended.to_string())
    }
}

impl Peer {
    /// A peer to which nothing has been sent.
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
            said: Said::default(),
        }
    }

    /// Connect, send, reconnect, until it is no peer any more.
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
                End::Lost(why) => self.lost(&why),
                End::Removed => (self.inbox)(News::Removed(self.id)),
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
        match dial::dial(&self.local, self.id, &target.address, kind).await {
            Ok(connection) => {
                let stream = FrameStream::new(connection.io, connection.link, WRITE_MAX);
                self.talk(stream, &target).await
            }
            Err(DialError::Removed) => End::Removed,
            Err(error) => End::Lost(error.to_string()),
        }
    }

    /// Drop what waited, tell the driver, and tell people once.
    fn lost(&mut self, why: &str) {
        let dropped = std::iter::from_fn(|| self.queue.try_next());
        let counted = dropped.filter(stats::is_counted).count();
        self.stats.failed(self.id, counted as u64);
        (self.inbox)(News::Unreachable(self.id));
        let target = self.target.borrow();
        let line = format!("peer {} at {}: {why}", target.name, target.address);
        if self.said.is_new(&line) {
            warn!("{line}");
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
                        return End::Lost("it does not answer any more".to_owned());
                    }
                    unanswered.get_or_insert_with(Instant::now);
                    stream.send(Kind::Ping, &[]).await
                }
                frame = stream.next(PONG_WAIT * 2) => {
                    unanswered = None;
                    // A peer that takes calls and hangs up at once is not worth a line each time.
                    if !announced && started.elapsed() >= STEADY_AFTER {
                        announced = true;
                        self.said.clear();
                        info!("peer {} at {}: connected", target.name, target.address);
                    }
                    frame.and_then(only_pong)
                }
                moved = self.target.changed() => match moved {
                    Ok(()) => return End::Moved,
                    Err(_) => return self.farewell(stream).await,
                },
                Some(first) = self.queue.next() => self.send(first, &mut stream).await,
                else => return self.farewell(stream).await,
            };
            if let Err(ended) = step {
                return ended.into();
            }
        }
    }

    /// Send `first` and what else waits, as much as makes a good batch.
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
                    error!("a message of {bytes} bytes to {} is not sent", self.id);
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

    /// What was sent to a peer before it ceased to be one should still reach it: it may be the very
    /// entry that says so.
    async fn farewell<Io>(&mut self, mut stream: FrameStream<Io>) -> End
    where
        Io: AsyncRead + AsyncWrite + Unpin,
    {
        while let Some(body) = self.queue.try_next() {
            if self.send(body, &mut stream).await.is_err() {
                return End::Over;
            }
        }
        // Whether it heard is not our concern any more.
        let _ = stream.shut_down().await;
        End::Over
    }
}

fn only_pong(frame: super::frame::Frame) -> Result<(), Ended> {
    if frame.kind == Kind::Pong {
        return Ok(());
    }
    let malformed = Malformed::Impossible("an answer to a question nobody asked");
    Err(FrameError::from(malformed).into())
}
