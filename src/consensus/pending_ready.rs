//! The raft crate's `Ready`s whose writes are not on disk yet, with the messages that wait for them.
//!
//! The raft crate numbers each `Ready`, and a number counts as persisted only together with all lower
//! ones. A `Ready` with nothing to write still waits for the writes before it.

use std::collections::VecDeque;

use super::message::Message;

/// The `Ready`s that are not on disk yet, in order.
#[derive(Default)]
pub(super) struct PendingReadies {
    pending: VecDeque<PendingReady>,
}

/// One `Ready` that waits for the disk.
pub(super) struct PendingReady {
    /// The raft crate's number of it.
    pub(super) number: u64,
    /// Whether it has anything to write.
    pub(super) has_write: bool,
    /// Whether it changes term or vote: until that is on disk this member must not send in that term.
    pub(super) has_vote: bool,
    /// The messages that may be sent only once it is on disk.
    pub(super) messages: Vec<Message>,
}

impl PendingReadies {
    /// Add a `Ready`.
    pub(super) fn add(&mut self, ready: PendingReady) {
        self.pending.push_back(ready);
    }

    /// Whether a change of term or vote is not on disk yet.
    pub(super) fn has_vote(&self) -> bool {
        self.pending.iter().any(|ready| ready.has_vote)
    }

    /// All writes up to `number` are on disk. Returns the highest number that is persisted now and the
    /// messages that may be sent; none if no number was added. With 0, only `Ready`s without writes that
    /// have no write before them are released.
    pub(super) fn take_persisted(&mut self, number: u64) -> Option<(u64, Vec<Message>)> {
        let mut reached = None;
        let mut messages = Vec::new();
        while let Some(ready) = self
            .pending
            .pop_front_if(|ready| ready.number <= number || !ready.has_write)
        {
            reached = Some(ready.number);
            messages.extend(ready.messages);
        }
        reached.map(|reached| (reached, messages))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(number: u64, has_write: bool) -> PendingReady {
        PendingReady {
            number,
            has_write,
            has_vote: has_write && number == 1,
            messages: Vec::new(),
        }
    }

    #[test]
    fn a_ready_without_a_write_waits_only_for_those_before_it() {
        let mut readies = PendingReadies::default();
        readies.add(ready(1, false));
        assert_eq!(readies.take_persisted(0).map(|(n, _)| n), Some(1));
        readies.add(ready(2, true));
        readies.add(ready(3, false));
        readies.add(ready(4, true));
        assert_eq!(readies.take_persisted(0).map(|(n, _)| n), None);
        assert_eq!(readies.take_persisted(2).map(|(n, _)| n), Some(3));
        assert_eq!(readies.take_persisted(4).map(|(n, _)| n), Some(4));
    }

    #[test]
    fn remembers_a_vote_that_is_not_on_disk() {
        let mut readies = PendingReadies::default();
        readies.add(ready(1, true));
        assert!(readies.has_vote());
        readies.take_persisted(1);
        assert!(!readies.has_vote());
    }
}
