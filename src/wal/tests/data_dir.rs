//! The data directory, on the real disk.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::model::meta_of;
use crate::cluster::ClusterId;
use crate::wal::{
    Batch, DataDir, Entry, EntryKind, Founding, HardState, LogOptions, SnapshotWriter,
    StorageError, Wal, remove_old_snapshots,
};

/// Every name below a directory, with each file's bytes.
fn everything(path: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path).expect("a directory") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            found.extend(everything(&path));
            found.push((path.display().to_string(), Vec::new()));
        } else {
            let bytes = fs::read(&path).expect("readable");
            found.push((path.display().to_string(), bytes));
        }
    }
    found.sort();
    found
}

#[test]
fn a_new_directory_gets_a_member_and_counts_its_starts() {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("deep/er/one.etcd");
    let mut directory = DataDir::open(&path).expect("fresh");
    let mode = fs::metadata(&path).expect("made").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    assert!(directory.identity().is_none());
    assert!(directory.boot().is_err(), "nobody to start");
    let id = directory.found("one", Founding::Alone).expect("fresh");
    assert!(directory.found("two", Founding::Alone).is_err());
    assert_eq!(directory.boot().expect("founded"), 1);
    drop(directory);

    let mut directory = DataDir::open(&path).expect("ours");
    let identity = directory.identity().expect("remembered").clone();
    assert_eq!((identity.id, identity.boots), (id, 1));
    assert_eq!(identity.name, "one");
    assert_eq!(directory.boot().expect("ours"), 2);
    let cluster = ClusterId::new(5).expect("not zero");
    let other = ClusterId::new(6).expect("not zero");
    directory.set_cluster(cluster).expect("none known");
    directory.set_cluster(cluster).expect("the same");
    assert!(directory.set_cluster(other).is_err());
}

#[test]
fn two_processes_do_not_share_a_directory() {
    let place = tempfile::tempdir().expect("a directory");
    let held = DataDir::open(place.path()).expect("fresh");
    let error = DataDir::open(place.path()).expect_err("in use");
    assert!(matches!(error, StorageError::InUse { pid: Some(pid), .. }
        if pid == std::process::id()));
    assert!(matches!(
        DataDir::destroy(place.path()),
        Err(StorageError::InUse { .. })
    ));
    drop(held);
    DataDir::open(place.path()).expect("free again");
}

#[test]
fn a_foreign_directory_is_refused_and_not_changed() {
    let cases: &[(&[&str], &str)] = &[
        (&["conf", "log", "snapshot/"], "etcd 0.4"),
        (&["standby_info"], "etcd 0.4"),
        (&["member/", "member/wal/"], "etcd 2"),
        (&["photos/", "letter.txt"], "letter.txt"),
        (&["member"], "of another program"),
    ];
    for (names, said) in cases {
        let place = tempfile::tempdir().expect("a directory");
        for name in *names {
            if name.ends_with('/') {
                fs::create_dir(place.path().join(name)).expect("fresh");
            } else {
                fs::write(place.path().join(name), "something").expect("fresh");
            }
        }
        let before = everything(place.path());
        for result in [
            DataDir::open(place.path()).map(|_| ()),
            DataDir::destroy(place.path()).map(|_| ()),
        ] {
            let sentence = result.expect_err("foreign").to_string();
            assert!(sentence.contains(said), "{sentence}");
        }
        assert_eq!(everything(place.path()), before);
    }
}

#[test]
fn a_file_and_a_later_version_are_refused() {
    let place = tempfile::tempdir().expect("a directory");
    let file = place.path().join("file");
    fs::write(&file, "").expect("fresh");
    let error = DataDir::open(&file).expect_err("a file");
    assert!(matches!(error, StorageError::NotADirectory { .. }));

    let later = place.path().join("later");
    fs::create_dir(&later).expect("fresh");
    fs::write(later.join("member"), "oxetcd member 7\n").expect("fresh");
    let error = DataDir::open(&later).expect_err("newer");
    assert!(matches!(error, StorageError::Newer { version: 7, .. }));
}

#[test]
fn missing_permissions_are_reported_with_the_fix() {
    let error = StorageError::NotOurs {
        directory: "/var/lib/etcd".into(),
        path: "/var/lib/etcd/wal".into(),
        owner: "root".into(),
        user: "etcd".into(),
    };
    assert_eq!(
        error.to_string(),
        "cannot use /var/lib/etcd/wal: it belongs to root, not to etcd (to fix this: \
         chown -R etcd /var/lib/etcd)"
    );
}

