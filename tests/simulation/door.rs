//! The door of a member: what clients and the world ask of it, and see of it.

use std::sync::RwLockReadGuard;

use oxetcd::cluster::Refusal;
use oxetcd::consensus::handle::Request;
use oxetcd::consensus::{AppliedState, Change, Input, Refused, Watching, Written};
use oxetcd::store::{Command, Interest, Listing, Path};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::machine::{Machine, Running};

impl Machine {
    /// Ask for a write; the answer comes later. None at a dead member, or one that has too much to do.
    pub fn write(
        &mut self,
        command: Command,
    ) -> Option<oneshot::Receiver<Result<Written, Refused>>> {
        self.ask(|answer, permit| Request::Write {
            command,
            answer,
            permit,
        })
    }

    /// Ask for a linearizable look.
    pub fn barrier(&mut self) -> Option<oneshot::Receiver<Result<(), Refused>>> {
        self.ask(|answer, _| Request::Barrier(answer))
    }

    /// Watch from an index on, or for what comes next.
    pub fn watch(
        &mut self,
        interest: Interest,
        stream: bool,
        since: Option<u64>,
    ) -> Option<oneshot::Receiver<Watching>> {
        self.ask(|answer, _| Request::Watch {
            interest,
            stream,
            since,
            answer,
        })
    }

    fn ask<T>(
        &mut self,
        request: impl FnOnce(oneshot::Sender<T>, OwnedSemaphorePermit) -> Request,
    ) -> Option<oneshot::Receiver<T>> {
        let running = self.running.as_mut().filter(|running| running.serves())?;
        let permit = running.permits.clone().try_acquire_owned().ok()?;
        let (answer, answered) = oneshot::channel();
        running
            .reports
            .send(Input::Request(request(answer, permit)))
            .ok()?;
        Some(answered)
    }

    /// Ask for a change of the membership.
    pub fn change(&mut self, change: Change) -> Option<oneshot::Receiver<Result<(), Refusal>>> {
        let running = self.running.as_mut()?;
        let (answer, answered) = oneshot::channel();
        let request = Request::Change { change, answer };
        running.reports.send(Input::Request(request)).ok()?;
        Some(answered)
    }

    /// What a key holds here, and as of which entry. None at a dead or paused member.
    pub fn read(&self, path: &Path) -> Option<(u64, Option<Listing>)> {
        let running = self.running.as_ref().filter(|_| !self.paused)?;
        if !running.serves() {
            return None;
        }
        let view = running.view();
        let found = view.store.get(path).ok();
        Some((
            view.raft_index,
            found.map(|found| found.listing(true, view.store.clock())),
        ))
    }

    /// The index of the last applied entry.
    pub fn applied(&self) -> Option<u64> {
        self.running.as_ref().map(|running| running.core.applied())
    }

    /// Where it stands, for a person.
    pub fn describe(&self) -> String {
        let Some(running) = &self.running else {
            return format!("{} is dead, {:?}", self.number, self.standing);
        };
        let core = &running.core;
        let paused = if self.paused { ", paused" } else { "" };
        let role = if core.leads() { "leads" } else { "follows" };
        format!(
            "{} {role} in term {}, applied {}{paused}",
            self.number,
            core.term(),
            core.applied()
        )
    }
}

impl Running {
    /// Whether clients may ask: one that joins has nothing to tell before its first snapshot.
    fn serves(&self) -> bool {
        self.core.applied() > 0
    }

    /// What it shows to all.
    pub fn view(&self) -> RwLockReadGuard<'_, AppliedState> {
        self.view.read().expect("one thread")
    }
}
