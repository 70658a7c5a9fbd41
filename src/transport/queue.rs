//! The queue of messages to one peer: bounded, and with a lane for urgent messages.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;

use super::message;
use crate::consensus::message::{Body, RaftKind};

/// How many messages each of the two lanes holds; further ones are dropped.
const MESSAGES_MAX: usize = 1024;

/// How many bytes the bulk lane holds; further messages are dropped, but one always fits.
const BYTES_MAX: usize = 16 << 20;

/// The driver's end of the queue.
pub(super) struct Sender {
    urgent: mpsc::Sender<Body>,
    bulk: mpsc::Sender<Body>,
    bulk_bytes: Arc<AtomicUsize>,
}

/// The peer task's end of the queue.
pub(super) struct Queue {
    urgent: mpsc::Receiver<Body>,
    bulk: mpsc::Receiver<Body>,
    bulk_bytes: Arc<AtomicUsize>,
}

/// A queue of two lanes. Heartbeats, votes and answers overtake entries and forwarded commands, so that a
/// long append does not delay a heartbeat. Raft allows any order between them. If a lane is full, the message
/// is dropped; Raft repeats it if necessary.
pub(super) fn queue() -> (Sender, Queue) {
    let (urgent, urgent_out) = mpsc::channel(MESSAGES_MAX);
    let (bulk, bulk_out) = mpsc::channel(MESSAGES_MAX);
    let bulk_bytes = Arc::new(AtomicUsize::new(0));
    let sender = Sender {
        urgent,
        bulk,
        bulk_bytes: bulk_bytes.clone(),
    };
    let queue = Queue {
        urgent: urgent_out,
        bulk: bulk_out,
        bulk_bytes,
    };
    (sender, queue)
}

impl Sender {
    /// Add `body` to its lane. Returns false if the lane is full; the message is then dropped.
    pub(super) fn push(&self, body: Body) -> bool {
        if is_urgent(&body) {
            return self.urgent.try_send(body).is_ok();
        }
        let bytes = message::weight(&body);
        let before = self.bulk_bytes.fetch_add(bytes, Ordering::Relaxed);
        let fits = before == 0 || before + bytes <= BYTES_MAX;
        let pushed = fits && self.bulk.try_send(body).is_ok();
        if !pushed {
            self.bulk_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        pushed
    }
}

impl Queue {
    /// The next message; none if the driver's end was dropped and the queue is empty. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<Body> {
        let body = tokio::select! {
            biased;
            Some(body) = self.urgent.recv() => return Some(body),
            Some(body) = self.bulk.recv() => body,
            else => return None,
        };
        Some(self.take_bytes(body))
    }

    /// The next message, if the queue is not empty.
    pub(super) fn try_next(&mut self) -> Option<Body> {
        if let Ok(body) = self.urgent.try_recv() {
            return Some(body);
        }
        let body = self.bulk.try_recv().ok()?;
        Some(self.take_bytes(body))
    }

    /// Subtract a message that was taken from the bulk lane.
    fn take_bytes(&self, body: Body) -> Body {
        let bytes = message::weight(&body);
        self.bulk_bytes.fetch_sub(bytes, Ordering::Relaxed);
        body
    }
}

fn is_urgent(body: &Body) -> bool {
    match body {
        Body::Raft(raft) => raft.kind != RaftKind::Append,
        Body::StoreHash { .. } => true,
        Body::Forward(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{append, heartbeat};
    use super::*;

    #[test]
    fn heartbeats_overtake_appends() {
        let (sender, mut queue) = queue();
        for index in 1..4 {
            assert!(sender.push(append(index, 10)));
        }
        assert!(sender.push(heartbeat(9)));
        assert_eq!(queue.try_next(), Some(heartbeat(9)));
        for index in 1..4 {
            assert_eq!(queue.try_next(), Some(append(index, 10)));
        }
        assert_eq!(queue.try_next(), None);
    }

    #[test]
    fn a_full_lane_drops_messages_until_it_is_drained() {
        let (sender, mut queue) = queue();
        assert!(sender.push(append(1, BYTES_MAX * 2)), "one always fits");
        assert!(!sender.push(append(2, 1)));
        assert!(sender.push(heartbeat(1)), "the other lane is free");
        while queue.try_next().is_some() {}
        assert!(sender.push(append(3, BYTES_MAX / 2)));
        assert!(!sender.push(append(4, BYTES_MAX / 2)));
        for _ in 0..MESSAGES_MAX {
            sender.push(append(5, 1));
        }
        assert!(!sender.push(append(6, 1)), "the lane is full");
        assert_eq!(
            std::iter::from_fn(|| queue.try_next()).count(),
            MESSAGES_MAX
        );
        assert_eq!(queue.bulk_bytes.load(Ordering::Relaxed), 0);
    }
}
