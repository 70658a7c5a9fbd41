//! Damage is distinguished from the effects of a crash, and no bytes on disk cause a panic.

use super::model::{Model, any_batch, meta_of, write_snapshot};
use crate::wal::simulated::{Random, SimDisk};
use crate::wal::{Batch, Entry, EntryKind, HardState, LogOptions, StorageError, Wal};

fn options(seed: u64) -> LogOptions {
    LogOptions {
        segment_bytes: 1024,
        seed,
    }
}

/// A used log, and its possible contents if the last record is lost: the last state, and those between it
/// and the one before.
struct Used {
    disk: SimDisk,
    last: Model,
    on_the_way: Vec<Model>,
}

fn used(seed: u64) -> Used {
    let mut random = Random(seed);
    let disk = SimDisk::new(seed);
    Wal::create(&disk, options(seed)).expect("an empty disk");
    let (mut wal, _) = Wal::open(disk.clone(), options(seed)).expect("an empty log");
    let (mut last, mut on_the_way) = (Model::default(), Vec::new());
    for _ in 0..40 {
        let batch = any_batch(&mut random, &last, &disk).expect("a good disk");
        wal.write(&batch, true).expect("a good disk");
        let next = last.after(&batch, batch.entries.len());
        // An empty batch leaves no record.
        if next != last {
            let steps = 0..batch.entries.len();
            on_the_way = steps.map(|count| last.after(&batch, count)).collect();
            on_the_way.push(std::mem::replace(&mut last, next));
        }
    }
    let disk = disk.crash();
    Used {
        disk,
        last,
        on_the_way,
    }
}

fn open(disk: &SimDisk) -> Result<Model, StorageError> {
    Wal::open(disk.clone(), options(9)).map(|(_, recovered)| Model::of(recovered))
}

#[test]
fn a_flipped_bit_is_detected_or_in_the_last_record() {
    for seed in 0..60 {
        let mut random = Random(seed);
        let Used {
            disk,
            last,
            on_the_way,
        } = used(seed);
        for name in disk.names() {
            for _ in 0..20 {
                let copy = disk.copy(seed);
                let mut bytes = copy.bytes(&name).expect("listed");
                let bit = random.below(bytes.len() * 8);
                bytes[bit / 8] ^= 1 << (bit % 8);
                copy.replace(&name, bytes);
                match open(&copy) {
                    Ok(found) => assert!(
                        found == last || on_the_way.contains(&found),
                        "seed {seed}, {name}, bit {bit}: {found:#?}\n{last:#?}"
                    ),
                    Err(StorageError::Damaged { .. } | StorageError::Newer { .. }) => {}
                    Err(error) => panic!("seed {seed}, {name}, bit {bit}: {error}"),
                }
            }
        }
    }
}

#[test]
fn random_bytes_anywhere_never_panic() {
    for seed in 0..60 {
        let mut random = Random(seed);
        let Used { disk, .. } = used(seed);
        for name in disk.names() {
            for _ in 0..10 {
                let copy = disk.copy(seed);
                let mut bytes = copy.bytes(&name).expect("listed");
                let start = random.below(bytes.len());
                let end = start + random.below(bytes.len() - start + 1);
                for byte in &mut bytes[start..end] {
                    *byte = random.number().to_le_bytes()[0];
                }
                if random.coin() {
                    bytes.truncate(end);
                }
                copy.replace(&name, bytes);
                let _ = open(&copy);
            }
        }
    }
}

#[test]
fn refusing_changes_nothing() {
    for seed in 0..40 {
        let Used { disk, .. } = used(seed);
        let mut names = disk.names();
        names.retain(|name| name.ends_with(".wal"));
        let Some(name) = names.first().filter(|_| names.len() > 1) else {
            continue;
        };
        let mut bytes = disk.bytes(name).expect("listed");
        bytes[2] ^= 1;
        disk.replace(name, bytes);
        let before = disk.changes();
        assert!(matches!(open(&disk), Err(StorageError::Damaged { .. })));
        assert_eq!(disk.changes(), before);
    }
}

/// A log of three records in one segment: entries 1, 2 and 3 with the given data.
fn three(data: &'static [u8]) -> SimDisk {
    let disk = SimDisk::new(1);
    let roomy = LogOptions {
        segment_bytes: 64 << 10,
        seed: 5,
    };
    Wal::create(&disk, roomy).expect("an empty disk");
    let (mut wal, _) = Wal::open(disk.clone(), roomy).expect("an empty log");
    for index in 1..=3 {
        let batch = Batch {
            hard_state: Some(HardState {
                term: 1,
                vote: 1,
                commit: index - 1,
            }),
            entries: vec![Entry {
                index,
                term: 1,
                kind: EntryKind::Command,
                data: data.into(),
            }],
            ..Batch::default()
        };
        wal.write(&batch, true).expect("a good disk");
    }
    disk.crash()
}

const SEGMENT: &str = "wal/0000000000000001.wal";

/// Where the data of entry 1, 2 or 3 is.
fn place(bytes: &[u8], data: &[u8], which: usize) -> usize {
    let places = bytes.windows(data.len()).enumerate();
    places
        .filter(|(_, window)| *window == data)
        .map(|(at, _)| at)
        .nth(which - 1)
        .expect("it was written")
}

