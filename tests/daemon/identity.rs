//! Hosts that are rebuilt, change addresses, or have the name of another; `-force-new-cluster`.

use std::fs;

use crate::cluster::{Cluster, Member};

fn writes(member: &Member, key: &str) -> bool {
    let written = member.put(&format!("/v2/keys/{key}"), "value=x");
    written.is_ok_and(|answer| answer.status < 300)
}

fn has(member: &Member, key: &str) -> bool {
    let found = member.get(&format!("/v2/keys/{key}?quorum=true"));
    found.is_ok_and(|answer| answer.status == 200)
}

fn count_members(member: &Member) -> usize {
    let list = member.get("/v2/machines");
    list.map_or(0, |answer| answer.body.split(", ").count())
}

/// Wait until the leader sees three voters.
fn wait_until_three_vote(cluster: &Cluster) {
    cluster.wait_for(0, |member| {
        let log = member.log();
        let mut lines = log.lines();
        let last = lines.rfind(|line| line.contains("raft configuration changed"));
        last.is_some_and(|line| line.contains("voters=3 learners=0"))
    });
}

/// The host is rebuilt before its absence is noticed.
#[test]
fn a_rebuilt_member_is_a_voter_again() {
    let mut cluster = Cluster::start(3);
    wait_until_three_vote(&cluster);
    assert!(writes(&cluster.members[0], "before"));
    cluster.members[2].kill();
    fs::remove_dir_all(cluster.directory().join("m2.etcd")).expect("it was there");
    cluster.members[2].start();
    cluster.wait_for(2, |member| has(member, "before"));
    for number in 0..3 {
        assert_eq!(count_members(&cluster.members[number]), 3);
    }
    // Two of three voters are left if the rebuilt member is a voter.
    wait_until_three_vote(&cluster);
    cluster.members[1].kill();
    cluster.wait_for(0, |member| writes(member, "after"));
    cluster.wait_for(2, |member| has(member, "after"));
}

#[test]
fn a_member_that_moved_is_found() {
    let mut cluster = Cluster::start(3);
    cluster.members[2].kill();
    let elsewhere = Cluster::prepare(1, &[]);
    let (client, peer) = (elsewhere.members[0].client, elsewhere.members[0].peer);
    cluster.members[2].add_argument(&format!("-addr={client}"));
    cluster.members[2].add_argument(&format!("-peer-addr={peer}"));
    (cluster.members[2].client, cluster.members[2].peer) = (client, peer);
    cluster.members[2].start();
    cluster.wait_for(2, |member| {
        let list = member.get("/v2/machines").map(|answer| answer.body);
        list.is_ok_and(|body| body.contains(&client.to_string()))
    });
    wait_until_three_vote(&cluster);
    cluster.members[1].kill();
    cluster.wait_for(2, |member| writes(member, "moved"));
    cluster.wait_for(0, |member| has(member, "moved"));
}

/// No leader can be elected while both members use old addresses.
#[test]
fn two_members_that_both_moved_find_each_other() {
    let mut cluster = Cluster::start(3);
    wait_until_three_vote(&cluster);
    assert!(writes(&cluster.members[0], "before"));
    let elsewhere = Cluster::prepare(2, &[]);
    for (number, target) in [1, 2].into_iter().zip(&elsewhere.members) {
        let member = &mut cluster.members[number];
        member.kill();
        member.add_argument(&format!("-addr={}", target.client));
        member.add_argument(&format!("-peer-addr={}", target.peer));
        (member.client, member.peer) = (target.client, target.peer);
    }
    cluster.members[1].start();
    cluster.members[2].start();
    cluster.wait_for(1, |member| writes(member, "after"));
    let clients = [1, 2].map(|number| cluster.members[number].client.to_string());
    cluster.wait_for(0, |member| {
        let list = member.get("/v2/machines").map(|answer| answer.body);
        list.is_ok_and(|body| clients.iter().all(|client| body.contains(client)))
    });
    cluster.members[0].kill();
    cluster.wait_for(2, |member| writes(member, "later"));
}

#[test]
fn name_and_address_of_a_running_member_are_refused() {
    let cluster = Cluster::start(2);
    let peers = format!("-peers={}", cluster.members[0].peer);
    let mut namesake = Cluster::prepare(1, &["-name=m1", &peers]);
    let log = namesake.members[0].start_failing(1);
    assert!(
        log.contains("the name m1 belongs to a living member"),
        "{log}"
    );
    let address = format!("-peer-addr={}", cluster.members[1].peer);
    let bind = format!(
        "-peer-bind-addr=127.0.0.2:{}",
        cluster.members[1].peer.port()
    );
    let mut other = Cluster::prepare(1, &["-name=other", &peers, &address, &bind]);
    let log = other.members[0].start_failing(1);
    assert!(log.contains("other cannot use the peer address"), "{log}");
    assert!(log.contains("belongs to the member m1"), "{log}");
    assert_eq!(count_members(&cluster.members[0]), 2);
}

#[test]
fn one_of_three_continues_with_force_new_cluster() {
    let mut cluster = Cluster::start(3);
    assert!(writes(&cluster.members[0], "kept"));
    cluster.wait_for(2, |member| has(member, "kept"));
    for member in &mut cluster.members {
        member.kill();
    }
    cluster.members[2].add_argument("-force-new-cluster");
    cluster.members[2].start();
    cluster.wait_for(2, |member| writes(member, "alone"));
    let survivor = &cluster.members[2];
    assert!(has(survivor, "kept"));
    assert_eq!(count_members(survivor), 1);
    let log = survivor.log();
    for said in [
        "-force-new-cluster: m2 was",
        "are lost",
        "do not start m0, m1 with their old data",
    ] {
        assert!(log.contains(said), "{said} is not in:\n{log}");
    }
    // A second start with the option changes nothing, and a start without it works.
    cluster.members[2].kill();
    cluster.members[2].start();
    cluster.wait_for(2, |member| has(member, "alone"));
    assert!(
        cluster.members[2]
            .log()
            .contains("is already the only member")
    );
    cluster.members[2].kill();
    cluster.members[2].add_argument("-force-new-cluster=false");
    cluster.members[2].start();
    cluster.wait_for(2, |member| has(member, "alone"));
    // A member of the old cluster is refused.
    cluster.members[1].start();
    cluster.wait_for(1, |member| member.log().contains("cluster id mismatch"));
    cluster.wait_for(2, |member| member.log().contains("cluster id mismatch"));
    assert_eq!(count_members(&cluster.members[2]), 1);
    // A rebuilt host joins.
    cluster.members[1].kill();
    fs::remove_dir_all(cluster.directory().join("m1.etcd")).expect("it was there");
    let peers = format!("-peers={}", cluster.members[2].peer);
    cluster.members[1].add_argument(&peers);
    cluster.members[1].start();
    cluster.wait_for(1, |member| {
        has(member, "alone") && count_members(member) == 2
    });
}

#[test]
fn force_new_cluster_needs_a_data_directory() {
    let mut cluster = Cluster::prepare(1, &["-force-new-cluster"]);
    let log = cluster.members[0].start_failing(78);
    assert!(log.contains("holds no data of a cluster"), "{log}");
}
