//! What the log is made of.

use bytes::Bytes;

/// What an entry is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A command for the store; empty data is the mark a new leader makes.
    Command,
    /// A change of Raft's configuration, with the store's command that goes with it.
    Membership,
}

/// An entry of the replicated log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place, from 1, without gaps.
    pub index: u64,
    /// The term of the leader that appended it.
    pub term: u64,
    /// What it is for.
    pub kind: EntryKind,
    /// What it says, encoded by `consensus`.
    pub data: Bytes,
}

/// What Raft must remember besides the entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HardState {
    /// The latest term this member has seen.
    pub term: u64,
    /// Whom it voted for in that term; 0 for nobody.
    pub vote: u64,
    /// The highest index it knows to be committed.
    pub commit: u64,
}

/// Who votes and who learns, as of some entry.
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
    /// Whether the joint change ends by itself.
    pub auto_leave: bool,
}

impl Configuration {
    /// Whether this member votes or learns.
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

/// Which entry a snapshot stands for, and the configuration as of that entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotMeta {
    /// The index of the last entry it contains.
    pub index: u64,
    /// That entry's term.
    pub term: u64,
    /// The configuration as of that entry.
    pub configuration: Configuration,
}