#[test]
fn a_bad_last_record_is_dropped_once_and_overwritten() {
    let disk = three(b"something");
    let mut bytes = disk.bytes(SEGMENT).expect("there");
    let at = place(&bytes, b"something", 3);
    bytes[at] ^= 1;
    disk.replace(SEGMENT, bytes);
    let (mut wal, recovered) = Wal::open(disk.clone(), options(2)).expect("only torn");
    assert_eq!(recovered.entries.len(), 2);
    let dropped = recovered.dropped.expect("noticed");
    assert_eq!(dropped.path, format!("disk/{SEGMENT}"));
    let batch = Batch {
        hard_state: Some(HardState {
            term: 2,
            vote: 0,
            commit: 2,
        }),
        ..Batch::default()
    };
    wal.write(&batch, true).expect("a good disk");
    let (_, recovered) = Wal::open(disk.crash(), options(3)).expect("well");
    assert_eq!(recovered.dropped, None);
    assert_eq!(recovered.hard_state.term, 2);
    assert_eq!(recovered.entries.len(), 2);
}

#[test]
fn a_bad_record_before_a_valid_one_is_damage_with_its_offset() {
    let disk = three(b"something");
    let mut bytes = disk.bytes(SEGMENT).expect("there");
    let at = place(&bytes, b"something", 2);
    bytes[at] ^= 1;
    disk.replace(SEGMENT, bytes);
    let sentence = open(&disk).expect_err("damaged").to_string();
    assert!(
        sentence.contains("disk/wal/0000000000000001.wal"),
        "{sentence}"
    );
    assert!(sentence.contains("-peers"), "{sentence}");
}

#[test]
fn a_bad_record_before_one_that_was_only_started_is_damage_too() {
    let disk = three(b"something");
    let mut bytes = disk.bytes(SEGMENT).expect("there");
    for at in [2, 3].map(|which| place(&bytes, b"something", which)) {
        bytes[at] ^= 1;
    }
    disk.replace(SEGMENT, bytes);
    assert!(matches!(open(&disk), Err(StorageError::Damaged { .. })));
}

#[test]
fn values_that_look_like_records_are_values() {
    // A client that stores a whole segment's bytes as a value, at all alignments.
    let inner = three(b"x").bytes(SEGMENT).expect("there");
    let mut data = Vec::new();
    for shift in 0..8 {
        data.extend_from_slice(&inner[..256]);
        data.resize(data.len() + shift, 0);
    }
    let disk = three(data.leak());
    let mut bytes = disk.bytes(SEGMENT).expect("there");
    let end = bytes.iter().rposition(|byte| *byte != 0).expect("used");
    bytes[end - 1] ^= 1;
    disk.replace(SEGMENT, bytes);
    let found = open(&disk).expect("the last record is torn, nothing else");
    assert_eq!(found.entries.len(), 2);
}

#[test]
fn missing_files_are_damage() {
    let (mut missing, mut needed) = (0, 0);
    for seed in 0..40 {
        let Used { disk, last, .. } = used(seed);
        for name in disk.names() {
            // No other file refers to the newest segment.
            let newest = disk
                .names()
                .into_iter()
                .rfind(|name| name.ends_with(".wal"));
            if Some(&name) == newest.as_ref() {
                continue;
            }
            let copy = disk.copy(seed);
            copy.delete(&name);
            missing += 1;
            match open(&copy) {
                Ok(found) => assert_eq!(found, last, "seed {seed} without {name}"),
                Err(StorageError::Damaged { .. }) => needed += 1,
                Err(error) => panic!("seed {seed} without {name}: {error}"),
            }
        }
    }
    assert!(needed > 20 && needed < missing, "{needed} of {missing}");
}

#[test]
fn a_later_version_is_reported_as_such() {
    let disk = three(b"x");
    let mut bytes = disk.bytes(SEGMENT).expect("there");
    bytes[8] = 2;
    disk.replace(SEGMENT, bytes);
    let error = open(&disk).expect_err("newer");
    assert!(matches!(error, StorageError::Newer { version: 2, .. }));
    assert!(error.to_string().contains("later version"));
}

#[test]
fn without_a_log_it_is_neither_opened_nor_created_again() {
    let disk = SimDisk::new(1);
    assert!(matches!(open(&disk), Err(StorageError::Damaged { .. })));
    let disk = three(b"x");
    assert!(matches!(
        Wal::create(&disk, options(1)),
        Err(StorageError::Damaged { .. })
    ));
}

#[test]
fn an_inconsistent_batch_is_not_written() {
    let disk = three(b"x");
    let (mut wal, _) = Wal::open(disk.clone(), options(2)).expect("well");
    let meta = meta_of(9, 1);
    write_snapshot(&disk, &meta).expect("a good disk");
    let batch = Batch {
        compact: Some(meta),
        ..Batch::default()
    };
    let error = wal.write(&batch, true).expect_err("there is no entry 9");
    assert!(matches!(error, StorageError::Impossible { .. }));
    assert_eq!(open(&disk.crash()).expect("well").entries.len(), 3);
}
