//! The queue of membership changes at the leader: one at a time, each a change of the tree and of Raft's
//! configuration in one entry.

use std::collections::VecDeque;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use raft::eraftpb::{ConfChangeSingle, ConfChangeType, ConfChangeV2};
use tokio::sync::oneshot;

use super::change::{Change, Plan, Step, plan};
use crate::cluster::{ClusterId, Liveness, Member, Refusal};
use crate::store::{Command, CommandId, Store};
use crate::wal::Configuration;

/// How many changes may wait at the leader; one more is refused with [`Refusal::Busy`].
const CHANGES_MAX: usize = 64;

/// Where the answer to a change goes.
pub(super) type Answer = oneshot::Sender<Result<(), Refusal>>;

/// The changes that wait at the leader.
///
/// After its first entry, a change of two entries goes back to the front of the queue: no other change comes between.
pub(super) struct Changes {
    cluster: ClusterId,
    waiting: VecDeque<(Change, Option<Answer>)>,
    proposed: Option<Proposed>,
}

/// The change whose entry is in the log and not applied yet.
struct Proposed {
    id: CommandId,
    change: Change,
    answer: Option<Answer>,
    /// The index at which its entry was proposed. If another entry is applied there, this one was overwritten.
    index: u64,
    /// Whether it is the first of two entries.
    first: bool,
}

/// A change that is ready to be proposed.
pub(super) struct Proposal {
    pub(super) command: Command,
    pub(super) step: Option<Step>,
    change: Change,
    answer: Option<Answer>,
    first: bool,
}

/// What the leader does next about its changes.
pub(super) enum Next {
    /// Nothing at present.
    Wait,
    /// Propose this entry.
    Propose(Box<Proposal>),
    /// Transfer leadership; the change that needs that stays in the queue.
    TransferLeadership,
}

impl Changes {
    /// An empty queue for the changes of `cluster`.
    pub(super) fn new(cluster: ClusterId) -> Self {
        Self {
            cluster,
            waiting: VecDeque::new(),
            proposed: None,
        }
    }

    /// Add a change. One of the leader's own, which has no answer, is added once.
    pub(super) fn add(&mut self, change: Change, answer: Option<Answer>) {
        let known = self
            .waiting
            .iter()
            .map(|(change, _)| change)
            .chain(self.proposed.iter().map(|proposed| &proposed.change));
        if answer.is_none() && known.into_iter().any(|known| *known == change) {
            return;
        }
        if self.waiting.len() >= CHANGES_MAX {
            respond(answer, Err(Refusal::Busy));
            return;
        }
        self.waiting.push_back((change, answer));
    }

    /// Plan the next change. Changes that are refused or need no entry are answered at once.
    pub(super) fn next(
        &mut self,
        store: &Store,
        configuration: &Configuration,
        liveness: &Liveness,
    ) -> Next {
        while self.proposed.is_none() {
            let Some((change, answer)) = self.waiting.pop_front() else {
                return Next::Wait;
            };
            let (command, step, first) =
                match plan(&change, self.cluster, store, configuration, liveness) {
                    Ok(Plan::Last(command, step)) => (command, step, false),
                    Ok(Plan::First(command, step)) => (command, step, true),
                    Ok(Plan::Nothing) => {
                        respond(answer, Ok(()));
                        continue;
                    }
                    Ok(Plan::TransferLeadership) => {
                        self.waiting.push_front((change, answer));
                        return Next::TransferLeadership;
                    }
                    Err(refusal) => {
                        respond(answer, Err(refusal));
                        continue;
                    }
                };
            return Next::Propose(Box::new(Proposal {
                command,
                step,
                change,
                answer,
                first,
            }));
        }
        Next::Wait
    }

    /// Whether no change can be proposed at present.
    pub(super) fn are_idle(&self) -> bool {
        self.proposed.is_some() || self.waiting.is_empty()
    }

