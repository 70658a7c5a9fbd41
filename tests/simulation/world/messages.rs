//! Delivery of messages.

use super::*;

impl World {
    pub(super) fn send(&mut self, from: usize, message: Message) {
        self.trace_message(&message);
        if let Some(running) = &self.hosts[from].running {
            let said = self
                .promises
                .check_sent(from, &message, &running.expected_log);
            self.record(said);
        }
        let to = Host::number_of(message.to);
        let is_snapshot =
            matches!(&message.body, Body::Raft(raft) if raft.kind == RaftKind::Snapshot);
        let body = if is_snapshot {
            self.hosts[from].snapshot_body(&message)
        } else {
            None
        };
        let mut deliveries = self.network.deliveries(from, to, &mut self.random);
        if is_snapshot && body.is_none() {
            deliveries = [None, None];
        }
        if deliveries[0].is_none() {
            self.undelivered(from, &message, is_snapshot);
        }
        for delay in deliveries.into_iter().flatten() {
            let event = SimEvent::Deliver {
                to,
                message: message.clone(),
                body: body.clone(),
            };
            self.schedule(delay, event);
        }
    }

    /// Drop a message; its sender may be told.
    pub(super) fn undelivered(&mut self, from: usize, message: &Message, is_snapshot: bool) {
        if is_snapshot {
            self.hosts[from].send_input(Input::SnapshotSent(message.to, false));
        } else if self.random.permille(100) {
            self.hosts[from].send_input(Input::Unreachable(message.to));
        }
    }

    pub(super) fn deliver(&mut self, to: usize, message: Message, body: Option<Bytes>) {
        let from = Host::number_of(message.from);
        if self.hosts[to].paused {
            self.postponed.push((to, message, body));
            return;
        }
        if self.hosts[to].running.is_none() {
            self.undelivered(from, &message, body.is_some());
            return;
        }
        let Some(body) = body else {
            self.hosts[to].send_input(Input::Message(message, None));
            self.wake(to);
            return;
        };
        let (ok, progress) = self.hosts[to].receive_snapshot(message, &body, &mut self.random);
        self.handle_progress(to, progress);
        self.wake(to);
        self.hosts[from].send_input(Input::SnapshotSent(Host::id(to), ok));
        self.wake(from);
    }

    pub(super) fn trace_message(&mut self, message: &Message) {
        self.trace.add(message.from.get() << 32 | message.to.get());
        match &message.body {
            Body::Raft(raft) => {
                let kind = raft.kind as u64;
                let clock = raft.clock.map_or(0, |clock| clock.as_nanos());
                for word in [
                    kind,
                    raft.term,
                    raft.index,
                    raft.commit,
                    raft.entries.len() as u64,
                    clock,
                ] {
                    self.trace.add(word);
                }
            }
            Body::Forward(forwarded) => {
                forwarded
                    .iter()
                    .for_each(|forwarded| self.trace.add(forwarded.id.sequence));
            }
            Body::StoreHash { index, hash } => self.trace.add(index ^ hash),
        }
    }
}
