//! Standbys: they redirect clients, find the cluster again, and join when a seat is free.

use std::time::{Duration, Instant};

use crate::cluster::{Cluster, Member, TIMEOUT};
use crate::http::request;

/// The fewest members and shortest times that the settings allow.
const SMALL: &str = r#"{"activeSize":3,"removeDelay":2,"syncInterval":1}"#;

/// Three members and a standby.
fn with_a_standby() -> Cluster {
    let mut cluster = Cluster::prepare(4, &[]);
    start_first(&mut cluster, 3);
    cluster.configure(1, SMALL);
    cluster.members[3].start();
    cluster.wait_for(3, Member::is_standby);
    cluster
}

/// Start the first members of a cluster and wait until it is formed.
fn start_first(cluster: &mut Cluster, size: usize) {
    cluster.members[0].start();
    cluster.wait_for_size(0, 1);
    for number in 1..size {
        cluster.members[number].start();
    }
    for number in 0..size {
        cluster.wait_for_size(number, size);
    }
}

#[test]
fn a_standby_redirects_clients_to_the_leader() {
    let cluster = with_a_standby();
    let leader = cluster.wait_for_leader(0);
    let leader = cluster.members[leader].client;
    let standby = &cluster.members[3];
    for (method, path) in [
        ("GET", "/v2/keys/a%20b?recursive=true&sorted=false"),
        ("PUT", "/v2/keys/a?prevExist=false"),
        ("DELETE", "/v2/keys/a"),
        ("GET", "/v2/leader"),
        ("GET", "/version"),
    ] {
        let answer = request(standby.client, method, path, "", TIMEOUT).expect("it serves");
        assert_eq!(answer.status, 307, "{method} {path}: {answer:?}");
        let location = format!("Location: http://{leader}{path}\r\n");
        assert!(answer.head.contains(&location), "{location}: {answer:?}");
    }
    let health = standby.get("/health").expect("it serves");
    assert_eq!(
        (health.status, &health.json()["standby"]),
        (200, &true.into())
    );
    for path in [
        "/name",
        "/version",
        "/etcdURL",
        "/v2/admin/config",
        "/oxetcd/peer",
    ] {
        let answer = standby.request_peer("GET", path, "").expect("it serves");
        assert_eq!(answer.status, 404, "{path}");
    }
    assert_eq!(cluster.members[0].members().len(), 3);
}

#[test]
fn a_standby_follows_a_new_leader() {
    let mut cluster = with_a_standby();
    let old = cluster.wait_for_leader(0);
    cluster.members[old].kill();
    let other = (old + 1) % 3;
    cluster.wait_for(3, |standby| {
        let location = |answer: crate::http::Answer| {
            let line = answer
                .head
                .lines()
                .find(|line| line.starts_with("Location: "));
            line.map(str::to_owned)
        };
        let answer = standby.get("/v2/keys/");
        let gone = cluster.members[old].client.to_string();
        answer
            .ok()
            .and_then(location)
            .is_some_and(|to| !to.contains(&gone))
    });
    let answer = cluster.members[other].put("/v2/keys/a", "value=1");
    assert!(answer.is_ok_and(|answer| answer.status < 300));
}

/// It remembers the members of the cluster, although its only configured peer is down.
#[test]
fn a_standby_finds_the_cluster_again_and_joins() {
    let mut cluster = with_a_standby();
    cluster.members[3].kill();
    let _ = cluster.members[0].request_peer("DELETE", "/v2/admin/machines/m0", "");
    cluster.wait_for(1, |member| member.members() == ["m1", "m2"]);
    cluster.members[0].kill();
    let freed = Instant::now();
    cluster.members[3].start();
    cluster.wait_for(3, |member| member.members() == ["m1", "m2", "m3"]);
    assert!(
        freed.elapsed() < Duration::from_secs(6),
        "{:?}",
        freed.elapsed()
    );
    cluster.wait_for_size(3, 3);
    // It is a full member.
    cluster.members[3].kill();
    cluster.members[3].start();
    cluster.wait_for_size(3, 3);
    assert!(!cluster.directory().join("m3.etcd/standby").exists());
}

#[test]
fn the_active_size_limits_the_members() {
    let mut cluster = Cluster::prepare(5, &[]);
    start_first(&mut cluster, 5);
    cluster.configure(4, SMALL);
    let count = |cluster: &Cluster| {
        let standbys = cluster.members.iter().filter(|member| member.is_standby());
        standbys.count()
    };
    let wait = |cluster: &Cluster, standbys: usize| {
        let started = Instant::now();
        while count(cluster) != standbys {
            assert!(started.elapsed() < TIMEOUT, "{} standbys", count(cluster));
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let lowered = Instant::now();
    wait(&cluster, 2);
    // One removal per second.
    assert!(
        lowered.elapsed() > Duration::from_millis(900),
        "{:?}",
        lowered.elapsed()
    );
    let member = cluster
        .members
        .iter()
        .position(|member| !member.is_standby());
    let member = member.expect("three are members");
    cluster.wait_for_size(member, 3);
    for standby in cluster.members.iter().filter(|member| member.is_standby()) {
        let answer = standby.get("/v2/keys/formed").expect("it serves");
        assert_eq!(answer.status, 307);
    }
    cluster.configure(member, r#"{"activeSize":5}"#);
    wait(&cluster, 0);
    for number in 0..5 {
        cluster.wait_for_size(number, 5);
    }
}

#[test]
fn a_standby_reports_an_unreachable_cluster() {
    let mut cluster = with_a_standby();
    cluster.members[..3].iter_mut().for_each(Member::kill);
    cluster.wait_for(3, |standby| {
        let answer = standby.get("/v2/keys/a");
        answer.is_ok_and(|answer| {
            answer.status == 503
                && answer.head.contains("Retry-After:")
                && answer.json()["errorCode"] == 301
        })
    });
    assert_eq!(
        cluster.members[3].get("/health").expect("it serves").status,
        503
    );
    cluster.members[..3].iter_mut().for_each(Member::start);
    cluster.wait_for(3, |standby| {
        standby
            .get("/v2/keys/a")
            .is_ok_and(|answer| answer.status == 307)
    });
}
