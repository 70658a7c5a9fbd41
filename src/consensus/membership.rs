//! Changes of the membership: one at a time, each a change of the tree and of Raft's configuration at once.

use std::collections::VecDeque;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use raft::eraftpb::{ConfChangeSingle, ConfChangeType, ConfChangeV2};
use tokio::sync::oneshot;

use crate::cluster::{Member, MemberId};
use crate::store::{Command, CommandId, Store};
use crate::wal::Configuration;

/// How many changes may wait at the leader; one more is refused with [`ChangeRefused::Busy`].
const CHANGES_MAX: usize = 64;

/// What may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A machine joins as a learner; it gets a vote by itself once it has caught up. For a member that
    /// is known already: its name or addresses may have changed.
    Join(Member),
    /// A learner has caught up and gets a vote.
    Promote(MemberId),
}

/// Why a change did not happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeRefused {
    /// This member does not lead; here is who does, if it knows.
    NotLeader(Option<Member>),
    /// The name belongs to another member.
    NameTaken(Member),
    /// The peer address belongs to another member.
    AddressTaken(Member),
    /// Too many changes wait.
    Busy,
    /// Leadership was lost before it was certain; it may still happen. Ask again.
    Lost,
}

/// Where the answer to a change goes.
pub(super) type Answer = oneshot::Sender<Result<(), ChangeRefused>>;

/// The changes that wait at the leader.
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
}

/// A change that is ready to be proposed.
pub(super) struct Proposal {
    pub(super) change: Change,
    pub(super) answer: Option<Answer>,
    pub(super) command: Command,
    pub(super) steps: Vec<Step>,
}

/// One step of a change of Raft's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    AddVoter(u64),
    AddLearner(u64),
    Remove(u64),
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

    /// The next change to propose, if none is under way; those that need nothing are answered at once.
    pub(super) fn next(
        &mut self,
        store: &Store,
        configuration: &Configuration,
    ) -> Option<Proposal> {
        while self.current.is_none() {
            let (change, answer) = self.waiting.pop_front()?;
            match plan(&change, store, configuration) {
                Ok(Some((command, steps))) => {
                    return Some(Proposal {
                        change,
                        answer,
                        command,
                        steps,
                    });
                }
                Ok(None) => respond(answer, Ok(())),
                Err(refused) => respond(answer, Err(refused)),
            }
        }
        None
    }

    /// It was proposed, as the entry `index`.
    pub(super) fn proposed(
        &mut self,
        id: CommandId,
        change: Change,
        answer: Option<Answer>,
        index: u64,
    ) {
        self.current = Some(Current {
            id,
            change,
            answer,
            index,
        });
    }

    /// The entry `index` was applied; `id` is that of its command if it is a membership entry.
    pub(super) fn applied(&mut self, index: u64, id: Option<CommandId>) {
        let Some(current) = self.current.take_if(|current| current.index <= index) else {
            return;
        };
        let ours = id == Some(current.id);
        respond(
            current.answer,
            if ours {
                Ok(())
            } else {
                Err(ChangeRefused::Lost)
            },
        );
    }

    /// This member does not lead any more.
    pub(super) fn lost(&mut self) {
        let current = self.current.take().map(|current| current.answer);
        for answer in self
            .waiting
            .drain(..)
            .map(|(_, answer)| answer)
            .chain(current)
        {
            respond(answer, Err(ChangeRefused::Lost));
        }
    }
}

fn respond(answer: Option<Answer>, result: Result<(), ChangeRefused>) {
    if let Some(answer) = answer {
        // Whoever asked may have gone.
        let _ = answer.send(result);
    }
}

/// What a change does to the tree and to the configuration; nothing if it is so already.
fn plan(
    change: &Change,
    store: &Store,
    configuration: &Configuration,
) -> Result<Option<(Command, Vec<Step>)>, ChangeRefused> {
    let part_of =
        |id: u64| configuration.voters.contains(&id) || configuration.learners.contains(&id);
    match change {
        Change::Join(member) => {
            for other in store.members().filter(|other| other.id != member.id) {
                if other.name == member.name {
                    return Err(ChangeRefused::NameTaken(other.clone()));
                }
                if other.peer_url == member.peer_url {
                    return Err(ChangeRefused::AddressTaken(other.clone()));
                }
            }
            let id = member.id.get();
            let steps = if part_of(id) {
                vec![]
            } else {
                vec![Step::AddLearner(id)]
            };
            let known = store.members().any(|other| other == member);
            Ok((!known || !steps.is_empty()).then(|| (Command::PutMember(member.clone()), steps)))
        }
        Change::Promote(id) => {
            let learns = configuration.learners.contains(&id.get());
            Ok(learns.then(|| (Command::Tick, vec![Step::AddVoter(id.get())])))
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_round_trips() {
        let steps = vec![
            Step::Remove(3),
            Step::AddLearner(u64::MAX),
            Step::AddVoter(1),
        ];
        let entry = encode(&steps, b"command");
        assert_eq!(decode(entry), Some((steps, Bytes::from_static(b"command"))));
    }

    #[test]
    fn what_is_no_entry_is_refused() {
        assert_eq!(decode(Bytes::new()), None);
        assert_eq!(
            decode(Bytes::from_static(&[1, 9, 0, 0, 0, 0, 0, 0, 0, 1])),
            None
        );
        assert_eq!(
            decode(Bytes::from_static(&[2, 1, 0, 0, 0, 0, 0, 0, 0, 1])),
            None
        );
    }
}
