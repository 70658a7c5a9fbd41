//! The sending side: the set of peers, and a task for each.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::task::AbortHandle;
use tracing::warn;

use super::peer::{Peer, Target};
use super::queue::{self, Sender};
use super::snapshot::{self, OpenSnapshot};
use super::{Inbox, Local, Report, Stats, stats};
use crate::cluster::{Member, MemberId, peer_address};
use crate::consensus::message::{Body, Message, RaftKind};
use crate::consensus::outbox::Outbox;

/// The peers, as the driver's [`Outbox`]. Dropping it closes the connections to them.
pub struct Peers {
    local: Arc<Local>,
    runtime: Handle,
    inbox: Inbox,
    open: OpenSnapshot,
    stats: Arc<Stats>,
    routes: HashMap<MemberId, Route>,
}

/// The queue and the tasks of one peer.
struct Route {
    target: watch::Sender<Target>,
    queue: Sender,
    /// Held while a snapshot is sent.
    snapshot_slot: Arc<Semaphore>,
    snapshot_task: Option<AbortHandle>,
}

impl Drop for Route {
    fn drop(&mut self) {
        // The peer's own task sends its queued messages and then ends.
        if let Some(task) = &self.snapshot_task {
            task.abort();
        }
    }
}

impl Peers {
    /// No peers yet. Their tasks run on `runtime`, report to `inbox`, read snapshots by `open`, and count in
    /// `stats`.
    pub fn new(
        local: Local,
        runtime: Handle,
        inbox: Inbox,
        open: OpenSnapshot,
        stats: Arc<Stats>,
    ) -> Self {
        Self {
            local: Arc::new(local),
            runtime,
            inbox,
            open,
            stats,
            routes: HashMap::new(),
        }
    }

    /// Set the peers: connects to new ones, disconnects from removed ones after sending their queued messages,
    /// and reconnects to those whose address changed. The list may contain this member itself.
    pub fn set_members(&mut self, members: &[Member]) {
        let is_kept = |id: &MemberId| members.iter().any(|member| member.id == *id);
        let removed = self.routes.keys().copied().filter(|id| !is_kept(id));
        for id in removed.collect::<Vec<_>>() {
            self.routes.remove(&id);
            self.stats.forget(id);
        }
        let me = self.local.id;
        for member in members.iter().filter(|member| member.id != me) {
            match peer_address(&member.peer_url) {
                Ok(address) => {
                    let name = member.name.clone();
                    self.set_member(member.id, Target { name, address });
                }
                Err(error) => {
                    warn!(peer = %member.name, url = %member.peer_url, %error, "invalid peer URL");
                }
            }
        }
    }

    fn set_member(&mut self, id: MemberId, target: Target) {
        if let Some(route) = self.routes.get(&id) {
            let change = |current: &mut Target| {
                let moved = *current != target;
                *current = target;
                moved
            };
            route.target.send_if_modified(change);
            return;
        }
        let (queue, waiting) = queue::queue();
        let (sender, target) = watch::channel(target);
        let peer = Peer::new(
            self.local.clone(),
            id,
            target,
            waiting,
            self.inbox.clone(),
            self.stats.clone(),
        );
        self.runtime.spawn(peer.run());
        let route = Route {
            target: sender,
            queue,
            snapshot_slot: Arc::new(Semaphore::new(1)),
            snapshot_task: None,
        };
        self.routes.insert(id, route);
    }

    /// Queue a message; it is sent at most once. Never blocks: a message is dropped if the queue is full or
    /// the peer cannot be reached, and [`Report::Unreachable`] reports it. A message to an unknown member is
    /// dropped without a report.
    pub fn send(&mut self, message: Message) {
        let Some(route) = self.routes.get_mut(&message.to) else {
            return;
        };
        if is_snapshot(&message.body) {
            self.send_snapshot(message);
            return;
        }
        let counted = stats::is_counted(&message.body);
        if !route.queue.push(message.body) {
            self.stats.failed(message.to, counted.into());
            (self.inbox)(Report::Unreachable(message.to));
        }
    }

    /// Send a snapshot on a separate connection, one at a time to each peer.
    fn send_snapshot(&mut self, message: Message) {
        let (to, index) = (message.to, snapshot::index(&message));
        let Some(route) = self.routes.get_mut(&to) else {
            return;
        };
        let inbox = self.inbox.clone();
        let Ok(slot) = route.snapshot_slot.clone().try_acquire_owned() else {
            // Raft sent another one before the last transfer ended; that one is reported as well.
            return inbox(Report::SnapshotSent {
                to,
                index,
                delivered: false,
            });
        };
        let (local, open) = (self.local.clone(), self.open.clone());
        let target = route.target.borrow().clone();
        let task = self.runtime.spawn(async move {
            let delivered = snapshot::deliver(&local, &target, message, open).await;
            drop(slot);
            inbox(Report::SnapshotSent {
                to,
                index,
                delivered,
            });
        });
        route.snapshot_task = Some(task.abort_handle());
    }
}

impl Outbox for Peers {
    fn send(&mut self, message: Message) {
        Peers::send(self, message);
    }

    fn set_members(&mut self, members: &[Member]) {
        Peers::set_members(self, members);
    }
}

fn is_snapshot(body: &Body) -> bool {
    match body {
        Body::Raft(raft) => raft.kind == RaftKind::Snapshot,
        Body::Forward(_) | Body::StoreHash { .. } => false,
    }
}
