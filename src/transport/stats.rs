//! Counters of the messages between members, for the statistics pages.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::cluster::MemberId;
use crate::consensus::message::{Body, RaftKind, RaftMessage};

/// How many of the last packages a rate is computed over.
const SAMPLES_MAX: usize = 200;

/// The rates are zero after this time without a package.
const RATE_MEMORY: Duration = Duration::from_secs(1);

/// How many unanswered appends to one follower are kept for measuring; older ones are not measured.
const APPENDS_MAX: usize = 512;

/// An answer that took longer is not measured: it belongs to an earlier term of this leader.
const LATENCY_MAX: Duration = Duration::from_secs(10);

/// The counters of the whole transport: the tasks write them, the pages read them.
#[derive(Default)]
pub struct Stats(Mutex<Counters>);

/// The counters at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// Appends and heartbeats sent.
    pub sent: Traffic,
    /// Appends and heartbeats received.
    pub received: Traffic,
    /// Appends and heartbeats to each peer.
    pub followers: HashMap<MemberId, Follower>,
}

/// Appends and heartbeats in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Traffic {
    /// Their number since the start.
    pub count: u64,
    /// Their bytes since the start.
    pub bytes: u64,
    /// Packages per second, over the last [`SAMPLES_MAX`]; zero after a second without any.
    pub package_rate: f64,
    /// Bytes per second, over the same packages.
    pub byte_rate: f64,
}

/// Appends and heartbeats to one peer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Follower {
    /// How many were answered.
    pub success: u64,
    /// How many could not be sent.
    pub fail: u64,
    /// The latency of the answers.
    pub latency: Latency,
}

/// The latency of answers, in milliseconds; all zero before the first answer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Latency {
    /// That of the last answer.
    pub current: f64,
    /// The mean.
    pub average: f64,
    /// The mean of the squares.
    average_square: f64,
    /// The standard deviation.
    pub standard_deviation: f64,
    /// The shortest.
    pub minimum: f64,
    /// The longest.
    pub maximum: f64,
}

impl Stats {
    /// Count a message of this number of bytes that is sent to `to`.
    pub(super) fn sent(&self, to: MemberId, body: &Body, bytes: usize, now: Instant) {
        let Some(raft) = append_or_heartbeat(body) else {
            return;
        };
        let mut counters = self.lock();
        counters.sent.add(bytes, now);
        let peer = counters.peers.entry(to).or_default();
        if raft.kind == RaftKind::Heartbeat {
            peer.heartbeat.get_or_insert(now);
            return;
        }
        let last = raft.index.saturating_add(raft.entries.len() as u64);
        if peer.appends.len() >= APPENDS_MAX {
            peer.appends.pop_front();
        }
        peer.appends.push_back((last, now));
    }

    /// Count appends and heartbeats (see [`is_counted`]) that could not be sent.
    pub(super) fn failed(&self, to: MemberId, lost: u64) {
        if lost > 0 {
            let mut counters = self.lock();
            let peer = counters.peers.entry(to).or_default();
            peer.follower.fail += lost;
            peer.heartbeat = None;
            peer.appends.clear();
        }
    }

    /// Count a message of this number of bytes that was received from `from`.
    pub(super) fn received(&self, from: MemberId, body: &Body, bytes: usize, now: Instant) {
        let Body::Raft(raft) = body else {
            return;
        };
        let mut counters = self.lock();
        if append_or_heartbeat(body).is_some() {
            counters.received.add(bytes, now);
        } else if let Some(peer) = counters.peers.get_mut(&from) {
            peer.answered(raft, now);
        }
    }

    /// Forget a peer that was removed from the cluster.
    pub(super) fn forget(&self, id: MemberId) {
        self.lock().peers.remove(&id);
    }

