//! Snapshots that are stored, and transfers that fail.

use std::io::{self, Read};
use std::sync::Arc;

use super::super::{OpenSnapshot, Report, SnapshotBody};
use super::endpoint::{Endpoint, Stored};
use super::{heartbeat, raft};
use crate::consensus::message::{Body, RaftKind, RaftMessage};
use crate::wal::{Configuration, SnapshotMeta};

const LENGTH: usize = 3_000_000;

fn image() -> Vec<u8> {
    (0..LENGTH).map(|at| (at % 251).to_le_bytes()[0]).collect()
}

fn message(index: u64) -> Body {
    Body::Raft(RaftMessage {
        snapshot: Some(SnapshotMeta {
            index,
            term: 1,
            configuration: Configuration {
                voters: vec![1, 2],
                ..Configuration::default()
            },
        }),
        ..raft(RaftKind::Snapshot, 0)
    })
}

fn whole() -> OpenSnapshot {
    Arc::new(|_| {
        Ok(SnapshotBody {
            length: LENGTH as u64,
            bytes: Box::new(io::Cursor::new(image())),
        })
    })
}

async fn outcome(end: &mut Endpoint) -> (u64, bool) {
    loop {
        match end.report().await {
            Report::SnapshotSent {
                index, delivered, ..
            } => return (index, delivered),
            Report::Received(_)
            | Report::Unreachable(_)
            | Report::AddressChanged { .. }
            | Report::Removed(_) => {}
        }
    }
}

async fn pair(open: OpenSnapshot, stored: &Stored) -> (Endpoint, Endpoint) {
    let mut one = Endpoint::with(7, 1, open, Stored::default().receive(), 1000).await;
    let two = Endpoint::with(7, 2, whole(), stored.receive(), 1000).await;
    one.peers.set_members(&[two.member()]);
    (one, two)
}

#[tokio::test]
async fn a_snapshot_is_stored_before_it_is_reported() {
    let stored = Stored::default();
    let (mut one, mut two) = pair(whole(), &stored).await;
    one.send(&two, message(5));
    let received = two.received().await;
    assert_eq!(received.message.body, message(5));
    assert_eq!(*stored.0.lock().expect("no panic"), [(5, image())]);
    assert_eq!(outcome(&mut one).await, (5, true));
    // Another one is refused until the driver has handled it.
    one.send(&two, message(6));
    assert_eq!(outcome(&mut one).await, (6, false));
    drop(received);
    one.send(&two, message(7));
    assert_eq!(outcome(&mut one).await, (7, true));
}

#[tokio::test]
async fn one_snapshot_at_a_time_to_each_peer() {
    let stored = Stored::default();
    let (mut one, mut two) = pair(whole(), &stored).await;
    one.send(&two, message(5));
    one.send(&two, message(6));
    assert_eq!(outcome(&mut one).await, (6, false));
    assert_eq!(outcome(&mut one).await, (5, true));
    assert_eq!(two.received().await.message.body, message(5));
}

#[tokio::test]
async fn heartbeats_do_not_wait_for_a_snapshot() {
    let stored = Stored::default();
    let (gate, opened) = std::sync::mpsc::channel::<()>();
    let opened = Arc::new(std::sync::Mutex::new(Some(opened)));
    let open: OpenSnapshot = Arc::new(move |_| {
        // Returns its first half, and blocks until the gate opens.
        let gate = opened.lock().expect("no panic").take();
        let mut first = image();
        let second = first.split_off(LENGTH / 2);
        let wait = Gate(gate);
        Ok(SnapshotBody {
            length: LENGTH as u64,
            bytes: Box::new(
                io::Cursor::new(first)
                    .chain(wait)
                    .chain(io::Cursor::new(second)),
            ),
        })
    });
    let (mut one, mut two) = pair(open, &stored).await;
    one.send(&two, message(5));
    one.send_until_received(&mut two, heartbeat(3)).await;
    drop(gate);
    assert_eq!(outcome(&mut one).await, (5, true));
    assert_eq!(*stored.0.lock().expect("no panic"), [(5, image())]);
}

#[tokio::test]
async fn a_truncated_snapshot_is_not_stored() {
    let failing: OpenSnapshot = Arc::new(|_| {
        let half = io::Cursor::new(image()).take(LENGTH as u64 / 2);
        Ok(SnapshotBody {
            length: LENGTH as u64,
            bytes: Box::new(half.chain(Broken)),
        })
    });
    let short: OpenSnapshot = Arc::new(|_| {
        Ok(SnapshotBody {
            length: LENGTH as u64,
            bytes: Box::new(io::Cursor::new(image()).take(LENGTH as u64 - 1)),
        })
    });
    let gone: OpenSnapshot = Arc::new(|_| Err(io::ErrorKind::NotFound.into()));
    for open in [failing, short, gone] {
        let stored = Stored::default();
        let (mut one, mut two) = pair(open, &stored).await;
        one.send(&two, message(5));
        assert_eq!(outcome(&mut one).await, (5, false));
        assert!(stored.0.lock().expect("no panic").is_empty());
        assert!(two.report_soon().await.is_none());
    }
}

#[tokio::test]
async fn a_full_disk_is_reported() {
    let full: super::super::ReceiveSnapshot = Arc::new(|_, bytes| {
        let mut piece = [0; 1000];
        bytes.read_exact(&mut piece)?;
        Err(io::ErrorKind::StorageFull.into())
    });
    let mut one = Endpoint::with(7, 1, whole(), Stored::default().receive(), 1000).await;
    let mut two = Endpoint::with(7, 2, whole(), full, 1000).await;
    one.peers.set_members(&[two.member()]);
    one.send(&two, message(5));
    assert_eq!(outcome(&mut one).await, (5, false));
    assert!(two.report_soon().await.is_none());
}

/// A reader that blocks until the other end of its channel is dropped.
struct Gate(Option<std::sync::mpsc::Receiver<()>>);

impl Read for Gate {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        if let Some(gate) = self.0.take() {
            let _ = gate.recv();
        }
        Ok(0)
    }
}

/// A disk that fails.
struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("bad sector"))
    }
}
