//! The encoding of batches, and their parts.

use crate::wal::batch::Part;
use crate::wal::{Batch, Configuration, Entry, EntryKind, HardState, SnapshotMeta};

fn entry(index: u64, length: usize) -> Entry {
    Entry {
        index,
        term: 2,
        kind: EntryKind::Membership,
        data: vec![7; length].into(),
    }
}

fn meta(index: u64) -> SnapshotMeta {
    SnapshotMeta {
        index,
        term: 2,
        configuration: Configuration {
            voters: vec![1, 2],
            learners: vec![3],
            voters_outgoing: vec![],
            learners_next: vec![4],
            auto_leave: true,
        },
    }
}

fn state(commit: u64) -> HardState {
    HardState {
        term: 2,
        vote: 1,
        commit,
    }
}

#[test]
fn a_batch_reads_as_written_and_not_truncated() {
    let batch = Batch {
        hard_state: Some(state(6)),
        reset: Some(meta(5)),
        entries: vec![entry(6, 3), entry(7, 0)],
        compact: Some(meta(6)),
    };
    let mut bytes = Vec::new();
    Part::of(&batch).encode(&mut bytes).expect("small");
    assert_eq!(Batch::decode(&bytes), Some(batch));
    for length in 0..bytes.len() {
        assert_eq!(Batch::decode(&bytes[..length]), None);
    }
}

#[test]
fn a_large_batch_is_split_into_valid_parts() {
    let batch = Batch {
        hard_state: Some(state(8)),
        reset: Some(meta(5)),
        entries: vec![entry(6, 50), entry(7, 500), entry(8, 10), entry(9, 10)],
        compact: Some(meta(6)),
    };
    let parts = batch.parts(100, state(0), 0);
    let shape: Vec<_> = parts
        .iter()
        .map(|part| {
            (
                part.entries.len(),
                part.hard_state.commit,
                part.reset.is_some(),
                part.compact.is_some(),
            )
        })
        .collect();
    assert_eq!(
        shape,
        [
            (1, 6, true, false),
            (1, 7, false, false),
            (2, 8, false, true)
        ]
    );
}

#[test]
fn a_snapshot_raises_the_commit_index() {
    let batch = Batch {
        reset: Some(meta(9)),
        ..Batch::default()
    };
    let parts = batch.parts(100, state(4), 4);
    assert_eq!(parts.len(), 1);
    assert_eq!(parts[0].hard_state.commit, 9);
}

#[test]
fn later_entries_replace_those_they_overlap() {
    let mut batch = Batch {
        hard_state: Some(state(1)),
        entries: vec![entry(6, 1), entry(7, 1), entry(8, 1)],
        compact: Some(meta(5)),
        ..Batch::default()
    };
    batch.absorb(Batch {
        hard_state: Some(state(6)),
        entries: vec![entry(7, 2)],
        ..Batch::default()
    });
    assert_eq!(batch.entries, [entry(6, 1), entry(7, 2)]);
    assert_eq!(batch.hard_state, Some(state(6)));
    assert_eq!(batch.compact, Some(meta(5)));
    batch.absorb(Batch {
        reset: Some(meta(20)),
        entries: vec![entry(21, 1)],
        ..Batch::default()
    });
    assert_eq!(batch.entries, [entry(21, 1)]);
    assert_eq!((batch.hard_state, batch.compact), (Some(state(6)), None));
}
