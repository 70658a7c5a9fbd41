//! What may leave a member only after its disk has caught up, in order.
//!
//! The raft crate numbers what it wants persisted, and counts a number as persisted only with all below
//! it. A round with nothing to write still waits for the writes before it.

use std::collections::VecDeque;

use super::message::Message;

/// The rounds that are not yet on disk.
#[derive(Default)]
pub(super) struct PendingReadies {
    rounds: VecDeque<PendingReady>,
}

/// One round of the raft crate's `Ready`.
pub(super) struct PendingReady {
    /// The raft crate's number of it.
    pub(super) number: u64,
    /// Whether it has anything to write.
    pub(super) writes: bool,
    /// Whether a term or a vote is among that: until it is on disk this member may not speak in that term.
    pub(super) votes: bool,
    /// What may be said only afterwards.
    pub(super) messages: Vec<Message>,
}

impl PendingReadies {
    /// A round begins to wait.
    pub(super) fn hold(&mut self, round: PendingReady) {
        self.rounds.push_back(round);
    }

    /// Whether a term or vote is not yet on disk.
    pub(super) fn has_vote(&self) -> bool {
        self.rounds.iter().any(|round| round.votes)
    }

    /// All writes up to round `number` are on disk: which round counts as persisted now, and what may be
    /// said; nothing if that is no more than before. With 0, only rounds that have nothing to write and
    /// nothing before them pass.
    pub(super) fn synced(&mut self, number: u64) -> Option<(u64, Vec<Message>)> {
        let mut reached = None;
        let mut messages = Vec::new();
        while let Some(round) = self
            .rounds
            .pop_front_if(|round| round.number <= number || !round.writes)
        {
            reached = Some(round.number);
            messages.extend(round.messages);
        }
        reached.map(|reached| (reached, messages))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(number: u64, writes: bool) -> PendingReady {
        PendingReady {
            number,
            writes,
            votes: writes && number == 1,
            messages: Vec::new(),
        }
    }

    #[test]
    fn a_round_without_writes_waits_only_for_those_before_it() {
        let mut unsynced = PendingReadies::default();
        unsynced.hold(round(1, false));
        assert_eq!(unsynced.synced(0).map(|(n, _)| n), Some(1));
        unsynced.hold(round(2, true));
        unsynced.hold(round(3, false));
        unsynced.hold(round(4, true));
        assert_eq!(unsynced.synced(0).map(|(n, _)| n), None);
        assert_eq!(unsynced.synced(2).map(|(n, _)| n), Some(3));
        assert_eq!(unsynced.synced(4).map(|(n, _)| n), Some(4));
    }

    #[test]
    fn remembers_an_unsynced_vote() {
        let mut unsynced = PendingReadies::default();
        unsynced.hold(round(1, true));
        assert!(unsynced.has_vote());
        unsynced.synced(1);
        assert!(!unsynced.has_vote());
    }
}
