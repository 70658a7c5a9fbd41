//! Changes of the membership: one at a time, each a change of the tree and of Raft's configuration at once.

use std::collections::VecDeque;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use raft::eraftpb::{ConfChangeSingle, ConfChangeType, ConfChangeV2};
use tokio::sync::oneshot;

use super::change::{Change, ChangeRefused, Plan, Step, plan};
use crate::cluster::{Liveness, Member};
use crate::store::{Command, CommandId, Store};
use crate::wal::Configuration;

/// How many changes may wait at the leader; one more is refused with [`ChangeRefused::Busy`].
const CHANGES_MAX: usize = 64;

/// Where the answer to a change goes.
pub(super) type Answer = oneshot::Sender<Result<(), ChangeRefused>>;

/// The changes that wait at the leader.
///
/// A change of two entries goes back to the front after the first: nothing comes between.
#[derive(Default)]
pub(super) struct Changes {
    waiting: VecDeque<(Change, Option<Answer>)>,
    current: Option<Current>,
}

struct Current {
    id: CommandId,
    change: Change,
    answer: Option<Answer>,
    /// Its entry's index, as proposed: an applied entry there that isn't ours means it was replaced.
    index: u64,
    /// Whether it was the first of two.
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

/// What is to be done about the changes.
pub(super) enum Next {
    /// Nothing now.
    Wait,
    /// Propose this.
    Propose(Box<Proposal>),
    /// Hand over leadership; the change that asks for it waits.
    TransferLeadership,
}

impl Changes {
    /// A change arrives at the leader.
    pub(super) fn add(&mut self, change: Change, answer: Option<Answer>) {
        let known = self
            .waiting
            .iter()
            .map(|(change, _)| change)
            .chain(self.current.iter().map(|c| &c.change));
        if answer.is_none() && known.into_iter().any(|known| *known == change) {
            return;
        }
        if self.waiting.len() >= CHANGES_MAX {
            respond(answer, Err(ChangeRefused::Busy));
            return;
        }
        self.waiting.push_back((change, answer));
    }

    /// What to do next; those that need nothing are answered at once.
    pub(super) fn next(
        &mut self,
        store: &Store,
        configuration: &Configuration,
        census: &Liveness,
    ) -> Next {
        while self.current.is_none() {
            let Some((change, answer)) = self.waiting.pop_front() else {
                return Next::Wait;
            };
            let (command, step, first) = match plan(&change, store, configuration, census) {
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
                Err(refused) => {
                    respond(answer, Err(refused));
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

    /// Whether there is nothing to do about any change.
    pub(super) fn are_idle(&self) -> bool {
        self.current.is_some() || self.waiting.is_empty()
    }

    /// It was proposed, as the entry `index`.
    pub(super) fn proposed(&mut self, id: CommandId, proposal: Box<Proposal>, index: u64) {
        self.current = Some(Current {
            id,
            change: proposal.change,
            answer: proposal.answer,
            index,
            first: proposal.first,
        });
    }

    /// The entry `index` was applied; `id` is that of its command if it is a membership entry.
    pub(super) fn applied(&mut self, index: u64, id: Option<CommandId>) {
        let Some(current) = self.current.take_if(|current| current.index <= index) else {
            return;
        };
        if id != Some(current.id) {
            respond(current.answer, Err(ChangeRefused::Lost));
        } else if current.first {
            self.waiting.push_front((current.change, current.answer));
        } else {
            respond(current.answer, Ok(()));
        }
    }

    /// The change that is next cannot be done.
    pub(super) fn refuse_next(&mut self, refused: ChangeRefused) {
        if let Some((_, answer)) = self.waiting.pop_front() {
            respond(answer, Err(refused));
        }
    }

    /// This member does not lead any more; as far as it knows, `leader` does.
    pub(super) fn lost(&mut self, leader: Option<&Member>) {
        if let Some(current) = self.current.take() {
            respond(current.answer, Err(ChangeRefused::Lost));
        }
        for (_, answer) in self.waiting.drain(..) {
            respond(answer, Err(ChangeRefused::NotLeader(leader.cloned())));
        }
    }
}

fn respond(answer: Option<Answer>, result: Result<(), ChangeRefused>) {
    if let Some(answer) = answer {
        // Whoever asked may have gone.
        let _ = answer.send(result);
    }
}

/// The raft crate's form of the steps.
pub(super) fn conf_change(steps: &[Step]) -> ConfChangeV2 {
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

/// A membership entry's data: the steps, and the stamped command that goes with them.
pub(super) fn encode(steps: &[Step], stamped: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(1 + 9 * steps.len() + stamped.len());
    // A change has a step or two; 255 would be a mistake of ours.
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

/// The reverse of [`encode`]: the steps, and the bytes of the stamped command. None if it is not that.
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

/// The stamped command in a membership entry's data; none if it is not that.
pub fn command_of(entry: Bytes) -> Option<Bytes> {
    decode(entry).map(|(_, stamped)| stamped)
}

#[cfg(test)]
#[path = "member_changes_tests.rs"]
mod tests;
