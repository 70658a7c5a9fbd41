//! What was acknowledged is there, however the members end.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::cluster::{Cluster, Member, PATIENCE};
use crate::http::request;

/// How long the storm of kills lasts, in seconds; a longer one by `OXETCD_STORM_SECONDS`.
const STORM_SECONDS: u64 = 8;

/// How many write at once.
const WRITERS: usize = 8;

/// A single kill may keep writes from succeeding for this long.
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

/// Started together, they join one after the other; killed together, they are the same cluster again.
#[test]
fn five_members_all_killed_go_on() {
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

/// A member that was away longer than the log goes back comes back by a snapshot.
#[test]
fn a_member_that_was_away_catches_up_by_snapshot() {
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
        cluster.members[2].log().contains("installed a snapshot"),
        "{}",
        cluster.members[2].log()
    );
    // A restart right after it must work as well.
    cluster.members[2].kill();
    cluster.members[2].start();
    cluster.wait_until_formed();
    check_hashes(&cluster);
}

/// Eight writers at full speed, a member killed every two seconds, and all of them once.
#[test]
fn a_storm_of_kills_loses_nothing() {
    let seconds = std::env::var("OXETCD_STORM_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok());
    let length = Duration::from_secs(seconds.unwrap_or(STORM_SECONDS));
    let mut cluster = Cluster::start(3);
    let addresses: Vec<_> = cluster.members.iter().map(|member| member.client).collect();
    let acknowledged: Arc<Mutex<BTreeMap<String, u64>>> = Arc::default();
    let (stop, count) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (addresses, acknowledged) = (addresses.clone(), acknowledged.clone());
            let (stop, count) = (stop.clone(), count.clone());
            std::thread::spawn(move || {
                let mut number = 0_u64;
                while !stop.load(Ordering::Relaxed) {
                    number += 1;
                    let key = format!("/storm/{writer}/{number}");
                    let to = addresses[(writer + number as usize / 50) % addresses.len()];
                    let path = format!("/v2/keys{key}");
                    let answer = request(to, "PUT", &path, &format!("value={number}"), PATIENCE);
                    if answer.is_ok_and(|answer| answer.status == 201) {
                        acknowledged.lock().expect("no panic").insert(key, number);
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        })
        .collect();

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
            victim = (victim * 7 + 1 + count.load(Ordering::Relaxed) as usize) % 3;
            cluster.members[victim].kill();
        }
        let killed = Instant::now();
        let before = count.load(Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(300));
        cluster
            .members
            .iter_mut()
            .filter(|member| !member.runs())
            .for_each(|member| member.start());
        while count.load(Ordering::Relaxed) < before + WRITERS as u64 {
            let outage = if all { PATIENCE } else { OUTAGE_MAX };
            assert!(
                killed.elapsed() < outage,
                "no write {:?} after a kill",
                killed.elapsed()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    stop.store(true, Ordering::Relaxed);
    writers
        .into_iter()
        .for_each(|writer| writer.join().expect("no panic"));
    let acknowledged = acknowledged.lock().expect("no panic");
    assert!(
        acknowledged.len() > 100,
        "only {} writes in all",
        acknowledged.len()
    );
    check_all_there(&cluster, &acknowledged);
    check_hashes(&cluster);
}

fn check_all_there(cluster: &Cluster, acknowledged: &BTreeMap<String, u64>) {
    for number in 0..cluster.members.len() {
        cluster.wait_for(number, |member| {
            member
                .get("/v2/keys/storm?quorum=true")
                .is_ok_and(|answer| answer.status == 200)
        });
        for writer in 0..WRITERS {
            let path = format!("/v2/keys/storm/{writer}");
            let listing = cluster.members[number]
                .get(&path)
                .expect("it serves")
                .json();
            let nodes = listing["node"]["nodes"].as_array().expect("a directory");
            let held: BTreeMap<&str, &str> = nodes
                .iter()
                .filter_map(|node| Some((node["key"].as_str()?, node["value"].as_str()?)))
                .collect();
            let prefix = format!("/storm/{writer}/");
            for (key, value) in acknowledged
                .iter()
                .filter(|(key, _)| key.starts_with(&prefix))
            {
                let found = held.get(key.as_str()).copied();
                assert_eq!(
                    found,
                    Some(value.to_string().as_str()),
                    "{key} at member {number}"
                );
            }
        }
    }
}

/// All stores are the same at the same index.
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
        assert!(
            started.elapsed() < PATIENCE,
            "the stores differ: {hashes:?}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}
