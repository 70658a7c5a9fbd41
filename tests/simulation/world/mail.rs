//! Messages on their way.

use super::*;

impl World {
    pub(super) fn send(&mut self, from: usize, message: Message) {
        self.trace_message(&message);
        if let Some(running) = &self.machines[from].running {
            let said = self.promises.said(from, &message, &running.shadow);
            self.note(said);
        }
        let to = Machine::number_of(message.to);
        let is_snapshot =
            matches!(&message.body, Body::Raft(raft) if raft.kind == RaftKind::Snapshot);
        let body = if is_snapshot {
            self.machines[from].snapshot_body(&message)
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
            let happening = Happening::Deliver {
                to,
                message: message.clone(),
                body: body.clone(),
            };
            self.at(delay, happening);
        }
    }

    /// A message is lost; its sender may learn of it.
    pub(super) fn undelivered(&mut self, from: usize, message: &Message, is_snapshot: bool) {
        if is_snapshot {
            self.machines[from].tell(Input::SnapshotSent(message.to, false));
        } else if self.random.permille(100) {
            self.machines[from].tell(Input::Unreachable(message.to));
        }
    }

    pub(super) fn deliver(&mut self, to: usize, message: Message, body: Option<Bytes>) {
        let from = Machine::number_of(message.from);
        if self.machines[to].paused {
            self.postponed.push((to, message, body));
            return;
        }
        if self.machines[to].running.is_none() {
            self.undelivered(from, &message, body.is_some());
            return;
        }
        let Some(body) = body else {
            self.machines[to].tell(Input::Message(message, None));
            self.wake(to);
            return;
        };
        let (ok, progress) = self.machines[to].receive_snapshot(message, &body, &mut self.random);
        self.fare(to, progress);
        self.wake(to);
        self.machines[from].tell(Input::SnapshotSent(Machine::id(to), ok));
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
