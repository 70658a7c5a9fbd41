//! Requests of clients to a member, and its state as they see it.

use std::sync::RwLockReadGuard;

use oxetcd::cluster::Refusal;
use oxetcd::consensus::input::Request;
use oxetcd::consensus::{AppliedState, Change, Input, Refused, StartedWatch, Written};
use oxetcd::store::{Command, Interest, Listing, Path};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::host::{Host, Running};

impl Host {
    /// Send a write; the answer comes later. None if the member is down or its queue is full.
    pub fn write(
        &mut self,
        command: Command,
    ) -> Option<oneshot::Receiver<Result<Written, Refused>>> {
        self.send_request(|answer, permit| Request::Write {
            command,
            answer,
            permit,
        })
    }

    /// Send a linearizable read.
    pub fn barrier(&mut self) -> Option<oneshot::Receiver<Result<(), Refused>>> {
        self.send_request(|answer, _| Request::Barrier(answer))
    }

    /// Send a watch from an index, or for the next event.
    pub fn watch(
        &mut self,
        interest: Interest,
        stream: bool,
        since: Option<u64>,
    ) -> Option<oneshot::Receiver<StartedWatch>> {
        self.send_request(|answer, _| Request::Watch {
            interest,
            stream,
            since,
            answer,
        })
    }

    fn send_request<T>(
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

    /// Send a membership change.
    pub fn change(&mut self, change: Change) -> Option<oneshot::Receiver<Result<(), Refusal>>> {
        let running = self.running.as_mut()?;
        let (answer, answered) = oneshot::channel();
        let request = Request::Change { change, answer };
        running.reports.send(Input::Request(request)).ok()?;
        Some(answered)
    }

    /// Read a key from the local store, with the index of the last applied entry. None if the member is down or
    /// paused.
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

    /// Index of the last applied entry.
    pub fn applied(&self) -> Option<u64> {
        self.running
            .as_ref()
            .map(|running| running.core.applied_index())
    }

    /// Describe the state of the host, for messages.
    pub fn describe(&self) -> String {
        let Some(running) = &self.running else {
            return format!("{} is down, {:?}", self.number, self.member_state);
        };
        let core = &running.core;
        let paused = if self.paused { ", paused" } else { "" };
        let role = if core.leads() { "leader" } else { "follower" };
        format!(
            "{}: {role} in term {}, applied {}{paused}",
            self.number,
            core.term(),
            core.applied_index()
        )
    }
}

impl Running {
    /// Whether it serves clients: a joining member does not before its first snapshot.
    fn serves(&self) -> bool {
        self.core.applied_index() > 0
    }

    /// The applied state that all tasks read.
    pub fn view(&self) -> RwLockReadGuard<'_, AppliedState> {
        self.view.read().expect("one thread")
    }
}
