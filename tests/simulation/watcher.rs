//! The watchers: each hears everything it waits for, once and in order, whichever member it is at.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use oxetcd::consensus::{LiveWatch, StartedWatch, WatchRest};
use oxetcd::store::{Event, Interest, Path};
use tokio::sync::oneshot;

use crate::machine::members;
use crate::random::Random;
use crate::truth::Truth;
use crate::world::World;

/// A client that watches, and resumes wherever it stopped.
pub struct Watcher {
    member: usize,
    interest: Interest,
    stream: bool,
    /// The index to hear of next; none before its first watch.
    next: Option<u64>,
    asked: Option<oneshot::Receiver<StartedWatch>>,
    live: Option<LiveWatch>,
    heard: u64,
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
            asked: None,
            live: None,
            heard: 0,
            cleared: 0,
        }
    }

    /// How many events it heard.
    pub fn heard(&self) -> u64 {
        self.heard
    }

    /// How often its history was gone.
    pub fn cleared(&self) -> u64 {
        self.cleared
    }

    /// Whether it is up to date: it waits for what has not happened yet.
    pub fn is_settled(&self, truth: &Truth) -> bool {
        let next = self.next.unwrap_or(0);
        self.live.is_some() && truth.next_event(&self.interest, next).is_none()
    }

    fn begin(&mut self, watching: StartedWatch, truth: &Truth) -> Result<(), String> {
        truth.check_position(watching.position)?;
        let after = watching.position.index + 1;
        let next = *self.next.get_or_insert(after);
        match watching.past {
            Err(_) => {
                truth.check_cleared(next, watching.position)?;
                self.cleared += 1;
                // It looks at everything, and goes on from there.
                self.next = Some(after);
            }
            Ok(past) => past.iter().try_for_each(|event| self.hear(event, truth))?,
        }
        match watching.rest {
            WatchRest::Live(live) => self.live = Some(live),
            WatchRest::MoreHistory(from) => self.skip(from, truth)?,
            WatchRest::Done => {}
        }
        Ok(())
    }

    fn listen(&mut self, truth: &Truth) -> Result<(), String> {
        let Some(mut live) = self.live.take() else {
            return Ok(());
        };
        loop {
            let polled = {
                let next = std::pin::pin!(live.next());
                next.poll(&mut Context::from_waker(Waker::noop()))
            };
            match polled {
                Poll::Ready(Some(event)) => self.hear(&event, truth)?,
                Poll::Ready(None) => return self.skip(live.resume_at(), truth),
                Poll::Pending => break,
            }
        }
        self.live = Some(live);
        Ok(())
    }

    fn hear(&mut self, event: &Arc<Event>, truth: &Truth) -> Result<(), String> {
        let next = self.next.unwrap_or(0);
        let expected = truth.next_event(&self.interest, next);
        if expected != Some(event) {
            return Err(format!(
                "a watch from {next} heard {event:?} instead of {expected:?}"
            ));
        }
        self.next = Some(event.index() + 1);
        self.heard += 1;
        Ok(())
    }

    /// It is told that nothing happens before the index `from`.
    fn skip(&mut self, from: u64, truth: &Truth) -> Result<(), String> {
        let next = self.next.unwrap_or(0);
        if from <= next {
            return Ok(());
        }
        match truth.next_event(&self.interest, next) {
            Some(event) if event.index() < from => Err(format!(
                "a watch from {next} is to go on at {from}, and missed {event:?}"
            )),
            Some(_) | None => {
                self.next = Some(from);
                Ok(())
            }
        }
    }

    /// Before it watches again: now and then it goes back, or waits for what is yet to come.
    fn wander(&mut self, random: &mut Random, index: u64) {
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
    /// See whether any watcher at `member` heard something; those that have no watch begin one.
    pub fn poll_watchers(&mut self, member: usize) {
        for number in 0..self.watchers.len() {
            let watcher = &mut self.watchers[number];
            if watcher.member == member || (watcher.asked.is_none() && watcher.live.is_none()) {
                let checked = self.poll_watcher(number);
                self.note(checked.map_err(|why| format!("watcher {number}: {why}")));
            }
        }
    }

    fn poll_watcher(&mut self, number: usize) -> Result<(), String> {
        use oneshot::error::TryRecvError::Empty;
        let watcher = &mut self.watchers[number];
        if let Some(mut answer) = watcher.asked.take() {
            match answer.try_recv() {
                Err(Empty) => watcher.asked = Some(answer),
                Ok(watching) => watcher.begin(watching, &self.truth)?,
                Err(_) => {}
            }
        }
        watcher.listen(&self.truth)?;
        if watcher.live.is_some() && !self.ends && self.random.permille(2) {
            // Its connection breaks.
            watcher.live = None;
        }
        if watcher.asked.is_none() && watcher.live.is_none() {
            if !self.ends {
                watcher.wander(&mut self.random, self.truth.store().index());
            }
            watcher.member = *self.random.pick(&members(&self.machines));
            let machine = &mut self.machines[watcher.member];
            watcher.asked = machine.watch(watcher.interest.clone(), watcher.stream, watcher.next);
            let member = watcher.member;
            self.wake(member);
        }
        Ok(())
    }
}