    /// Read the counters at the time `now`.
    pub fn read(&self, now: Instant) -> Reading {
        let counters = self.lock();
        let followers = counters.peers.iter();
        Reading {
            sent: counters.sent.read(now),
            received: counters.received.read(now),
            followers: followers.map(|(id, peer)| (*id, peer.follower)).collect(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counters> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether `body` is an append or a heartbeat.
pub(super) fn is_counted(body: &Body) -> bool {
    append_or_heartbeat(body).is_some()
}

/// These two are the append requests of etcd 0.4.6.
fn append_or_heartbeat(body: &Body) -> Option<&RaftMessage> {
    match body {
        Body::Raft(raft) if matches!(raft.kind, RaftKind::Append | RaftKind::Heartbeat) => {
            Some(raft)
        }
        Body::Raft(_) | Body::Forward(_) | Body::StoreHash { .. } => None,
    }
}

#[derive(Default)]
struct Counters {
    sent: Recent,
    received: Recent,
    peers: HashMap<MemberId, Peer>,
}

/// The last packages in one direction.
#[derive(Default)]
struct Recent {
    count: u64,
    bytes: u64,
    samples: VecDeque<(Instant, usize)>,
}

impl Recent {
    fn add(&mut self, bytes: usize, now: Instant) {
        self.count += 1;
        self.bytes += bytes as u64;
        if self.samples.len() >= SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back((now, bytes));
    }

    fn read(&self, now: Instant) -> Traffic {
        let (package_rate, byte_rate) = self.rates(now).unwrap_or_default();
        Traffic {
            count: self.count,
            bytes: self.bytes,
            package_rate,
            byte_rate,
        }
    }

    fn rates(&self, now: Instant) -> Option<(f64, f64)> {
        let (&(first, _), &(last, _)) = (self.samples.front()?, self.samples.back()?);
        let seconds = last.saturating_duration_since(first).as_secs_f64();
        if now.saturating_duration_since(last) > RATE_MEMORY || seconds <= 0.0 {
            return None;
        }
        let bytes: usize = self.samples.iter().map(|(_, bytes)| bytes).sum();
        Some((self.samples.len() as f64 / seconds, bytes as f64 / seconds))
    }
}

#[derive(Default)]
struct Peer {
    follower: Follower,
    /// When the oldest unanswered heartbeat was sent.
    heartbeat: Option<Instant>,
    /// The last index of each unanswered append, and when it was sent.
    appends: VecDeque<(u64, Instant)>,
}

impl Peer {
    fn answered(&mut self, raft: &RaftMessage, now: Instant) {
        let asked = match raft.kind {
            RaftKind::HeartbeatResponse => self.heartbeat.take(),
            RaftKind::AppendResponse => self.append_answered(raft),
            RaftKind::Append
            | RaftKind::Vote
            | RaftKind::VoteResponse
            | RaftKind::Snapshot
            | RaftKind::Heartbeat
            | RaftKind::TransferLeader
            | RaftKind::TimeoutNow
            | RaftKind::ReadIndex
            | RaftKind::ReadIndexResponse
            | RaftKind::PreVote
            | RaftKind::PreVoteResponse => None,
        };
        if let Some(asked) = asked {
            let took = now.saturating_duration_since(asked);
            if took <= LATENCY_MAX {
                self.follower.success += 1;
                self.follower.latency.add(took, self.follower.success);
            }
        }
    }

    /// The index of an answer is the last index of the append it answers, or of a later one if it answers
    /// several. After a rejection all appends under way are rejected or sent again.
    fn append_answered(&mut self, raft: &RaftMessage) -> Option<Instant> {
        if raft.reject {
            let asked = self.appends.pop_back().map(|(_, sent)| sent);
            self.appends.clear();
            return asked;
        }
        let mut asked = None;
        while let Some(&(last, sent)) = self.appends.front() {
            if last > raft.index {
                break;
            }
            asked = Some(sent);
            self.appends.pop_front();
        }
        asked
    }
}

impl Latency {
    fn add(&mut self, took: Duration, count: u64) {
        let milliseconds = took.as_secs_f64() * 1000.0;
        let count = count as f64;
        self.current = milliseconds;
        self.average += (milliseconds - self.average) / count;
        self.average_square += (milliseconds * milliseconds - self.average_square) / count;
        let variance = self.average_square - self.average * self.average;
        self.standard_deviation = variance.max(0.0).sqrt();
        self.maximum = self.maximum.max(milliseconds);
        self.minimum = if count > 1.0 {
            self.minimum.min(milliseconds)
        } else {
            milliseconds
        };
    }
}

#[cfg(test)]
#[path = "stats_tests.rs"]
mod tests;
