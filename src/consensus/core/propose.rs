//! What this member wants in the log: writes it took, the clock, changes of the membership.

use std::time::Duration;

use raft::ProgressState;
use raft::eraftpb::{self, MessageType};
use tracing::debug;

use super::Core;
use crate::cluster::MemberId;
use crate::consensus::membership;
use crate::consensus::message::{Body, Forwarded, Message};
use crate::store::{ClusterTime, Command, codec};

impl Core {
    pub(super) fn hand_on_fresh(&mut self, now: Duration) {
        if self.leader().is_some() {
            let fresh = self.writes.take_fresh(self.term(), now);
            self.hand_on(fresh, now);
        }
    }

    pub(super) fn hand_on_again(&mut self, now: Duration) {
        if self.leader().is_some() && !self.writes.is_empty() {
            let again = self.writes.take_again(self.term(), self.leads(), now);
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
            self.clock_proposed = false;
        }
    }

    /// Propose the next change of the membership, if none is under way.
    pub(super) fn propose_change(&mut self, now: Duration) {
        if !self.leads() {
            return;
        }
        let configuration = self.applier.configuration().clone();
        let next = self
            .applier
            .with_store(|store| self.changes.next(store, &configuration));
        let Some(next) = next else { return };
        // Entries put up before it keep their place.
        self.propose();
        let id = self.writes.next_id();
        let stamped = codec::entry(
            self.stamp(now),
            Some(id),
            &codec::encode_command(&next.command),
        );
        let proposed = if next.steps.is_empty() {
            self.raft.propose(Vec::new(), stamped.to_vec())
        } else {
            let context = membership::encode(&next.steps, &stamped).to_vec();
            self.raft
                .propose_conf_change(context, membership::conf_change(&next.steps))
        };
        let index = self.raft.raft.raft_log.last_index();
        self.changes.proposed(id, next.change, next.answer, index);
        if let Err(error) = proposed {
            debug!(%error, "a change of the membership was dropped");
            self.changes.applied(index, None);
        }
    }

    /// Propose expiry when something is due, and the clock when it has not been written for long.
    pub(super) fn propose_clock(&mut self, now: Duration) {
        let (deadline, written) = self
            .applier
            .with_store(|store| (store.next_deadline(), store.clock()));
        let Some(deadline) = deadline else { return };
        let reading = self.stamp(now);
        let command = if deadline <= reading && !self.clock_proposed {
            self.clock_proposed = true;
            Command::Expire
        } else if reading.since(written) >= self.settings.clock_written_every
            && !self.clock_proposed
        {
            self.clock_proposed = true;
            Command::Tick
        } else {
            return;
        };
        let data = codec::entry(reading, None, &codec::encode_command(&command));
        self.proposals.push((
            None,
            eraftpb::Entry {
                data,
                ..Default::default()
            },
        ));
    }

    /// Learners that have caught up get a vote.
    pub(super) fn promote_learners(&mut self) {
        let raft = &self.raft.raft;
        let committed = raft.raft_log.committed;
        let caught_up = self.applier.configuration().learners.iter().filter(|id| {
            let progress = raft.prs().get(**id);
            progress.is_some_and(|progress| {
                let near = progress.matched + self.settings.learner_lag_max >= committed;
                near && progress.recent_active && progress.state == ProgressState::Replicate
            })
        });
        for id in caught_up
            .filter_map(|id| MemberId::new(*id))
            .collect::<Vec<_>>()
        {
            self.changes.add(membership::Change::Promote(id), None);
        }
    }

    /// The clock's reading for an entry: never before that of an entry already applied.
    fn stamp(&self, now: Duration) -> ClusterTime {
        self.clock.read(now)
    }
}
