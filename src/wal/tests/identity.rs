//! The member file is always the old one or the new one.

use crate::cluster::{ClusterId, MemberId};
use crate::wal::identity::MEMBER_FILE;
use crate::wal::simulated::{Fault, Operation, SimDisk};
use crate::wal::{Founding, Identity, StorageError};

fn identity(boots: u64) -> Identity {
    Identity {
        id: MemberId::new(0x12).expect("not zero"),
        cluster: None,
        name: "check in ra 0".into(),
        founding: Founding::Discovery,
        boots,
    }
}

#[test]
fn it_reads_as_written() {
    let mut disk = SimDisk::new(1);
    assert_eq!(Identity::load(&disk).expect("empty"), None);
    let mut who = identity(1);
    for cluster in [None, ClusterId::new(u64::MAX)] {
        who.cluster = cluster;
        who.save(&disk).expect("a good disk");
        disk = disk.crash();
        let read = Identity::load(&disk).expect("whole");
        assert_eq!(read, Some(who.clone()));
    }
}

#[test]
fn a_crash_leaves_the_old_one_or_the_new_one() {
    for seed in 0..200 {
        let disk = SimDisk::new(seed);
        identity(1).save(&disk).expect("a good disk");
        disk.plan(Operation::Change, seed % 6, Fault::Crash);
        let saved = identity(2).save(&disk).is_ok();
        let disk = disk.crash();
        let boots = Identity::load(&disk).expect("whole").map(|who| who.boots);
        assert!(boots == Some(2) || (boots == Some(1) && !saved), "{seed}");
        identity(3).save(&disk).expect("whatever was left");
    }
}

#[test]
fn no_flipped_bit_passes_and_a_later_version_is_reported() {
    let disk = SimDisk::new(1);
    identity(1).save(&disk).expect("a good disk");
    let good = disk.bytes(MEMBER_FILE).expect("there");
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        disk.replace(MEMBER_FILE, bad);
        assert!(Identity::load(&disk).is_err(), "bit {bit}");
    }
    disk.replace(MEMBER_FILE, b"oxetcd member 2\nwhatever".to_vec());
    let error = Identity::load(&disk).expect_err("newer");
    assert!(matches!(error, StorageError::Newer { version: 2, .. }));
}

#[test]
fn a_name_that_would_break_the_file_is_refused() {
    let mut who = identity(1);
    who.name = "a\nid 13".into();
    assert!(who.save(&SimDisk::new(1)).is_err());
}
