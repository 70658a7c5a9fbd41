//! What this member wants in the log: writes it took, and the clock.

use std::time::Duration;

use raft::eraftpb::{self, MessageType};
use tracing::debug;

use super::Core;
use crate::consensus::message::{Body, Forwarded, Message};
use crate::store::{ClusterTime, Command, codec};

impl Core {
    pub(super) fn hand_on_fresh(&mut self, now: Duration) {
        if self.leader().is_some() {
            let fresh = self.writes.take_new(self.term(), now);
            self.hand_on(fresh, now);
        }
    }

    pub(super) fn hand_on_again(&mut self, now: Duration) {
        if self.leader().is_some() && !self.writes.is_empty() {
            let again = self.writes.take_retries(self.term(), self.leads(), now);
            self.hand_on(again, now);
        }
    }

    fn hand_on(&mut self, commands: Vec<Forwarded>, now: Duration) {
        if commands.is_empty() {
            return;
        }
        if self.leads() {
            self.propose_commands(commands, now);
        } else if let Some(to) = self.leader() {
            let from = self.settings.member;
            self.outgoing.push(Message {
                from,
                to,
                body: Body::Forward(commands),
            });
        }
    }

    /// Stamp commands and put them up for proposal. A member that doesn't lead drops them: whoever sent
    /// them sends them again to whoever does.
    pub(super) fn propose_commands(&mut self, commands: Vec<Forwarded>, now: Duration) {
        if !self.leads() {
            return;
        }
        let stamp = self.stamp(now);
        for Forwarded { id, command } in commands {
            let data = codec::entry(stamp, Some(id), &command);
            self.proposals.push((
                Some(id),
                eraftpb::Entry {
                    data,
                    ..Default::default()
                },
            ));
        }
    }

    /// Propose what has gathered, as one message of the raft crate.
    pub(super) fn propose(&mut self) {
        if self.proposals.is_empty() {
            return;
        }
        let (ids, entries): (Vec<_>, Vec<_>) = self.proposals.drain(..).unzip();
        let mut message = eraftpb::Message {
            from: self.settings.member.get(),
            ..Default::default()
        };
        message.set_msg_type(MessageType::MsgPropose);
        message.set_entries(entries.into());
        if let Err(error) = self.raft.raft.step(message) {
            debug!(%error, "proposals were dropped");
            self.writes.not_sent(ids.into_iter().flatten());
            self.clock_proposed = None;
        }
    }

    /// Propose expiry when something is due, and the clock when it has not been written for long.
    pub(super) fn propose_clock(&mut self, now: Duration) {
        // What is due by the stamp of an expiry on its way is that one's. What becomes due later cannot
        // wait for it: a leader whose disk is stalled applies it long after it went out.
        let on_its_way = self.clock_proposed;
        let (any, next, written) = self.applier.with_store(|store| {
            let any = store.next_deadline();
            let next = on_its_way.map_or(any, |stamp| store.next_deadline_after(stamp));
            (any, next, store.clock())
        });
        let reading = self.stamp(now);
        let long_ago = reading.since(written) >= self.settings.clock_written_every;
        let command = if next.is_some_and(|deadline| deadline <= reading) {
            Command::Expire
        } else if any.is_some() && on_its_way.is_none() && long_ago {
            Command::Tick
        } else {
            return;
        };
        self.clock_proposed = Some(reading);
        let data = codec::entry(reading, None, &codec::encode_command(&command));
        self.proposals.push((
            None,
            eraftpb::Entry {
                data,
                ..Default::default()
            },
        ));
    }

    /// The clock's reading for an entry: never before that of an entry already applied.
    pub(super) fn stamp(&self, now: Duration) -> ClusterTime {
        self.clock.read(now)
    }
}
