//! No key expires too early or much too late, by the simulated time that no member sees.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use oxetcd::store::{Action, Command, Event, Path};

use crate::client::{self, Operation};
use crate::host::{CLOCK_WRITTEN_EVERY, DRIFT_MAX};

/// A longer time without a commit is an outage, which delays expiry.
const OUTAGE_MIN: Duration = Duration::from_millis(50);

/// Maximum delay of an expiry without an outage.
const LATE_MAX: Duration = Duration::from_millis(300);

/// Cluster time that a change of the leader may lose: the last reading of its clock was not committed.
const LATE_PER_TERM: Duration = Duration::from_millis(300);

/// The time at which an entry was first applied, and the operations until then.
pub struct Moment<'a> {
    pub now: Duration,
    pub term: u64,
    pub operations: &'a [Operation],
}

/// The keys with a time to live.
#[derive(Default)]
pub struct ExpiryCheck {
    lifetimes: HashMap<Path, Lifetime>,
    last_learnt: Duration,
    last_term: u64,
    last_start: Duration,
    /// Cluster time that may be lost in total, by simulated time.
    lost: Vec<(Duration, Duration)>,
}

struct Lifetime {
    ttl: Duration,
    /// Earliest start,
    asked: Duration,
    /// and latest start.
    seen: Duration,
}

impl ExpiryCheck {
    /// Note the start of a member, which knows only the cluster time on its disk. Members that start together lose
    /// the same time.
    pub fn note_start(&mut self, now: Duration) {
        if now > self.last_start + LATE_PER_TERM {
            self.lose(now, CLOCK_WRITTEN_EVERY);
        }
        self.last_start = now;
    }

    /// Check the events of an applied command, and note its time to live.
    ///
    /// # Errors
    ///
    /// If a key expired too early or too late.
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
            let number = client::number_of(command).ok_or("a time to live without an operation")?;
            let operation = moment
                .operations
                .get(usize::try_from(number).unwrap_or(usize::MAX));
            let asked = operation.ok_or("an operation that no client sent")?.asked;
            let lifetime = Lifetime {
                ttl,
                asked,
                seen: moment.now,
            };
            self.lifetimes.insert(event.node.path.clone(), lifetime);
        }
        Ok(())
    }

    /// Remove the keys that an event changed, and check the time if it is an expiry.
    fn end(&mut self, event: &Event, now: Duration) -> Result<(), String> {
        for path in &event.removed {
            self.lifetimes.remove(path);
        }
        let lifetime = self.lifetimes.remove(&event.node.path);
        if event.action != Action::Expire {
            return Ok(());
        }
        let Some(Lifetime { ttl, asked, seen }) = lifetime else {
            return Err(format!(
                "{} expired without a time to live",
                event.node.path.text()
            ));
        };
        let path = event.node.path.text();
        // The clocks of two members may drift in opposite directions.
        let drift = ttl * (2 * DRIFT_MAX) / 1_000_000 + Duration::from_micros(1);
        if now + drift < asked + ttl {
            return Err(format!(
                "{path} expired too early, after {:?} of {ttl:?}",
                now - asked
            ));
        }
        let late = LATE_MAX + drift + self.lost_between(seen, now);
        if now > seen + ttl + late {
            return Err(format!(
                "{path} expired too late, after {:?} of {ttl:?}",
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
            let count = self.lost.partition_point(|(then, _)| *then <= at);
            count
                .checked_sub(1)
                .map_or(Duration::ZERO, |count| self.lost[count].1)
        };
        until(to) - until(from)
    }
}
