//! Linearizable reads, by Raft's ReadIndex.
//!
//! All waiting reads share one query to the leader, one query at a time. Each query has a new context: if a
//! context were used twice, an answer to the first query could release a read that arrived after it and let
//! that read see an old state.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::sync::oneshot;

use super::answer::Refused;
use crate::cluster::MemberId;

/// How long a read waits before it is refused.
const READ_WAIT_MAX: Duration = Duration::from_secs(5);

/// How long a query may take before another is sent: the raft crate drops a query silently if there is no
/// leader, or if nothing is committed in the leader's term yet.
const QUERY_MAX: Duration = Duration::from_millis(100);

/// The pending reads of one member.
pub(super) struct PendingReads {
    member: MemberId,
    /// The number of the last query; part of its context.
    queries: u64,
    /// Reads that are not part of a query yet.
    waiting: Vec<PendingRead>,
    /// The query under way.
    query: Option<ReadIndexQuery>,
    /// Reads whose commit index is confirmed and not applied here yet.
    confirmed: Vec<(u64, Vec<PendingRead>)>,
}

struct PendingRead {
    answer: oneshot::Sender<Result<(), Refused>>,
    since: Duration,
}

struct ReadIndexQuery {
    context: Bytes,
    term: u64,
    at: Duration,
    reads: Vec<PendingRead>,
}

impl PendingReads {
    /// No reads yet. `boot` makes the contexts differ from those before this member's last restart.
    pub(super) fn new(member: MemberId, boot: u32) -> Self {
        let queries = u64::from(boot) << 40;
        Self {
            member,
            queries,
            waiting: Vec::new(),
            query: None,
            confirmed: Vec::new(),
        }
    }

    /// Add a read.
    pub(super) fn add(&mut self, answer: oneshot::Sender<Result<(), Refused>>, now: Duration) {
        self.waiting.push(PendingRead { answer, since: now });
    }

    /// Start a query if one is due. Returns its context.
    pub(super) fn start_query(&mut self, term: u64, now: Duration) -> Option<Bytes> {
        if let Some(query) = &self.query {
            let is_lost = query.term != term || now.saturating_sub(query.at) >= QUERY_MAX;
            if !is_lost {
                return None;
            }
        }
        if let Some(query) = self.query.take() {
            self.waiting.extend(query.reads);
        }
        if self.waiting.is_empty() {
            return None;
        }
        self.queries += 1;
        let mut context = BytesMut::with_capacity(16);
        context.put_u64(self.member.get());
        context.put_u64(self.queries);
        let context = context.freeze();
        let reads = std::mem::take(&mut self.waiting);
        self.query = Some(ReadIndexQuery {
            context: context.clone(),
            term,
            at: now,
            reads,
        });
        Some(context)
    }

    /// The leader confirmed the query with this context: `index` was committed when it was sent. Answers to
    /// an earlier query, or in another term, are ignored.
    pub(super) fn confirm(&mut self, context: &[u8], index: u64, term: u64) {
        if let Some(query) = self
            .query
            .take_if(|query| query.context == context && query.term == term)
        {
            self.confirmed.push((index, query.reads));
        }
    }

    /// The log is applied up to `index`: release the reads that waited for it.
    pub(super) fn release(&mut self, index: u64) {
        for (_, reads) in self
            .confirmed
            .extract_if(.., |(needed, _)| *needed <= index)
        {
            for read in reads {
                // The client may have disconnected.
                let _ = read.answer.send(Ok(()));
            }
        }
    }

    /// Refuse the reads that waited for [`READ_WAIT_MAX`].
    pub(super) fn expire(&mut self, now: Duration) {
        let is_late = |read: &mut PendingRead| now.saturating_sub(read.since) >= READ_WAIT_MAX;
        let query = self.query.as_mut().map(|query| &mut query.reads);
        let confirmed = self.confirmed.iter_mut().map(|(_, reads)| reads);
        for reads in query
            .into_iter()
            .chain(confirmed)
            .chain([&mut self.waiting])
        {
            for read in reads.extract_if(.., is_late) {
                let _ = read.answer.send(Err(Refused::NoLeader));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn reads() -> PendingReads {
        PendingReads::new(MemberId::new(7).expect("not zero"), 1)
    }

    #[test]
    fn reads_share_a_query_and_wait_for_apply() {
        let mut reads = reads();
        let (one, mut first) = oneshot::channel();
        let (two, mut second) = oneshot::channel();
        reads.add(one, MS);
        reads.add(two, MS);
        let context = reads.start_query(3, MS).expect("two are waiting");
        assert_eq!(reads.start_query(3, 2 * MS), None, "one query at a time");
        reads.confirm(&context, 10, 3);
        reads.release(9);
        assert!(first.try_recv().is_err());
        reads.release(10);
        assert_eq!(first.try_recv(), Ok(Ok(())));
        assert_eq!(second.try_recv(), Ok(Ok(())));
    }

    #[test]
    fn a_late_answer_to_an_earlier_query_is_ignored() {
        let mut reads = reads();
        let (one, mut answer) = oneshot::channel();
        reads.add(one, MS);
        let old = reads.start_query(3, MS).expect("one is waiting");
        let new = reads
            .start_query(3, MS + QUERY_MAX)
            .expect("a second query");
        assert_ne!(old, new);
        reads.confirm(&old, 1, 3);
        reads.release(100);
        assert!(answer.try_recv().is_err());
        reads.confirm(&new, 1, 4);
        reads.release(100);
        assert!(answer.try_recv().is_err(), "an answer of another term");
        reads.confirm(&new, 1, 3);
        reads.release(100);
        assert_eq!(answer.try_recv(), Ok(Ok(())));
    }

    #[test]
    fn refuses_after_the_timeout() {
        let mut reads = reads();
        let (one, mut answer) = oneshot::channel();
        reads.add(one, MS);
        reads.start_query(1, MS);
        reads.expire(READ_WAIT_MAX);
        assert!(answer.try_recv().is_err());
        reads.expire(READ_WAIT_MAX + MS);
        assert_eq!(answer.try_recv(), Ok(Err(Refused::NoLeader)));
    }
}