    /// Record that `proposal` was proposed as the entry `index`.
    pub(super) fn set_proposed(&mut self, id: CommandId, proposal: Box<Proposal>, index: u64) {
        self.proposed = Some(Proposed {
            id,
            change: proposal.change,
            answer: proposal.answer,
            index,
            first: proposal.first,
        });
    }

    /// Record that the entry `index` was applied; `id` is that of its command if it is a membership entry.
    pub(super) fn set_applied(&mut self, index: u64, id: Option<CommandId>) {
        let Some(proposed) = self.proposed.take_if(|proposed| proposed.index <= index) else {
            return;
        };
        if id != Some(proposed.id) {
            respond(proposed.answer, Err(Refusal::LeadershipLost));
        } else if proposed.first {
            self.waiting.push_front((proposed.change, proposed.answer));
        } else {
            respond(proposed.answer, Ok(()));
        }
    }

    /// Refuse the change at the front of the queue.
    pub(super) fn refuse_next(&mut self, refusal: Refusal) {
        if let Some((_, answer)) = self.waiting.pop_front() {
            respond(answer, Err(refusal));
        }
    }

    /// Refuse all changes: this member is no longer the leader, but perhaps `leader` is.
    pub(super) fn refuse_all(&mut self, leader: Option<&Member>) {
        if let Some(proposed) = self.proposed.take() {
            respond(proposed.answer, Err(Refusal::LeadershipLost));
        }
        for (_, answer) in self.waiting.drain(..) {
            respond(answer, Err(not_leader(leader)));
        }
    }
}

/// The refusal of a member that is not the leader.
pub(super) fn not_leader(leader: Option<&Member>) -> Refusal {
    Refusal::NotLeader {
        leader: leader.map(|leader| leader.peer_url.clone()),
    }
}

fn respond(answer: Option<Answer>, result: Result<(), Refusal>) {
    if let Some(answer) = answer {
        // The client may have closed its connection.
        let _ = answer.send(result);
    }
}

/// The steps as the raft crate has them.
pub(super) fn to_conf_change(steps: &[Step]) -> ConfChangeV2 {
    let mut change = ConfChangeV2::default();
    for step in steps {
        let (kind, id) = match *step {
            Step::AddVoter(id) => (ConfChangeType::AddNode, id),
            Step::AddLearner(id) => (ConfChangeType::AddLearnerNode, id),
            Step::Remove(id) => (ConfChangeType::RemoveNode, id),
        };
        let mut single = ConfChangeSingle {
            node_id: id,
            ..Default::default()
        };
        single.set_change_type(kind);
        change.mut_changes().push(single);
    }
    change
}

/// Encode the data of a membership entry: the steps, and the stamped command that goes with them.
pub(super) fn encode(steps: &[Step], stamped: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(1 + 9 * steps.len() + stamped.len());
    // A change has one or two steps.
    out.put_u8(u8::try_from(steps.len()).unwrap_or(u8::MAX));
    for step in steps {
        let (kind, id) = match *step {
            Step::AddVoter(id) => (1, id),
            Step::AddLearner(id) => (2, id),
            Step::Remove(id) => (3, id),
        };
        out.put_u8(kind);
        out.put_u64(id);
    }
    out.put_slice(stamped);
    out.freeze()
}

/// Decode what [`encode`] made: the steps, and the bytes of the stamped command; none if it is not valid.
pub(super) fn decode(mut entry: Bytes) -> Option<(Vec<Step>, Bytes)> {
    let count = entry.try_get_u8().ok()?;
    let mut steps = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        let kind = entry.try_get_u8().ok()?;
        let id = entry.try_get_u64().ok()?;
        steps.push(match kind {
            1 => Step::AddVoter(id),
            2 => Step::AddLearner(id),
            3 => Step::Remove(id),
            _ => return None,
        });
    }
    Some((steps, entry))
}

/// The stamped command in the data of a membership entry; none if that is not valid.
pub fn command_of(entry: Bytes) -> Option<Bytes> {
    decode(entry).map(|(_, stamped)| stamped)
}

#[cfg(test)]
#[path = "member_changes_tests.rs"]
mod tests;
