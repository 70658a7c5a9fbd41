//! No key goes before its time, and none stays much longer: by the world's clock, which no member sees.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use oxetcd::store::{Action, Command, Event, Path};

use crate::client::{self, Operation};
use crate::machine::{CLOCK_WRITTEN_EVERY, DRIFT_MAX};

/// How long nothing may be committed before it counts as an outage, which makes lives longer.
const OUTAGE_MIN: Duration = Duration::from_millis(50);

/// By how much a life may be longer without any reason.
const LATE_MAX: Duration = Duration::from_millis(300);

/// What may be lost of the cluster's time when the leader changes: its last reading was on its way.
const LATE_PER_TERM: Duration = Duration::from_millis(300);

/// When an entry was learnt of, and what was asked until then.
pub struct Moment<'a> {
    pub now: Duration,
    pub term: u64,
    pub operations: &'a [Operation],
}

/// The keys that are to go.
#[derive(Default)]
pub struct Lifetimes {
    lives: HashMap<Path, Life>,
    last_learnt: Duration,
    last_term: u64,
    last_start: Duration,
    /// Up to when how much time may have been lost in all.
    lost: Vec<(Duration, Duration)>,
}

struct Life {
    ttl: Duration,
    /// It began after this,
    asked: Duration,
    /// and before this.
    seen: Duration,
}

impl Lifetimes {
    /// A member started, and knows only the time it has on disk. Several that start together forget the
    /// same time.
    pub fn note_start(&mut self, now: Duration) {
        if now > self.last_start + LATE_PER_TERM {
            self.lose(now, CLOCK_WRITTEN_EVERY);
        }
        self.last_start = now;
    }

    /// A command was applied, answered so, and made these events.
    ///
    /// # Errors
    ///
    /// A key went too early, or too late.
    pub fn note(
        &mut self,
        command: &Command,
        answer: Option<&Event>,
        events: &[Arc<Event>],
        moment: &Moment<'_>,
    ) -> Result<(), String> {
        let outage = moment.now.saturating_sub(self.last_learnt);
        if outage > OUTAGE_MIN {
            self.lose(moment.now, outage);
        }
        if moment.term != self.last_term {
            self.lose(moment.now, LATE_PER_TERM);
        }
        (self.last_learnt, self.last_term) = (moment.now, moment.term);
        for event in events {
            self.end(event, moment.now)?;
        }
        if let Some(event) = answer
            && let Some(ttl) = client::ttl_of(command)
        {
            let number =
                client::number_of(command).ok_or("a time to live that nobody asked for")?;
            let operation = moment
                .operations
                .get(usize::try_from(number).unwrap_or(usize::MAX));
            let asked = operation.ok_or("an operation that nobody asked for")?.asked;
            let life = Life {
                ttl,
                asked,
                seen: moment.now,
            };
            self.lives.insert(event.node.path.clone(), life);
        }
        Ok(())
    }

    /// What the event changed has no end any more, or came to it.
    fn end(&mut self, event: &Event, now: Duration) -> Result<(), String> {
        for path in &event.removed {
            self.lives.remove(path);
        }
        let life = self.lives.remove(&event.node.path);
        if event.action != Action::Expire {
            return Ok(());
        }
        let Some(Life { ttl, asked, seen }) = life else {
            return Err(format!(
                "{} expired, and had no time to live",
                event.node.path.text()
            ));
        };
        let path = event.node.path.text();
        // Two members' clocks may drift apart, each from the world's.
        let drift = ttl * (2 * DRIFT_MAX) / 1_000_000 + Duration::from_micros(1);
        if now + drift < asked + ttl {
            return Err(format!(
                "{path} went too early, after {:?} of {ttl:?}",
                now - asked
            ));
        }
        let late = LATE_MAX + drift + self.lost_between(seen, now);
        if now > seen + ttl + late {
            return Err(format!(
                "{path} went too late, after {:?} of {ttl:?}",
                now - seen
            ));
        }
        Ok(())
    }

    fn lose(&mut self, now: Duration, time: Duration) {
        let before = self.lost.last().map_or(Duration::ZERO, |(_, lost)| *lost);
        self.lost.push((now, before + time));
    }

    fn lost_between(&self, from: Duration, to: Duration) -> Duration {
        let until = |at: Duration| {
            let place = self.lost.partition_point(|(then, _)| *then <= at);
            place
                .checked_sub(1)
                .map_or(Duration::ZERO, |place| self.lost[place].1)
        };
        until(to) - until(from)
    }
}
