//! Proposals: the pending writes of this member and of followers, expiry, and readings of the clock.

use std::time::Duration;

use raft::eraftpb::{self, MessageType};
use tracing::debug;

use super::Core;
use crate::consensus::message::{Body, Forwarded, Message};
use crate::store::{ClusterTime, Command, codec};

impl Core {
    /// Propose or forward the writes that were never sent, if there is a leader.
    pub(super) fn forward_new(&mut self, now: Duration) {
        if self.leader().is_some() {
            let new = self.writes.take_new(self.term(), now);
            self.propose_or_forward(new, now);
        }
    }

    /// Propose or forward the writes that have to be sent again, if there is a leader.
    pub(super) fn forward_retries(&mut self, now: Duration) {
        if self.leader().is_some() && !self.writes.is_empty() {
            let retries = self.writes.take_retries(self.term(), self.leads(), now);
            self.propose_or_forward(retries, now);
        }
    }

    fn propose_or_forward(&mut self, commands: Vec<Forwarded>, now: Duration) {
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

    /// Stamp commands and queue them for proposal. A member that does not lead drops them; the sender sends
    /// them to the new leader.
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

    /// Propose the queued entries as one message of the raft crate.
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
            debug!(%error, "proposals dropped by raft");
            self.writes.mark_unsent(ids.into_iter().flatten());
            self.clock_proposed = None;
        }
    }

    /// Queue an expiry if a deadline has passed, or a clock reading if none was written for
    /// [`clock_written_every`](crate::consensus::Settings::clock_written_every).
    pub(super) fn propose_clock(&mut self, now: Duration) {
        // An expiry that was already proposed covers all deadlines up to its stamp. Later deadlines do not
        // wait for it to be applied: at a leader with a stalled disk that takes long.
        let proposed = self.clock_proposed;
        let (any, next, written) = self.applier.with_store(|store| {
            let any = store.next_deadline();
            let next = proposed.map_or(any, |stamp| store.next_deadline_after(stamp));
            (any, next, store.clock())
        });
        let reading = self.stamp(now);
        let long_ago = reading.since(written) >= self.settings.clock_written_every;
        let command = if next.is_some_and(|deadline| deadline <= reading) {
            Command::Expire
        } else if any.is_some() && proposed.is_none() && long_ago {
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

    /// The clock's reading for an entry; never below that of an applied entry.
    pub(super) fn stamp(&self, now: Duration) -> ClusterTime {
        self.clock.read(now)
    }
}
