//! What waits to be sent to one peer: never much, and what is urgent first.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;

use super::message;
use crate::consensus::message::{Body, RaftKind};

/// Messages that may wait in each of the two lanes; what comes on top is dropped.
const MESSAGES_MAX: usize = 1024;

/// Bytes that may wait in the slow lane; what comes on top is dropped, but one message always fits.
const BYTES_MAX: usize = 16 << 20;

/// The driver's end.
pub(super) struct Sender {
    urgent: mpsc::Sender<Body>,
    bulk: mpsc::Sender<Body>,
    bulk_bytes: Arc<AtomicUsize>,
}

/// The peer task's end.
pub(super) struct Queue {
    urgent: mpsc::Receiver<Body>,
    bulk: mpsc::Receiver<Body>,
    bulk_bytes: Arc<AtomicUsize>,
}

/// A queue of two lanes. Heartbeats, votes and answers overtake entries and forwarded commands, so that
/// no follower misses its leader behind a long append. Raft allows any order between them. When a lane
/// is full the message is dropped: Raft sends again what matters.
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
    /// Put `body` into its lane; false if that is full, and then it is dropped.
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
    /// The next message; none when the driver's end is gone and nothing is left. Nothing is lost when
    /// the future is dropped.
    pub(super) async fn next(&mut self) -> Option<Body> {
        let body = tokio::select! {
            biased;
            Some(body) = self.urgent.recv() => return Some(body),
            Some(body) = self.bulk.recv() => body,
            else => return None,
        };
        Some(self.taken(body))
    }

    /// The next message, if one is there.
    pub(super) fn try_next(&mut self) -> Option<Body> {
        if let Ok(body) = self.urgent.try_recv() {
            return Some(body);
        }
        let body = self.bulk.try_recv().ok()?;
        Some(self.taken(body))
    }

    fn taken(&self, body: Body) -> Body {
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
    fn what_does_not_fit_is_dropped_and_room_comes_back() {
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
