//! What a connection is doing, and the timeouts of its phases.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::Limits;

/// Timeout for the head of a request, from its first byte to its last; a shorter -http-read-timeout applies
/// instead.
pub const HEAD_TIME_MAX: Duration = Duration::from_secs(30);

/// Timeout for a client of a watch that does not read, once all buffers are full.
pub const STREAM_STALL_MAX: Duration = Duration::from_secs(300);

/// Maximum time between two checks of a connection, which is also how late a timeout can be.
const CHECK_INTERVAL_MAX: Duration = Duration::from_secs(5);

/// What a connection is doing: shared by the socket, the requests on it, and the task that checks the
/// timeouts.
pub(super) struct Activity {
    opened: Instant,
    phase: AtomicU8,
    /// When the phase began, in milliseconds after `opened`.
    since: AtomicU64,
    /// Since when writing blocks, in milliseconds after `opened` plus one; 0 if it does not block.
    blocked: AtomicU64,
}

/// Idle: waiting for a request.
const IDLE: u8 = 0;
/// Reading the head of a request.
const HEAD: u8 = 1;
/// Answering a request.
const REQUEST: u8 = 2;
/// Sending the events of a watch.
const WATCH: u8 = 3;
/// No longer HTTP.
const UPGRADED: u8 = 4;

/// Held while a request is answered; dropped when the response is sent.
pub(super) struct RequestGuard(Arc<Activity>);

impl Activity {
    /// The activity of a new connection.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            opened: Instant::now(),
            phase: AtomicU8::new(IDLE),
            since: AtomicU64::new(0),
            blocked: AtomicU64::new(0),
        })
    }

    /// Note that a request has been read.
    pub(super) fn start_request(self: &Arc<Self>) -> RequestGuard {
        self.enter(REQUEST);
        RequestGuard(self.clone())
    }

    /// Wait until one of the timeouts has expired.
    pub(super) async fn wait_for_timeout(&self, limits: &Limits) {
        let shortest = [limits.read, limits.write, HEAD_TIME_MAX, STREAM_STALL_MAX]
            .into_iter()
            .filter(|limit| !limit.is_zero())
            .fold(CHECK_INTERVAL_MAX, Duration::min);
        loop {
            tokio::time::sleep(shortest).await;
            if self.is_timed_out(limits) {
                return;
            }
        }
    }

    fn is_timed_out(&self, limits: &Limits) -> bool {
        let now = self.now();
        let phase = self.phase.load(Ordering::Relaxed);
        let expired = |since: u64, limit: Duration| {
            !limit.is_zero() && u128::from(now.saturating_sub(since)) >= limit.as_millis()
        };
        if let Some(since) = self.blocked.load(Ordering::Relaxed).checked_sub(1)
            && expired(
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
            IDLE => expired(since, limits.read),
            HEAD => expired(since, HEAD_TIME_MAX) || expired(since, limits.read),
            // Reading the body has a timeout of its own, and so has all that a response waits for.
            _ => false,
        }
    }

    fn enter(&self, phase: u8) {
        self.since.store(self.now(), Ordering::Relaxed);
        self.phase.store(phase, Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Note that something was read.
    pub(super) fn note_read(&self) {
        if self.phase.load(Ordering::Relaxed) == IDLE {
            self.enter(HEAD);
        }
    }

    /// Whether the connection waits for a request or reads its head.
    pub(super) fn has_no_request(&self) -> bool {
        matches!(self.phase.load(Ordering::Relaxed), IDLE | HEAD)
    }

    /// Note a write, and whether it would block.
    pub(super) fn note_write(&self, blocked: bool) {
        let since = self.blocked.load(Ordering::Relaxed);
        if blocked && since == 0 {
            self.blocked.store(self.now() + 1, Ordering::Relaxed);
        } else if !blocked && since != 0 {
            self.blocked.store(0, Ordering::Relaxed);
        }
    }
}

impl RequestGuard {
    /// Note that the response is a watch, to which other timeouts apply.
    pub(super) fn set_watch(&self) {
        self.0.enter(WATCH);
    }

    /// Note that this is the last response of HTTP on the connection.
    pub(super) fn set_upgraded(&self) {
        self.0.enter(UPGRADED);
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        if self.0.phase.load(Ordering::Relaxed) != UPGRADED {
            self.0.enter(IDLE);
        }
    }
}
