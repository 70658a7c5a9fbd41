//! Repeated kills, as in the functional tests of etcd 0.4.

use std::time::Duration;

use crate::cluster::{Cluster, Member};

/// Default number of rounds; `OXETCD_OUTAGES` sets another one.
const ROUNDS: usize = 2;

fn rounds() -> usize {
    let given = std::env::var("OXETCD_OUTAGES").ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(ROUNDS)
}

#[test]
fn repeated_kills_of_the_leader() {
    let mut cluster = Cluster::start(5);
    for round in 0..rounds() {
        let leader = cluster.wait_for_leader(round % 5);
        cluster.members[leader].kill();
        let other = (leader + 1) % 5;
        write(&cluster, other, round);
        let next = cluster.wait_for_leader(other);
        assert_ne!(next, leader);
        cluster.members[leader].start();
        cluster.wait_for_size(leader, 5);
    }
}

#[test]
fn repeated_kills_of_all_members() {
    let mut cluster = Cluster::start_with(3, &["-snapshot-count=20"]);
    for round in 0..rounds() {
        for number in 0..30 {
            write(&cluster, number % 3, round);
        }
        cluster.members.iter_mut().for_each(Member::kill);
        cluster.members.iter_mut().for_each(Member::start);
        for number in 0..3 {
            cluster.wait_for_size(number, 3);
            let kept = format!("/v2/keys/round/{round}?quorum=true");
            let answer = cluster.members[number].get(&kept).expect("it serves");
            assert_eq!(answer.status, 200, "round {round}");
        }
    }
    let snapshots = std::fs::read_dir(cluster.directory().join("m0.etcd/snap"));
    assert!(snapshots.expect("a directory").count() > 0);
}

#[test]
fn repeated_kills_of_four_of_nine() {
    let mut cluster = Cluster::start(9);
    for round in 0..rounds() {
        let victims: Vec<_> = (0..4).map(|offset| (round * 4 + offset) % 9).collect();
        for victim in &victims {
            cluster.members[*victim].kill();
        }
        let left = (round * 4 + 4) % 9;
        write(&cluster, left, round);
        for victim in &victims {
            cluster.members[*victim].start();
        }
        for victim in &victims {
            cluster.wait_for_size(*victim, 9);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn write(cluster: &Cluster, number: usize, round: usize) {
    cluster.wait_for(number, |member| {
        member
            .put(&format!("/v2/keys/round/{round}"), "value=x")
            .is_ok_and(|answer| answer.status < 300)
    });
}
