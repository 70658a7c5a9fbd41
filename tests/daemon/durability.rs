//! Acknowledged writes are kept, however the members stop.

use std::time::{Duration, Instant};

use crate::cluster::{Cluster, Member, TIMEOUT};
use crate::writers::Writers;

/// Default duration of the kill test, in seconds; `OXETCD_STORM_SECONDS` sets another one.
const STORM_SECONDS: u64 = 8;

/// Number of writers.
const WRITERS: usize = 8;

/// Maximum time without a successful write after a kill.
const OUTAGE_MAX: Duration = Duration::from_secs(2);

#[test]
fn one_member_keeps_what_it_acknowledged() {
    let mut cluster = Cluster::start(1);
    for number in 0..50 {
        let answer = cluster.members[0]
            .put(&format!("/v2/keys/d/{number}"), "value=x")
            .expect("it serves");
        assert_eq!(answer.status, 201);
    }
    cluster.members[0].kill();
    cluster.members[0].start();
    cluster.wait_for(0, |member| member.get("/v2/keys/d").is_ok());
    let listing = cluster.members[0]
        .get("/v2/keys/d")
        .expect("it serves")
        .json();
    assert_eq!(listing["node"]["nodes"].as_array().map(Vec::len), Some(50));
}

/// Members that start together join one after the other; killed together, they form the same cluster again.
#[test]
fn five_killed_members_restart() {
    let mut cluster = Cluster::start(5);
    let answer = cluster.members[3].put("/v2/keys/kept", "value=x");
    assert_eq!(answer.expect("it serves").status, 201);
    cluster.members.iter_mut().for_each(Member::kill);
    cluster.members.iter_mut().for_each(Member::start);
    cluster.wait_until_formed();
    for number in 0..5 {
        let answer = cluster.members[number].get("/v2/keys/kept?quorum=true");
        assert_eq!(answer.expect("it serves").status, 200);
    }
    check_hashes(&cluster);
}

/// A member that was down for longer than the log reaches back gets a snapshot.
#[test]
fn a_member_that_was_down_gets_a_snapshot() {
    let mut cluster = Cluster::start_with(3, &["-snapshot-count=100"]);
    cluster.members[2].kill();
    let value = "x".repeat(20_000);
    for number in 0..1_200 {
        let form = format!("value={value}");
        let answer = cluster.members[0].put(&format!("/v2/keys/away/{}", number % 10), &form);
        assert!(answer.is_ok_and(|answer| answer.status < 300));
    }
    cluster.members[2].start();
    cluster.wait_until_formed();
    check_hashes(&cluster);
    assert!(
        cluster.members[2]
            .log()
            .contains("snapshot from the leader installed"),
        "{}",
        cluster.members[2].log()
    );
    // A restart after the snapshot works too.
    cluster.members[2].kill();
    cluster.members[2].start();
    cluster.wait_until_formed();
    check_hashes(&cluster);
}

/// Eight writers at full speed; a member is killed every two seconds, and once all of them.
#[test]
fn kills_under_load_lose_no_write() {
    let seconds = std::env::var("OXETCD_STORM_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok());
    let length = Duration::from_secs(seconds.unwrap_or(STORM_SECONDS));
    let mut cluster = Cluster::start(3);
    let addresses = cluster.members.iter().map(|member| member.client);
    let writers = Writers::start(WRITERS, addresses.collect());

    let started = Instant::now();
    let mut victim = 0;
    let mut all_were_killed = false;
    while started.elapsed() < length {
        std::thread::sleep(Duration::from_millis(1_500));
        let all = !all_were_killed && started.elapsed() > length / 2;
        if all {
            all_were_killed = true;
            cluster.members.iter_mut().for_each(|member| member.kill());
        } else {
            victim = (victim * 7 + 1 + writers.answered()) % 3;
            cluster.members[victim].kill();
        }
        let killed = Instant::now();
        let before = writers.answered();
        std::thread::sleep(Duration::from_millis(300));
        cluster
            .members
            .iter_mut()
            .filter(|member| !member.is_running())
            .for_each(|member| member.start());
        while writers.answered() < before + WRITERS {
            let outage = if all { TIMEOUT } else { OUTAGE_MAX };
            assert!(
                killed.elapsed() < outage,
                "no write {:?} after a kill",
                killed.elapsed()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    let written = writers.stop();
    assert!(written.len() > 100, "only {} writes in all", written.len());
    for number in 0..3 {
        written.check_at(&cluster, number);
    }
    check_hashes(&cluster);
}

/// Check that all members have the same store at the same index.
fn check_hashes(cluster: &Cluster) {
    let started = Instant::now();
    loop {
        let hashes: Vec<_> = cluster
            .members
            .iter()
            .map(|member| member.get_from_peer_port("/hash").expect("it serves").body)
            .collect();
        if hashes.iter().all(|hash| *hash == hashes[0]) {
            return;
        }
        assert!(started.elapsed() < TIMEOUT, "the stores differ: {hashes:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
