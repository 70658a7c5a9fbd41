//! A simple model of the log, and random batches that are valid for it.

use crate::wal::simulated::{Random, SimDisk};
use crate::wal::{
    Batch, Configuration, Entry, EntryKind, HardState, Recovered, SnapshotMeta, SnapshotWriter,
    StorageError,
};

/// The expected content of the log.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Model {
    pub(super) hard_state: HardState,
    pub(super) snapshot: Option<SnapshotMeta>,
    pub(super) entries: Vec<Entry>,
}

impl Model {
    pub(super) fn of(recovered: Recovered) -> Self {
        Self {
            hard_state: recovered.hard_state,
            snapshot: recovered.snapshot,
            entries: recovered.entries,
        }
    }

    /// The same, but for a commit index of at least `commit` and at most the other's.
    pub(super) fn is_like(&self, other: &Self, commit: u64) -> bool {
        let mine = self.hard_state.commit;
        let mut same = other.clone();
        same.hard_state.commit = mine;
        *self == same && (commit..=other.hard_state.commit).contains(&mine)
    }

    pub(super) fn base(&self) -> u64 {
        self.snapshot.as_ref().map_or(0, |meta| meta.index)
    }

    pub(super) fn last(&self) -> u64 {
        self.entries.last().map_or(self.base(), |entry| entry.index)
    }

    /// After the first `count` entries of a batch, and its compaction only with all of them.
    pub(super) fn after(&self, batch: &Batch, count: usize) -> Self {
        let mut next = self.clone();
        let commit = self.hard_state.commit;
        next.hard_state = batch.hard_state.unwrap_or(self.hard_state);
        if let Some(meta) = &batch.reset {
            next.snapshot = Some(meta.clone());
            next.entries.clear();
            next.hard_state.commit = next.hard_state.commit.max(meta.index);
        }
        for entry in batch.entries.iter().take(count) {
            next.entries.retain(|old| old.index < entry.index);
            next.entries.push(entry.clone());
        }
        if let Some(meta) = &batch.compact
            && count == batch.entries.len()
        {
            next.entries.retain(|old| old.index > meta.index);
            next.snapshot = Some(meta.clone());
        }
        next.hard_state.commit = next.hard_state.commit.min(next.last()).max(commit);
        next
    }
}

/// Some batch that Raft might want written; a snapshot it names is on the disk.
pub(super) fn any_batch(
    random: &mut Random,
    model: &Model,
    disk: &SimDisk,
) -> Result<Batch, StorageError> {
    let mut hard = model.hard_state;
    if hard.term == 0 || random.below(6) == 0 {
        hard.term += 1 + random.number() % 2;
        hard.vote = random.number() % 4;
    } else if hard.vote == 0 {
        hard.vote = random.number() % 4;
    }
    let mut batch = Batch::default();
    let mut last = model.last();
    let mut first_free = hard.commit + 1;
    if random.below(12) == 0 {
        let index = hard.commit + random.number() % 9;
        let meta = meta_of(index, hard.term);
        write_snapshot(disk, &meta)?;
        (last, first_free) = (meta.index, meta.index + 1);
        hard.commit = meta.index;
        batch.reset = Some(meta);
    }
    if random.below(5) > 0 {
        let first = if random.below(4) == 0 {
            first_free + random.number() % (last + 2 - first_free)
        } else {
            last + 1
        };
        for index in first..=first + random.number() % 4 {
            batch.entries.push(any_entry(random, index, hard.term));
            last = index;
        }
    }
    hard.commit += random.number() % (last - hard.commit + 1);
    if batch.reset.is_none() && hard.commit > model.base() && random.below(6) == 0 {
        let room = hard.commit - model.base();
        let index = model.base() + 1 + random.number() % room;
        let known = model.entries.iter().chain(&batch.entries);
        let term = known
            .filter(|entry| entry.index == index)
            .map(|entry| entry.term)
            .next_back();
        let meta = meta_of(index, term.expect("a committed entry is known"));
        write_snapshot(disk, &meta)?;
        batch.compact = Some(meta);
    }
    if hard != model.hard_state || random.coin() {
        batch.hard_state = Some(hard);
    }
    Ok(batch)
}

pub(super) fn any_entry(random: &mut Random, index: u64, term: u64) -> Entry {
    let most = if random.below(40) == 0 { 2000 } else { 60 };
    let data: Vec<u8> = (0..random.below(most))
        .map(|_| random.number().to_le_bytes()[0])
        .collect();
    let kind = if random.below(10) == 0 {
        EntryKind::Membership
    } else {
        EntryKind::Command
    };
    Entry {
        index,
        term,
        kind,
        data: data.into(),
    }
}

/// The snapshot metadata of an entry.
pub(super) fn meta_of(index: u64, term: u64) -> SnapshotMeta {
    SnapshotMeta {
        index,
        term,
        configuration: Configuration {
            voters: (0..index % 5).collect(),
            learners: vec![7, 8],
            ..Configuration::default()
        },
    }
}

/// An image that contains its index.
pub(super) fn write_snapshot(disk: &SimDisk, meta: &SnapshotMeta) -> Result<(), StorageError> {
    let mut writer = SnapshotWriter::create(disk, meta.clone())?;
    for _ in 0..8 {
        writer.write(&meta.index.to_le_bytes())?;
    }
    writer.finish().map(|_| ())
}
