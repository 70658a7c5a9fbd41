//! The writes this member accepted and has not answered yet.
//!
//! A write is forwarded to the leader, and again after a change of leader or a timeout; its id ensures that
//! the store applies it once. It is answered when this member has applied it.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::answer::{Refused, Written};
use super::message::Forwarded;
use crate::cluster::MemberId;
use crate::store::CommandId;

/// How long a write is pending before it is refused.
const WRITE_WAIT_MAX: Duration = Duration::from_secs(5);

/// How long a follower waits for a forwarded write before it sends it again.
const FORWARD_RETRY: Duration = Duration::from_secs(1);

/// The pending writes of one member.
pub(super) struct PendingWrites {
    member: MemberId,
    /// The sequence number of the next command.
    next: u64,
    /// By sequence number.
    pending: BTreeMap<u64, PendingWrite>,
    /// All writes below this sequence number were sent at least once.
    first_new: u64,
}

struct PendingWrite {
    command: Bytes,
    answer: oneshot::Sender<Result<Written, Refused>>,
    since: Duration,
    /// The term and the time at which it was last sent to the leader.
    sent: Option<(u64, Duration)>,
    /// Whether it was sent before that: then it may be applied even if the last attempt failed.
    sent_before: bool,
    _permit: OwnedSemaphorePermit,
}

impl PendingWrites {
    /// No writes yet. `boot` makes the ids differ from those this member gave before its last restart.
    pub(super) fn new(member: MemberId, boot: u32) -> Self {
        let next = u64::from(boot) << 40;
        Self {
            member,
            next,
            pending: BTreeMap::new(),
            first_new: next,
        }
    }

    /// The id for a command of this member that is not a pending write.
    pub(super) fn next_id(&mut self) -> CommandId {
        let id = CommandId {
            member: self.member,
            sequence: self.next,
        };
        self.next += 1;
        id
    }

    /// Add a write.
    pub(super) fn add(
        &mut self,
        command: Bytes,
        answer: oneshot::Sender<Result<Written, Refused>>,
        permit: OwnedSemaphorePermit,
        now: Duration,
    ) {
        let id = self.next_id();
        let write = PendingWrite {
            command,
            answer,
            since: now,
            sent: None,
            sent_before: false,
            _permit: permit,
        };
        self.pending.insert(id.sequence, write);
    }

    /// The writes that were never sent to a leader; they count as sent in `term` from now on.
    pub(super) fn take_new(&mut self, term: u64, now: Duration) -> Vec<Forwarded> {
        let from = std::mem::replace(&mut self.first_new, self.next);
        let member = self.member;
        let new = self.pending.range_mut(from..);
        new.map(|(&sequence, write)| write.forward(CommandId { member, sequence }, term, now))
            .collect()
    }

    /// The writes that have to be sent again: those not sent in this term, and at a follower those sent
    /// [`FORWARD_RETRY`] ago.
    pub(super) fn take_retries(&mut self, term: u64, leads: bool, now: Duration) -> Vec<Forwarded> {
        let member = self.member;
        let is_due = |write: &PendingWrite| match write.sent {
            None => true,
            Some((then, _)) if then != term => true,
            Some((_, at)) => !leads && now.saturating_sub(at) >= FORWARD_RETRY,
        };
        let writes = self.pending.iter_mut().filter(|(_, write)| is_due(write));
        writes
            .map(|(&sequence, write)| write.forward(CommandId { member, sequence }, term, now))
            .collect()
    }

    /// Mark writes that could not be proposed as not sent.
    pub(super) fn mark_unsent(&mut self, ids: impl IntoIterator<Item = CommandId>) {
        for id in ids {
            if id.member == self.member
                && let Some(write) = self.pending.get_mut(&id.sequence)
            {
                write.sent = None;
            }
        }
    }

    /// Remove the write with this id, whose entry was applied; none if it is not pending here.
    pub(super) fn take(
        &mut self,
        id: CommandId,
    ) -> Option<oneshot::Sender<Result<Written, Refused>>> {
        if id.member != self.member {
            return None;
        }
        self.pending.remove(&id.sequence).map(|write| write.answer)
    }

    /// Refuse the writes that are pending for [`WRITE_WAIT_MAX`].
    pub(super) fn expire(&mut self, now: Duration) {
        let is_late =
            |_: &u64, write: &mut PendingWrite| now.saturating_sub(write.since) >= WRITE_WAIT_MAX;
        for (_, write) in self.pending.extract_if(.., is_late) {
            let may_be_applied = write.sent.is_some() || write.sent_before;
            let refused = if may_be_applied {
                Refused::Unanswered
            } else {
                Refused::NoLeader
            };
            let _ = write.answer.send(Err(refused));
        }
    }

    /// Whether no write is pending.
    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }
}

impl PendingWrite {
    fn forward(&mut self, id: CommandId, term: u64, now: Duration) -> Forwarded {
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
    fn a_write_that_was_ever_sent_may_be_applied() {
        let mut writes = PendingWrites::new(MemberId::new(7).expect("not zero"), 1);
        let permits = Arc::new(Semaphore::new(2));
        let permit = || permits.clone().try_acquire_owned().expect("one is left");
        let (first, mut first_answer) = oneshot::channel();
        writes.add(Bytes::new(), first, permit(), MS);
        let new = writes.take_new(1, MS);
        let (second, mut second_answer) = oneshot::channel();
        writes.add(Bytes::new(), second, permit(), MS);
        // Both are sent to another leader, which drops them.
        let retries = writes.take_retries(2, true, 2 * MS);
        assert_eq!((new.len(), retries.len()), (1, 2));
        writes.mark_unsent(retries.into_iter().map(|forwarded| forwarded.id));
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
