//! What members sent and must keep on disk: terms, votes and acknowledged entries.

use std::collections::HashMap;

use oxetcd::consensus::core::Recovered;
use oxetcd::consensus::message::{Body, Message, RaftKind};

use crate::expected_log::ExpectedLog;

/// The promises of the members, by number.
#[derive(Default)]
pub struct Promises {
    /// The candidate that a member voted for in a term.
    votes: HashMap<(usize, u64), u64>,
    terms: HashMap<usize, u64>,
    /// Index and term of the last entry that a member acknowledged.
    entries: HashMap<usize, (u64, u64)>,
}

impl Promises {
    /// Check a message that `member` sends.
    ///
    /// # Errors
    ///
    /// If it breaks an earlier promise.
    pub fn check_sent(
        &mut self,
        member: usize,
        message: &Message,
        expected_log: &ExpectedLog,
    ) -> Result<(), String> {
        let Body::Raft(raft) = &message.body else {
            return Ok(());
        };
        match raft.kind {
            // For a term that has not started.
            RaftKind::PreVote | RaftKind::PreVoteResponse => return Ok(()),
            RaftKind::Vote => self.record_vote(member, raft.term, message.from.get())?,
            RaftKind::VoteResponse if !raft.reject => {
                self.record_vote(member, raft.term, message.to.get())?
            }
            RaftKind::AppendResponse if !raft.reject => {
                let further = self
                    .entries
                    .get(&member)
                    .is_none_or(|(index, _)| *index < raft.index);
                if further && let Some(term) = expected_log.term(raft.index) {
                    self.entries.insert(member, (raft.index, term));
                }
            }
            RaftKind::Append
            | RaftKind::AppendResponse
            | RaftKind::VoteResponse
            | RaftKind::Snapshot
            | RaftKind::Heartbeat
            | RaftKind::HeartbeatResponse
            | RaftKind::TransferLeader
            | RaftKind::TimeoutNow
            | RaftKind::ReadIndex
            | RaftKind::ReadIndexResponse => {}
        }
        let term = self.terms.entry(member).or_default();
        *term = raft.term.max(*term);
        Ok(())
    }

    fn record_vote(&mut self, member: usize, term: u64, candidate: u64) -> Result<(), String> {
        let first = *self.votes.entry((member, term)).or_insert(candidate);
        if first == candidate {
            return Ok(());
        }
        Err(format!(
            "member {member} voted for {candidate:x} in term {term}, and for {first:x} before"
        ))
    }

    /// Forget acknowledged entries from `first` on, which a new leader or its snapshot replaced.
    pub fn forget_replaced(&mut self, member: usize, first: u64) {
        if self
            .entries
            .get(&member)
            .is_some_and(|(index, _)| *index >= first)
        {
            self.entries.remove(&member);
        }
    }

    /// Check what `member` recovered from its disk.
    ///
    /// # Errors
    ///
    /// If something that it promised is missing.
    pub fn check(&self, member: usize, recovered: &Recovered) -> Result<(), String> {
        let hard = recovered.hard_state;
        let term = self.terms.get(&member).copied().unwrap_or(0);
        if hard.term < term {
            return Err(format!(
                "member {member} sent messages of term {term}, its disk has term {}",
                hard.term
            ));
        }
        if let Some(&vote) = self.votes.get(&(member, hard.term))
            && hard.vote != vote
        {
            return Err(format!(
                "member {member} voted for {vote:x}, its disk has {:x}",
                hard.vote
            ));
        }
        let Some(&(index, term)) = self.entries.get(&member) else {
            return Ok(());
        };
        let Some(offset) = index.checked_sub(recovered.snapshot.index + 1) else {
            return Ok(());
        };
        let kept = usize::try_from(offset)
            .ok()
            .and_then(|offset| recovered.entries.get(offset));
        if kept.is_some_and(|entry| entry.term == term) {
            return Ok(());
        }
        Err(format!(
            "member {member} acknowledged entry {index} of term {term}, its disk has {kept:?}"
        ))
    }
}
