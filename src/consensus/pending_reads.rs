//! Linearizable reads, by Raft's ReadIndex.
//!
//! All waiting reads share one question to the leader, one question at a time. Every attempt has a fresh
//! context: with a context used twice, an answer to the first attempt, older than a read that joined for
//! the second, would let that read see the past.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::sync::oneshot;

use super::handle::Refused;
use crate::cluster::MemberId;

/// How long a read waits for a leader before it is refused.
const READ_WAIT_MAX: Duration = Duration::from_secs(5);

/// How long an attempt may take before it is asked again: the raft crate drops a question silently when
/// there is no leader, or when nothing is committed in the leader's term yet.
const ATTEMPT_MAX: Duration = Duration::from_millis(100);

/// The reads of one member.
pub(super) struct Reads {
    member: MemberId,
    attempts: u64,
    waiting: Vec<Reader>,
    asked: Option<PendingReady>,
    /// Reads that know up to where the log must be applied, which it isn't yet.
    confirmed: Vec<(u64, Vec<Reader>)>,
}

struct Reader {
    answer: oneshot::Sender<Result<(), Refused>>,
    since: Duration,
}

struct PendingReady {
    context: Bytes,
    term: u64,
    at: Duration,
    readers: Vec<Reader>,
}

impl Reads {
    /// No reads yet, for `member`; `boot` keeps the contexts of two lives apart.
    pub(super) fn new(member: MemberId, boot: u32) -> Self {
        let attempts = u64::from(boot) << 40;
        Self {
            member,
            attempts,
            waiting: Vec::new(),
            asked: None,
            confirmed: Vec::new(),
        }
    }

    /// A read arrives.
    pub(super) fn add(&mut self, answer: oneshot::Sender<Result<(), Refused>>, now: Duration) {
        self.waiting.push(Reader { answer, since: now });
    }

    /// The context to ask the leader with, if it is time to ask.
    pub(super) fn ask(&mut self, term: u64, now: Duration) -> Option<Bytes> {
        if let Some(round) = &self.asked {
            let lost = round.term != term || now.saturating_sub(round.at) >= ATTEMPT_MAX;
            if !lost {
                return None;
            }
        }
        if let Some(round) = self.asked.take() {
            self.waiting.extend(round.readers);
        }
        if self.waiting.is_empty() {
            return None;
        }
        self.attempts += 1;
        let mut context = BytesMut::with_capacity(16);
        context.put_u64(self.member.get());
        context.put_u64(self.attempts);
        let context = context.freeze();
        let readers = std::mem::take(&mut self.waiting);
        self.asked = Some(PendingReady {
            context: context.clone(),
            term,
            at: now,
            readers,
        });
        Some(context)
    }

    /// The leader answered: what was committed when it was asked. Answers to another attempt, or of
    /// another term, count for nothing.
    pub(super) fn confirm(&mut self, context: &[u8], index: u64, term: u64) {
        if let Some(round) = self
            .asked
            .take_if(|round| round.context == context && round.term == term)
        {
            self.confirmed.push((index, round.readers));
        }
    }

    /// The log is applied up to `index`: the reads that waited for that may look.
    pub(super) fn applied(&mut self, index: u64) {
        for (_, readers) in self
            .confirmed
            .extract_if(.., |(needed, _)| *needed <= index)
        {
            for reader in readers {
                // A client that went away needs no answer.
                let _ = reader.answer.send(Ok(()));
            }
        }
    }

    /// Refuse those that waited too long.
    pub(super) fn expire(&mut self, now: Duration) {
        let late = |reader: &mut Reader| now.saturating_sub(reader.since) >= READ_WAIT_MAX;
        let asked = self.asked.as_mut().map(|round| &mut round.readers);
        let confirmed = self.confirmed.iter_mut().map(|(_, readers)| readers);
        for readers in asked
            .into_iter()
            .chain(confirmed)
            .chain([&mut self.waiting])
        {
            for reader in readers.extract_if(.., late) {
                let _ = reader.answer.send(Err(Refused::NoLeader));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn reads() -> Reads {
        Reads::new(MemberId::new(7).expect("not zero"), 1)
    }

    #[test]
    fn reads_share_a_question_and_wait_for_apply() {
        let mut reads = reads();
        let (one, mut first) = oneshot::channel();
        let (two, mut second) = oneshot::channel();
        reads.add(one, MS);
        reads.add(two, MS);
        let context = reads.ask(3, MS).expect("two are waiting");
        assert_eq!(reads.ask(3, 2 * MS), None, "one question at a time");
        reads.confirm(&context, 10, 3);
        reads.applied(9);
        assert!(first.try_recv().is_err());
        reads.applied(10);
        assert_eq!(first.try_recv(), Ok(Ok(())));
        assert_eq!(second.try_recv(), Ok(Ok(())));
    }

    #[test]
    fn a_late_answer_to_an_earlier_attempt_counts_for_nothing() {
        let mut reads = reads();
        let (one, mut answer) = oneshot::channel();
        reads.add(one, MS);
        let old = reads.ask(3, MS).expect("one is waiting");
        let fresh = reads.ask(3, MS + ATTEMPT_MAX).expect("asked again");
        assert_ne!(old, fresh);
        reads.confirm(&old, 1, 3);
        reads.applied(100);
        assert!(answer.try_recv().is_err());
        reads.confirm(&fresh, 1, 4);
        reads.applied(100);
        assert!(answer.try_recv().is_err(), "an answer of another term");
        reads.confirm(&fresh, 1, 3);
        reads.applied(100);
        assert_eq!(answer.try_recv(), Ok(Ok(())));
    }

    #[test]
    fn refuses_after_a_while() {
        let mut reads = reads();
        let (one, mut answer) = oneshot::channel();
        reads.add(one, MS);
        reads.ask(1, MS);
        reads.expire(READ_WAIT_MAX);
        assert!(answer.try_recv().is_err());
        reads.expire(READ_WAIT_MAX + MS);
        assert_eq!(answer.try_recv(), Ok(Err(Refused::NoLeader)));
    }
}
