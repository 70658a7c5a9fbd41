//! What members sent each other, counted for the statistics pages.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::cluster::MemberId;
use crate::consensus::message::{Body, RaftKind, RaftMessage};

/// A rate is taken over at most this many of the last packages.
const SAMPLES_MAX: usize = 200;

/// After this long without a package the rates are zero.
const RATE_MEMORY: Duration = Duration::from_secs(1);

/// Appends to one follower that may wait to be matched with their answers; older ones go unmeasured.
const APPENDS_MAX: usize = 512;

/// An answer that took longer belongs to another time of leading, and is not measured.
const LATENCY_MAX: Duration = Duration::from_secs(10);

/// The counters. One for the whole transport; the tasks write, the pages read.
#[derive(Default)]
pub struct Stats(Mutex<Counters>);

/// What the counters say at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// Appends and heartbeats sent.
    pub sent: Traffic,
    /// Appends and heartbeats received.
    pub received: Traffic,
    /// What each peer made of what it was sent.
    pub followers: HashMap<MemberId, Follower>,
}

/// Appends and heartbeats in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Traffic {
    /// How many, since the start.
    pub count: u64,
    /// Their bytes, since the start.
    pub bytes: u64,
    /// Packages a second, over the last [`SAMPLES_MAX`]; zero after a second without any.
    pub package_rate: f64,
    /// Bytes a second, over the same.
    pub byte_rate: f64,
}

/// How appends and heartbeats to one peer went.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Follower {
    /// How many were answered.
    pub success: u64,
    /// How many could not be sent.
    pub fail: u64,
    /// How long answers took.
    pub latency: Latency,
}

/// How long answers took, in milliseconds; all zero before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Latency {
    /// The last one.
    pub current: f64,
    /// Their mean.
    pub average: f64,
    /// The mean of their squares.
    average_square: f64,
    /// The standard deviation.
    pub standard_deviation: f64,
    /// The shortest.
    pub minimum: f64,
    /// The longest.
    pub maximum: f64,
}

impl Stats {
    /// Count a message that is being sent to `to`, of `bytes`.
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

    /// Count appends and heartbeats that could not be sent: `lost`, as [`is_counted`] tells.
    pub(super) fn failed(&self, to: MemberId, lost: u64) {
        if lost > 0 {
            let mut counters = self.lock();
            let peer = counters.peers.entry(to).or_default();
            peer.follower.fail += lost;
            peer.heartbeat = None;
            peer.appends.clear();
        }
    }

    /// Count a message that came from `from`, of `bytes`.
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

    /// Forget a peer that is no member any more.
    pub(super) fn forget(&self, id: MemberId) {
        self.lock().peers.remove(&id);
    }

    /// What the counters say at `now`.
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

/// These two are what 0.4.6 called an append request.
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
    /// Since when a heartbeat is unanswered.
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

    /// An answer's index is the last one of the append it is about, or of a later one if it says that
    /// for several. After a no, all that are on their way will be refused or sent again.
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
