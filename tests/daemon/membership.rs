//! Removed members, and members that come back.

use std::time::{Duration, Instant};

use crate::cluster::{Cluster, Member, TIMEOUT};
use crate::http::request;

/// Maximum time until a removed member is a standby.
const REMOVED_MAX: Duration = Duration::from_secs(1);

/// The shortest times that the settings allow.
const QUICK: &str = r#"{"removeDelay":2,"syncInterval":1}"#;

/// Removed through any member, it is a standby at once and a member again after a sync.
#[test]
fn a_removed_member_comes_back() {
    let cluster = Cluster::start(3);
    cluster.configure(0, QUICK);
    for (round, (asked, page)) in [
        (0, "/v2/admin/machines/m2"),
        (1, "/remove/m2"),
        (2, "/v2/admin/machines/m2"),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = cluster.members[asked].request_peer("DELETE", page, "");
        let answer = answer.expect("it serves");
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (200, ""),
            "round {round}"
        );
        let removed = Instant::now();
        cluster.wait_for(2, Member::is_standby);
        assert!(removed.elapsed() < REMOVED_MAX, "{:?}", removed.elapsed());
        assert_eq!(cluster.members[0].members(), ["m0", "m1"]);
        cluster.wait_for_size(2, 3);
    }
    let unknown = cluster.members[2].request_peer("DELETE", "/v2/admin/machines/m9", "");
    assert_eq!(unknown.expect("it serves").status, 404);
}

/// Through the leader and through a follower, with the API of 2.x.
#[test]
fn the_leader_can_be_removed() {
    let cluster = Cluster::start(3);
    cluster.configure(0, QUICK);
    for elsewhere in [false, true] {
        let leader = cluster.wait_for_leader(0);
        let asked = if elsewhere { (leader + 1) % 3 } else { leader };
        let list = cluster.members[asked]
            .get("/v2/members")
            .expect("it serves")
            .json();
        let name = format!("m{leader}");
        let list = list["members"].as_array().expect("a list");
        let found = list.iter().find(|member| member["name"] == *name);
        let id = found.expect("the leader is listed")["id"]
            .as_str()
            .expect("text")
            .to_owned();
        let path = format!("/v2/members/{id}");
        let to = cluster.members[asked].client;
        let answer = request(to, "DELETE", &path, "", TIMEOUT).expect("it serves");
        assert_eq!(answer.status, 204, "{answer:?}");
        cluster.wait_for(leader, Member::is_standby);
        cluster.wait_for_size(leader, 3);
    }
}

/// The founding host, rebuilt with an empty disk under the same name.
#[test]
fn a_lost_directory_is_replaced_without_a_command() {
    let mut cluster = Cluster::start(3);
    let answer = cluster.members[0].put("/v2/keys/kept", "value=x");
    assert_eq!(answer.expect("it serves").status, 201);
    cluster.members[0].kill();
    std::fs::remove_dir_all(cluster.directory().join("m0.etcd")).expect("it had a directory");
    let peer = cluster.members[1].peer;
    cluster.members[0].add_argument(&format!("-peers={peer}"));
    cluster.members[0].start();
    cluster.wait_for_size(0, 3);
    let answer = cluster.members[0].get("/v2/keys/kept?quorum=true");
    assert_eq!(answer.expect("it serves").status, 200);
    // All three are voters: any one may stop.
    for number in 0..3 {
        cluster.members[number].kill();
        cluster.wait_for_size((number + 1) % 3, 3);
        cluster.members[number].start();
        cluster.wait_for_size(number, 3);
    }
}

/// A member that is paused for longer than the remove delay is removed, learns this, and comes back.
#[test]
fn a_paused_member_comes_back() {
    let cluster = Cluster::start(3);
    cluster.configure(0, QUICK);
    let paused = (cluster.wait_for_leader(0) + 1) % 3;
    let other = (paused + 1) % 3;
    cluster.members[paused].signal("-STOP");
    cluster.wait_for(other, |member| member.members().len() == 2);
    cluster.members[paused].signal("-CONT");
    cluster.wait_for(paused, Member::is_standby);
    cluster.wait_for_size(paused, 3);
}

/// The same for a member that was killed and then removed.
#[test]
fn a_member_removed_while_down_comes_back() {
    let mut cluster = Cluster::start(3);
    cluster.configure(0, QUICK);
    cluster.members[2].kill();
    let answer = cluster.members[1].request_peer("DELETE", "/remove/m2", "");
    assert_eq!(answer.expect("it serves").status, 200);
    cluster.members[2].start();
    cluster.wait_for(2, Member::is_standby);
    cluster.wait_for_size(2, 3);
}

/// A removal that would cost the quorum is refused.
#[test]
fn a_removal_keeps_the_quorum() {
    let mut cluster = Cluster::start(3);
    cluster.configure(0, QUICK);
    let leader = cluster.wait_for_leader(0);
    let (away, other) = ((leader + 1) % 3, (leader + 2) % 3);
    cluster.members[away].kill();
    let page = format!("/v2/admin/machines/m{other}");
    // It counts as reachable until twice the election timeout has passed.
    std::thread::sleep(Duration::from_secs(1));
    cluster.wait_for(leader, |member| {
        let answer = member.request_peer("DELETE", &page, "").expect("it serves");
        assert_ne!(answer.status, 200, "{answer:?}");
        answer.status == 409
            && answer.json()["cause"]
                .as_str()
                .is_some_and(|why| why.contains("can be reached"))
    });
    assert!(!cluster.members[other].is_standby());
    let answer = cluster.members[other].put("/v2/keys/still", "value=x");
    assert_eq!(answer.expect("it serves").status, 201);
}

/// With and without a data directory.
#[test]
fn a_peer_address_belongs_to_one_name() {
    let mut cluster = Cluster::start(3);
    cluster.members[2].kill();
    let (client, peer) = (cluster.members[2].client, cluster.members[2].peer);
    let mut other = Cluster::prepare(2, &[]);
    let first_peer = cluster.members[0].peer;
    other.members[1].move_to(client, peer);
    other.members[1].add_argument("-name=other");
    other.members[1].add_argument(&format!("-peers={first_peer}"));
    let old = cluster.directory().join("m2.etcd");
    // Its cluster refuses it; the directory of another member is not usable.
    let old = format!("-data-dir={}", old.display());
    for (arguments, code) in [(&[][..], 1), (&[old.as_str()], 65)] {
        for argument in arguments {
            other.members[1].add_argument(argument);
        }
        let log = other.members[1].start_failing(code);
        assert!(log.contains("m2"), "{log}");
    }
    cluster.members[2].start();
    cluster.wait_for_size(2, 3);
}

/// With peers of which one is down, one is a follower, and one is the joining host itself.
#[test]
fn members_join_through_any_member() {
    let mut cluster = Cluster::prepare(3, &[]);
    cluster.members[0].start();
    cluster.wait_for_size(0, 1);
    cluster.members[1].start();
    cluster.wait_for_size(1, 2);
    let leader = cluster.wait_for_leader(1);
    let follower = cluster.members[1 - leader].peer;
    let away = Cluster::prepare(1, &[]).members[0].peer;
    let own = cluster.members[2].peer;
    let file = cluster.directory().join("peers");
    std::fs::write(&file, format!("{away}\n{own}\n{follower}\n")).expect("a file");
    cluster.members[2].add_argument("-peers=");
    cluster.members[2].add_argument(&format!("-peers-file={}", file.display()));
    cluster.members[2].start();
    cluster.wait_for_size(2, 3);
}
