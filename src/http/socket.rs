//! A connection's bytes, and the clock that ends a connection on which nothing happens.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::{Endpoint, Limits, reply};

/// How long a request's head may take from its first byte to its last; -http-read-timeout can only make
/// it shorter.
pub const HEAD_TIME_MAX: Duration = Duration::from_secs(30);

/// How long a watching client may leave what was sent to it unread, once all buffers are full.
pub const STREAM_STALL_MAX: Duration = Duration::from_secs(300);

/// How often connections are looked at, at most; a limit is overrun by no more than this.
const PATROL: Duration = Duration::from_secs(5);

/// What a connection is doing, shared by the socket, the requests on it, and its watchdog.
pub(super) struct Activity {
    born: Instant,
    phase: AtomicU8,
    /// Milliseconds after `born` at which the phase began.
    since: AtomicU64,
    /// Milliseconds after `born` since which nothing can be written, plus one; 0 when writing works.
    blocked: AtomicU64,
}

/// Waiting for a request.
const IDLE: u8 = 0;
/// Some of a request's head is there.
const HEAD: u8 = 1;
/// A request is being answered.
const BUSY: u8 = 2;
/// Events are being sent.
const WATCH: u8 = 3;
/// It isn't HTTP any more.
const UPGRADED: u8 = 4;

/// Held while a request is answered; dropping it says that the answer is out.
pub(super) struct Busy(Arc<Activity>);

/// A socket that notes what happens on it.
pub(super) struct Socket<S> {
    stream: S,
    activity: Arc<Activity>,
    site: Endpoint,
    instead: Option<Bytes>,
}

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            born: Instant::now(),
            phase: AtomicU8::new(IDLE),
            since: AtomicU64::new(0),
            blocked: AtomicU64::new(0),
        })
    }

    /// A request came.
    pub(super) fn busy(self: &Arc<Self>) -> Busy {
        self.enter(BUSY);
        Busy(self.clone())
    }

    /// Wait until the connection has overrun one of its limits.
    pub(super) async fn overrun(&self, limits: &Limits) {
        let shortest = [limits.read, limits.write, HEAD_TIME_MAX, STREAM_STALL_MAX]
            .into_iter()
            .filter(|limit| !limit.is_zero())
            .fold(PATROL, Duration::min);
        loop {
            tokio::time::sleep(shortest).await;
            if self.is_overrun(limits) {
                return;
            }
        }
    }

    fn is_overrun(&self, limits: &Limits) -> bool {
        let now = self.now();
        let phase = self.phase.load(Ordering::Relaxed);
        let over = |since: u64, limit: Duration| {
            !limit.is_zero() && u128::from(now.saturating_sub(since)) >= limit.as_millis()
        };
        if let Some(since) = self.blocked.load(Ordering::Relaxed).checked_sub(1)
            && over(
                since,
                if phase == WATCH {
                    STREAM_STALL_MAX
                } else {
                    limits.write
                },
            )
        {
            return true;
        }
        let since = self.since.load(Ordering::Relaxed);
        match phase {
            IDLE => over(since, limits.read),
            HEAD => over(since, HEAD_TIME_MAX) || over(since, limits.read),
            // The body of a request has its own limit, and so has everything an answer waits for.
            _ => false,
        }
    }

    fn enter(&self, phase: u8) {
        self.since.store(self.now(), Ordering::Relaxed);
        self.phase.store(phase, Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn read(&self) {
        if self.phase.load(Ordering::Relaxed) == IDLE {
            self.enter(HEAD);
        }
    }

    fn wrote(&self, blocked: bool) {
        let since = self.blocked.load(Ordering::Relaxed);
        if blocked && since == 0 {
            self.blocked.store(self.now() + 1, Ordering::Relaxed);
        } else if !blocked && since != 0 {
            self.blocked.store(0, Ordering::Relaxed);
        }
    }
}

impl Busy {
    /// The answer is a watch, to which other limits apply.
    pub(super) fn watches(&self) {
        self.0.enter(WATCH);
    }

    /// The answer is the last of HTTP on this connection.
    pub(super) fn upgrades(&self) {
        self.0.enter(UPGRADED);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if self.0.phase.load(Ordering::Relaxed) != UPGRADED {
            self.0.enter(IDLE);
        }
    }
}

impl<S> Socket<S> {
    /// Around `stream`, noting what happens in `activity`.
    pub(super) fn new(stream: S, activity: Arc<Activity>, site: Endpoint) -> Self {
        Self {
            stream,
            activity,
            site,
            instead: None,
        }
    }
}

impl<S: AsyncWrite + Unpin> Socket<S> {
    /// Write what `bytes` are replaced by, if they are; `Ready` with their number once all of it is out.
    ///
    /// A request that is not even HTTP is answered by hyper, in a way that can't be set: without a body.
    /// That answer is the last on its connection, and is given our form here.
    fn write_instead(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Option<Poll<io::Result<usize>>> {
        let unasked = matches!(self.activity.phase.load(Ordering::Relaxed), IDLE | HEAD);
        if self.instead.is_none() && unasked {
            self.instead = reply::unparsed(bytes, || self.site.index());
        }
        let instead = self.instead.as_mut()?;
        while !instead.is_empty() {
            match Pin::new(&mut self.stream).poll_write(context, instead) {
                Poll::Ready(Ok(written)) => instead.advance(written.min(instead.len())),
                Poll::Ready(Err(error)) => return Some(Poll::Ready(Err(error))),
                Poll::Pending => {
                    self.activity.wrote(true);
                    return Some(Poll::Pending);
                }
            }
        }
        self.activity.wrote(false);
        self.instead = None;
        Some(Poll::Ready(Ok(bytes.len())))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if polled.is_ready() {
            self.activity.read();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(written) = self.write_instead(context, bytes) {
            return written;
        }
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.activity.wrote(polled.is_pending());
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(first) = slices.iter().find(|slice| !slice.is_empty())
            && let Some(written) = self.write_instead(context, first)
        {
            return written;
        }
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.activity.wrote(polled.is_pending());
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
