//! What members said that their disks must keep: terms, votes, and entries they have.

use std::collections::HashMap;

use oxetcd::consensus::core::Recovered;
use oxetcd::consensus::message::{Body, Message, RaftKind};

use crate::shadow::Shadow;

/// What the members promised, by number.
#[derive(Default)]
pub struct Promises {
    /// Whom each voted for in each term, in all its lives.
    votes: HashMap<(usize, u64), u64>,
    terms: HashMap<usize, u64>,
    /// The furthest entry each said it has, and its term.
    entries: HashMap<usize, (u64, u64)>,
}

impl Promises {
    /// A message left `member`, whose log is as `shadow` has it.
    ///
    /// # Errors
    ///
    /// It breaks a promise made before.
    pub fn said(
        &mut self,
        member: usize,
        message: &Message,
        shadow: &Shadow,
    ) -> Result<(), String> {
        let Body::Raft(raft) = &message.body else {
            return Ok(());
        };
        match raft.kind {
            // Asked for a term that nobody is in yet.
            RaftKind::PreVote | RaftKind::PreVoteResponse => return Ok(()),
            RaftKind::Vote => self.voted(member, raft.term, message.from.get())?,
            RaftKind::VoteResponse if !raft.reject => {
                self.voted(member, raft.term, message.to.get())?
            }
            RaftKind::AppendResponse if !raft.reject => {
                let further = self
                    .entries
                    .get(&member)
                    .is_none_or(|(index, _)| *index < raft.index);
                if further && let Some(term) = shadow.term(raft.index) {
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

    fn voted(&mut self, member: usize, term: u64, candidate: u64) -> Result<(), String> {
        let first = *self.votes.entry((member, term)).or_insert(candidate);
        if first == candidate {
            return Ok(());
        }
        Err(format!(
            "member {member} voted for {candidate:x} in term {term}, and for {first:x} before"
        ))
    }

    /// A new leader, or its snapshot, replaced what `member` had from the entry `first` on.
    pub fn replaced(&mut self, member: usize, first: u64) {
        if self
            .entries
            .get(&member)
            .is_some_and(|(index, _)| *index >= first)
        {
            self.entries.remove(&member);
        }
    }

    /// `member` starts again with what its disk kept.
    ///
    /// # Errors
    ///
    /// Something it promised is not there.
    pub fn check(&self, member: usize, recovered: &Recovered) -> Result<(), String> {
        let hard = recovered.hard_state;
        let term = self.terms.get(&member).copied().unwrap_or(0);
        if hard.term < term {
            return Err(format!(
                "member {member} spoke in term {term}, and its disk knows {}",
                hard.term
            ));
        }
        if let Some(&vote) = self.votes.get(&(member, hard.term))
            && hard.vote != vote
        {
            return Err(format!(
                "member {member} voted for {vote:x}, its disk says {:x}",
                hard.vote
            ));
        }
        let Some(&(index, term)) = self.entries.get(&member) else {
            return Ok(());
        };
        let Some(place) = index.checked_sub(recovered.snapshot.index + 1) else {
            return Ok(());
        };
        let kept = usize::try_from(place)
            .ok()
            .and_then(|place| recovered.entries.get(place));
        if kept.is_some_and(|entry| entry.term == term) {
            return Ok(());
        }
        Err(format!(
            "member {member} said it has entry {index} of term {term}, its disk has {kept:?}"
        ))
    }
}
