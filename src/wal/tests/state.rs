//! Which batches are valid.

use crate::wal::batch::Part;
use crate::wal::state::State;
use crate::wal::{Entry, EntryKind, HardState, SnapshotMeta};

fn entries(terms: &[u64], first: u64) -> Vec<Entry> {
    (first..)
        .zip(terms)
        .map(|(index, term)| Entry {
            index,
            term: *term,
            kind: EntryKind::Command,
            data: bytes::Bytes::new(),
        })
        .collect()
}

fn hard(term: u64, vote: u64, commit: u64) -> HardState {
    HardState { term, vote, commit }
}

fn meta(index: u64, term: u64) -> SnapshotMeta {
    SnapshotMeta {
        index,
        term,
        ..SnapshotMeta::default()
    }
}

/// Entries 1 to 4 of terms 1 1 2 2, the first two committed, voted for 9 in term 2.
fn somewhere() -> State {
    let log = entries(&[1, 1, 2, 2], 1);
    let part = Part {
        hard_state: hard(2, 9, 2),
        reset: None,
        entries: &log,
        compact: None,
    };
    State::default().after(&part).expect("a plain append")
}

fn try_part(hard_state: HardState, log: &[Entry], compact: Option<&SnapshotMeta>) -> bool {
    let part = Part {
        hard_state,
        reset: None,
        entries: log,
        compact,
    };
    somewhere().after(&part).is_ok()
}

#[test]
fn batches_of_raft_are_valid() {
    assert!(try_part(hard(2, 9, 4), &[], None));
    assert!(try_part(hard(3, 1, 2), &[], None));
    assert!(try_part(hard(3, 0, 3), &entries(&[3], 3), None));
    assert!(try_part(hard(2, 9, 3), &[], Some(&meta(3, 2))));
}

#[test]
fn inconsistent_batches_are_refused() {
    assert!(!try_part(hard(1, 0, 2), &[], None), "term back");
    assert!(!try_part(hard(2, 8, 2), &[], None), "second vote");
    assert!(!try_part(hard(2, 9, 1), &[], None), "commit back");
    assert!(!try_part(hard(2, 9, 5), &[], None), "commit above");
    assert!(!try_part(hard(2, 9, 2), &entries(&[2], 6), None), "gap");
    assert!(
        !try_part(hard(2, 9, 2), &entries(&[3], 5), None),
        "term above"
    );
    assert!(
        !try_part(hard(2, 9, 2), &entries(&[1], 5), None),
        "term falls"
    );
    assert!(
        !try_part(hard(2, 9, 2), &entries(&[2], 2), None),
        "committed"
    );
    assert!(
        !try_part(hard(2, 9, 2), &[], Some(&meta(3, 1))),
        "wrong term"
    );
    assert!(
        !try_part(hard(2, 9, 2), &[], Some(&meta(5, 2))),
        "not there"
    );
}

#[test]
fn a_reset_replaces_everything() {
    let snapshot = meta(10, 2);
    let log = entries(&[2], 11);
    let part = Part {
        hard_state: hard(2, 9, 10),
        reset: Some(&snapshot),
        entries: &log,
        compact: None,
    };
    let next = somewhere().after(&part).expect("a reset");
    assert_eq!((next.base(), next.last_index), (10, 11));
}