#[test]
fn a_new_file_system_is_accepted() {
    let place = tempfile::tempdir().expect("a directory");
    fs::create_dir(place.path().join("lost+found")).expect("fresh");
    DataDir::open(place.path()).expect("fresh");
}

#[test]
fn a_log_without_a_member_file_is_not_used() {
    let place = tempfile::tempdir().expect("a directory");
    let mut directory = DataDir::open(place.path()).expect("fresh");
    directory.found("one", Founding::Peers).expect("fresh");
    // A crash between the log and the member file.
    fs::remove_file(place.path().join("member")).expect("there");
    drop(directory);
    let mut directory = DataDir::open(place.path()).expect("unfinished");
    directory.found("one", Founding::Peers).expect("as fresh");
    write_one(&directory);
    fs::remove_file(place.path().join("member")).expect("there");
    drop(directory);
    let mut directory = DataDir::open(place.path()).expect("not looked at yet");
    let error = directory.found("one", Founding::Peers).expect_err("a log");
    assert!(matches!(error, StorageError::Damaged { .. }));
}

fn write_one(directory: &DataDir) {
    let (mut wal, _) = Wal::open(directory.disk(), LogOptions::new(1)).expect("an empty log");
    let batch = Batch {
        hard_state: Some(HardState {
            term: 1,
            vote: 1,
            commit: 0,
        }),
        ..Batch::default()
    };
    wal.write(&batch, true).expect("a good disk");
}

#[test]
fn destroy_deletes_only_our_files_and_reports_them() {
    let place = tempfile::tempdir().expect("a directory");
    let mut directory = DataDir::open(place.path()).expect("fresh");
    directory.found("one", Founding::Alone).expect("fresh");
    write_one(&directory);
    fs::write(place.path().join("wal/note.txt"), "a person's").expect("fresh");
    drop(directory);
    let destroyed = DataDir::destroy(place.path()).expect("ours");
    assert!(destroyed.to_string().contains("member one ("));
    assert_eq!((destroyed.log_files, destroyed.snapshots), (1, 0));
    assert!(place.path().join("wal/note.txt").exists());

    let mut directory = DataDir::open(place.path()).expect("as fresh");
    assert!(directory.identity().is_none());
    directory.found("two", Founding::Alone).expect("as fresh");

    let nowhere = DataDir::destroy(&place.path().join("nowhere")).expect("nothing");
    assert_eq!(nowhere.log_files, 0);
}

/// Snapshots, compaction, roll-over and restarts on the real disk.
#[test]
fn a_log_on_the_real_disk() {
    let place = tempfile::tempdir().expect("a directory");
    let mut directory = DataDir::open(place.path()).expect("fresh");
    directory.found("one", Founding::Alone).expect("fresh");
    let options = LogOptions {
        segment_bytes: 4096,
        seed: 1,
    };
    let disk = directory.disk();
    let mut last = 0;
    for life in 1..=3_u64 {
        let (mut wal, recovered) = Wal::open(disk.clone(), options).expect("well");
        let base = recovered.snapshot.map_or(0, |meta| meta.index);
        assert_eq!(recovered.entries.len() as u64, last - base);
        for _ in 0..200 {
            last += 1;
            let mut batch = Batch {
                hard_state: Some(HardState {
                    term: life,
                    vote: 1,
                    commit: last,
                }),
                entries: vec![Entry {
                    index: last,
                    term: life,
                    kind: EntryKind::Command,
                    data: vec![b'x'; 100].into(),
                }],
                ..Batch::default()
            };
            if last.is_multiple_of(64) {
                let meta = meta_of(last, life);
                let mut writer = SnapshotWriter::create(&disk, meta.clone()).expect("room");
                writer.write(b"image").expect("room");
                writer.finish().expect("room");
                remove_old_snapshots(&disk, &meta).expect("ours");
                batch.compact = Some(meta);
            }
            wal.write(&batch, true).expect("room");
            while wal.maintain().expect("room") {}
        }
    }
    let files = fs::read_dir(place.path().join("wal"))
        .expect("there")
        .count();
    assert!(files < 12, "{files} files");
    let images = fs::read_dir(place.path().join("snap"))
        .expect("there")
        .count();
    assert_eq!(images, 2);
}
