//! The content of the log: entries, hard state and snapshot metadata.

use bytes::Bytes;

/// The kind of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A command for the store; or, with empty data, the entry of a new leader.
    Command,
    /// A change of Raft's configuration, with the command that changes the store accordingly.
    Membership,
}

/// An entry of the replicated log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its index, from 1, without gaps.
    pub index: u64,
    /// The term of the leader that appended it.
    pub term: u64,
    /// Its kind.
    pub kind: EntryKind,
    /// Its content, encoded by `consensus`.
    pub data: Bytes,
}

/// Raft's durable state besides the entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HardState {
    /// The latest term this member has seen.
    pub term: u64,
    /// The member it voted for in that term; 0 for none.
    pub vote: u64,
    /// The highest index it knows to be committed.
    pub commit: u64,
}

/// The voters and learners, as of some entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// The voting members.
    pub voters: Vec<u64>,
    /// Members that receive the log but do not vote.
    pub learners: Vec<u64>,
    /// The voters being left, during a joint change.
    pub voters_outgoing: Vec<u64>,
    /// Voters of the old configuration that become learners when the joint change ends.
    pub learners_next: Vec<u64>,
    /// Whether the leader ends the joint change automatically.
    pub auto_leave: bool,
}

impl Configuration {
    /// Whether this member is a voter or a learner.
    pub fn contains(&self, id: u64) -> bool {
        let lists = [
            &self.voters,
            &self.learners,
            &self.voters_outgoing,
            &self.learners_next,
        ];
        lists.into_iter().any(|list| list.contains(&id))
    }
}

/// The metadata of a snapshot: the last entry it covers, and the configuration as of that entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotMeta {
    /// The index of the last entry it covers.
    pub index: u64,
    /// That entry's term.
    pub term: u64,
    /// The configuration as of that entry.
    pub configuration: Configuration,
}
