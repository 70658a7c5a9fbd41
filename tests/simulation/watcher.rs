//! The watchers: each receives every matching event once and in order, over all members that it connects to.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use oxetcd::consensus::{LiveWatch, StartedWatch, WatchRest};
use oxetcd::store::{Event, Interest, Path};
use tokio::sync::oneshot;

use crate::host::members;
use crate::random::Random;
use crate::reference::Reference;
use crate::world::World;

/// A watching client that resumes where it stopped.
pub struct Watcher {
    member: usize,
    interest: Interest,
    stream: bool,
    /// The next index to watch from; none before the first watch.
    next: Option<u64>,
    pending: Option<oneshot::Receiver<StartedWatch>>,
    live: Option<LiveWatch>,
    received: u64,
    cleared: u64,
}

impl Watcher {
    pub fn new(number: usize, random: &mut Random) -> Self {
        let interest = match number % 4 {
            0 => ("/", true),
            1 => (*random.pick(&["/k0", "/k1", "/queue"]), true),
            2 => (
                *random.pick(&["/k0/v0", "/k1/v1", "/k0/v3", "/k2/v5"]),
                false,
            ),
            _ => (*random.pick(&["/k2", "/d0", "/d1"]), true),
        };
        Self {
            member: 0,
            interest: Interest {
                path: Path::parse(interest.0).expect("a key"),
                recursive: interest.1,
            },
            stream: random.permille(500),
            next: None,
            pending: None,
            live: None,
            received: 0,
            cleared: 0,
        }
    }

    /// Number of received events.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Number of answers 401 (event index cleared).
    pub fn cleared(&self) -> u64 {
        self.cleared
    }

    /// Whether it has received all events and waits for the next one.
    pub fn is_settled(&self, reference: &Reference) -> bool {
        let next = self.next.unwrap_or(0);
        self.live.is_some() && reference.next_event(&self.interest, next).is_none()
    }

    fn start(&mut self, watching: StartedWatch, reference: &Reference) -> Result<(), String> {
        reference.check_position(watching.position)?;
        let after = watching.position.index + 1;
        let next = *self.next.get_or_insert(after);
        match watching.past {
            Err(_) => {
                reference.check_cleared(next, watching.position)?;
                self.cleared += 1;
                // The client lists the tree and continues from there.
                self.next = Some(after);
            }
            Ok(past) => past
                .iter()
                .try_for_each(|event| self.receive(event, reference))?,
        }
        match watching.rest {
            WatchRest::Live(live) => self.live = Some(live),
            WatchRest::MoreHistory(from) => self.skip(from, reference)?,
            WatchRest::Done => {}
        }
        Ok(())
    }

    fn poll_stream(&mut self, reference: &Reference) -> Result<(), String> {
        let Some(mut live) = self.live.take() else {
            return Ok(());
        };
        loop {
            let polled = {
                let next = std::pin::pin!(live.next());
                next.poll(&mut Context::from_waker(Waker::noop()))
            };
            match polled {
                Poll::Ready(Some(event)) => self.receive(&event, reference)?,
                Poll::Ready(None) => return self.skip(live.resume_at(), reference),
                Poll::Pending => break,
            }
        }
        self.live = Some(live);
        Ok(())
    }

    fn receive(&mut self, event: &Arc<Event>, reference: &Reference) -> Result<(), String> {
        let next = self.next.unwrap_or(0);
        let expected = reference.next_event(&self.interest, next);
        if expected != Some(event) {
            return Err(format!(
                "a watch from {next} received {event:?} instead of {expected:?}"
            ));
        }
        self.next = Some(event.index() + 1);
        self.received += 1;
        Ok(())
    }

    /// The watch continues at index `from`: no matching event may be before it.
    fn skip(&mut self, from: u64, reference: &Reference) -> Result<(), String> {
        let next = self.next.unwrap_or(0);
        if from <= next {
            return Ok(());
        }
        match reference.next_event(&self.interest, next) {
            Some(event) if event.index() < from => Err(format!(
                "a watch from {next} continues at {from} and misses {event:?}"
            )),
            Some(_) | None => {
                self.next = Some(from);
                Ok(())
            }
        }
    }

    /// Sometimes move the next watch back in the history, or to a future index.
    fn jump(&mut self, random: &mut Random, index: u64) {
        let Some(next) = &mut self.next else { return };
        match random.below(60) {
            0 => *next = 1 + random.below(index),
            1 => *next = (index.saturating_sub(random.below(40))).max(1),
            2 => *next = (*next).max(index + random.below(4)),
            _ => {}
        }
    }
}

impl World {
    /// Collect events of the watchers at `member`; watchers without a watch start one.
    pub fn poll_watchers(&mut self, member: usize) {
        for number in 0..self.watchers.len() {
            let watcher = &mut self.watchers[number];
            if watcher.member == member || (watcher.pending.is_none() && watcher.live.is_none()) {
                let checked = self.poll_watcher(number);
                self.record(checked.map_err(|why| format!("watcher {number}: {why}")));
            }
        }
    }

    fn poll_watcher(&mut self, number: usize) -> Result<(), String> {
        use oneshot::error::TryRecvError::Empty;
        let watcher = &mut self.watchers[number];
        if let Some(mut answer) = watcher.pending.take() {
            match answer.try_recv() {
                Err(Empty) => watcher.pending = Some(answer),
                Ok(watching) => watcher.start(watching, &self.reference)?,
                Err(_) => {}
            }
        }
        watcher.poll_stream(&self.reference)?;
        if watcher.live.is_some() && !self.is_ending && self.random.permille(2) {
            // The connection is lost.
            watcher.live = None;
        }
        if watcher.pending.is_none() && watcher.live.is_none() {
            if !self.is_ending {
                watcher.jump(&mut self.random, self.reference.store().index());
            }
            watcher.member = *self.random.pick(&members(&self.hosts));
            let host = &mut self.hosts[watcher.member];
            watcher.pending = host.watch(watcher.interest.clone(), watcher.stream, watcher.next);
            let member = watcher.member;
            self.wake(member);
        }
        Ok(())
    }
}
