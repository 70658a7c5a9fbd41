//! Start, stop and exit statuses of the daemon.

use std::time::{Duration, Instant};

use crate::cluster::{Cluster, TIMEOUT, exited_with};

/// Maximum time of a stop.
const STOP_MAX: Duration = Duration::from_secs(2);

/// Exit status for an unusable data directory: the service manager does not restart the daemon.
const DATA_ERROR: i32 = 65;

/// Exit status for wrong options, also without a restart.
const CONFIG_ERROR: i32 = 78;

#[test]
fn logs_its_settings_at_start() {
    let cluster = Cluster::start(1);
    let member = &cluster.members[0];
    let log = member.log();
    for wanted in [
        "0.4.6",
        "m0",
        "m0.etcd",
        &member.client.to_string(),
        &member.peer.to_string(),
    ] {
        assert!(log.contains(wanted), "{wanted} is not in:\n{log}");
    }
}

#[test]
fn stops_in_time_and_closes_watches() {
    for signal in ["-TERM", "-INT"] {
        let mut cluster = Cluster::start(3);
        let to = cluster.members[0].client;
        let watch = std::thread::spawn(move || {
            crate::http::request(to, "GET", "/v2/keys/w?wait=true&stream=true", "", TIMEOUT)
        });
        std::thread::sleep(Duration::from_millis(100));
        cluster.members[0].signal(signal);
        let started = Instant::now();
        let status = cluster.members[0].end(STOP_MAX).expect("it stops in time");
        assert!(
            exited_with(status, 0),
            "{status:?}:\n{}",
            cluster.members[0].log()
        );
        assert!(
            watch.join().expect("no panic").is_ok(),
            "the stream did not end cleanly"
        );
        let answer = cluster.members[1]
            .put("/v2/keys/after", "value=x")
            .expect("it serves");
        assert_eq!(answer.status, 201);
        assert!(started.elapsed() < STOP_MAX + Duration::from_secs(2));
    }
}

#[test]
fn a_directory_in_use_is_refused() {
    let cluster = Cluster::start(1);
    let mut second = Cluster::prepare(1, &[]);
    let taken = cluster.directory().join("m0.etcd");
    second.members[0].add_argument(&format!("-data-dir={}", taken.display()));
    let log = second.members[0].start_failing(1);
    assert!(log.contains("in use"), "{log}");
    assert_eq!(
        cluster.members[0]
            .put("/v2/keys/a", "value=1")
            .expect("it serves")
            .status,
        201
    );
}

#[test]
fn an_occupied_port_is_an_error_without_changes() {
    let cluster = Cluster::start(1);
    let mut second = Cluster::prepare(1, &[]);
    second.members[0].add_argument(&format!("-addr={}", cluster.members[0].client));
    let log = second.members[0].start_failing(1);
    assert!(
        log.contains(&cluster.members[0].client.to_string()),
        "{log}"
    );
    assert!(!second.directory().join("m0.etcd").exists());
}

#[test]
fn a_damaged_log_is_refused_without_changes() {
    let mut cluster = Cluster::start(1);
    for number in 0..20 {
        cluster.members[0]
            .put(&format!("/v2/keys/d/{number}"), "value=abcdefgh")
            .expect("it serves");
    }
    cluster.members[0].kill();
    let folder = cluster.directory().join("m0.etcd/wal");
    let damaged = std::fs::read_dir(folder)
        .expect("a log")
        .flatten()
        .any(|file| {
            let mut bytes = std::fs::read(file.path()).expect("a segment");
            let found = bytes.windows(8).position(|window| window == b"abcdefgh");
            let Some(position) = found else { return false };
            bytes[position] ^= 1;
            std::fs::write(file.path(), bytes).expect("writable");
            true
        });
    assert!(damaged, "no segment holds the value");
    let log = cluster.members[0].start_failing(DATA_ERROR);
    assert!(log.contains("damaged at byte"), "{log}");
}

#[test]
fn a_foreign_directory_and_wrong_options_have_their_own_exit_statuses() {
    let mut cluster = Cluster::prepare(1, &[]);
    let folder = cluster.directory().join("m0.etcd");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("holiday.jpg"), "x").expect("a file");
    cluster.members[0].start_failing(DATA_ERROR);
    cluster.members[0].add_argument("-snapshot-count=none");
    cluster.members[0].start_failing(CONFIG_ERROR);
}
