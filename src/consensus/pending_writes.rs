//! The writes this member took and has not answered yet.
//!
//! A write is sent to the leader, and sent again when the leader changed or nothing came of it; its id
//! makes the store apply it once. It is answered when this member has applied it.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::handle::{Refused, Written};
use super::message::Forwarded;
use crate::cluster::MemberId;
use crate::store::CommandId;

/// How long a write waits before it is refused.
const WRITE_WAIT_MAX: Duration = Duration::from_secs(5);

/// How long a follower waits for a forwarded write before it sends it again.
const FORWARD_AGAIN: Duration = Duration::from_secs(1);

/// The writes of one member.
pub(super) struct Writes {
    member: MemberId,
    next: u64,
    waiting: BTreeMap<u64, Write>,
    /// Below this sequence every write was sent at least once.
    fresh: u64,
}

struct Write {
    command: Bytes,
    answer: oneshot::Sender<Result<Written, Refused>>,
    since: Duration,
    /// In which term and when it was last handed on.
    sent: Option<(u64, Duration)>,
    /// Whether it was handed on before that: then it may happen, whatever became of the last attempt.
    sent_before: bool,
    _permit: OwnedSemaphorePermit,
}

impl Writes {
    /// No writes yet, for `member`; `boot` keeps the ids of two lives apart.
    pub(super) fn new(member: MemberId, boot: u32) -> Self {
        let next = u64::from(boot) << 40;
        Self {
            member,
            next,
            waiting: BTreeMap::new(),
            fresh: next,
        }
    }

    /// An id for a command of this member that nobody waits for here.
    pub(super) fn next_id(&mut self) -> CommandId {
        let id = CommandId {
            member: self.member,
            sequence: self.next,
        };
        self.next += 1;
        id
    }

    /// A write arrives.
    pub(super) fn add(
        &mut self,
        command: Bytes,
        answer: oneshot::Sender<Result<Written, Refused>>,
        permit: OwnedSemaphorePermit,
        now: Duration,
    ) {
        let id = self.next_id();
        let write = Write {
            command,
            answer,
            since: now,
            sent: None,
            sent_before: false,
            _permit: permit,
        };
        self.waiting.insert(id.sequence, write);
    }

    /// What has never been handed on; counts as handed on in `term` from now.
    pub(super) fn take_new(&mut self, term: u64, now: Duration) -> Vec<Forwarded> {
        let from = std::mem::replace(&mut self.fresh, self.next);
        let member = self.member;
        let fresh = self.waiting.range_mut(from..);
        fresh
            .map(|(&sequence, write)| write.hand_on(CommandId { member, sequence }, term, now))
            .collect()
    }

    /// What must be handed on again: what was not in this term, and at a follower what has waited long.
    pub(super) fn take_retries(&mut self, term: u64, leads: bool, now: Duration) -> Vec<Forwarded> {
        let member = self.member;
        let due = |write: &Write| match write.sent {
            None => true,
            Some((then, _)) if then != term => true,
            Some((_, at)) => !leads && now.saturating_sub(at) >= FORWARD_AGAIN,
        };
        let writes = self.waiting.iter_mut().filter(|(_, write)| due(write));
        writes
            .map(|(&sequence, write)| write.hand_on(CommandId { member, sequence }, term, now))
            .collect()
    }

    /// These could not be handed on after all.
    pub(super) fn not_sent(&mut self, ids: impl IntoIterator<Item = CommandId>) {
        for id in ids {
            if id.member == self.member
                && let Some(write) = self.waiting.get_mut(&id.sequence)
            {
                write.sent = None;
            }
        }
    }

    /// Takes the write with this id out, if it is one of ours that still waits: its entry was applied.
    pub(super) fn take(
        &mut self,
        id: CommandId,
    ) -> Option<oneshot::Sender<Result<Written, Refused>>> {
        if id.member != self.member {
            return None;
        }
        self.waiting.remove(&id.sequence).map(|write| write.answer)
    }

    /// Refuse those that waited too long.
    pub(super) fn expire(&mut self, now: Duration) {
        let late = |_: &u64, write: &mut Write| now.saturating_sub(write.since) >= WRITE_WAIT_MAX;
        for (_, write) in self.waiting.extract_if(.., late) {
            let may_happen = write.sent.is_some() || write.sent_before;
            let refused = if may_happen {
                Refused::Unanswered
            } else {
                Refused::NoLeader
            };
            let _ = write.answer.send(Err(refused));
        }
    }

    /// Whether any write waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

impl Write {
    fn hand_on(&mut self, id: CommandId, term: u64, now: Duration) -> Forwarded {
        self.sent_before |= self.sent.is_some();
        self.sent = Some((term, now));
        Forwarded {
            id,
            command: self.command.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Semaphore;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn what_was_ever_handed_on_may_happen() {
        let mut writes = Writes::new(MemberId::new(7).expect("not zero"), 1);
        let permits = Arc::new(Semaphore::new(2));
        let permit = || permits.clone().try_acquire_owned().expect("one is left");
        let (first, mut first_answer) = oneshot::channel();
        writes.add(Bytes::new(), first, permit(), MS);
        let handed = writes.take_new(1, MS);
        let (second, mut second_answer) = oneshot::channel();
        writes.add(Bytes::new(), second, permit(), MS);
        // Another leader is to have both, and drops them.
        let again = writes.take_retries(2, true, 2 * MS);
        assert_eq!((handed.len(), again.len()), (1, 2));
        writes.not_sent(again.into_iter().map(|forwarded| forwarded.id));
        writes.expire(WRITE_WAIT_MAX + MS);
        let refused = |answer: Result<_, _>| answer.map(|answer: Result<Written, _>| answer.err());
        assert_eq!(
            refused(first_answer.try_recv()),
            Ok(Some(Refused::Unanswered))
        );
        assert_eq!(
            refused(second_answer.try_recv()),
            Ok(Some(Refused::NoLeader))
        );
    }
}
