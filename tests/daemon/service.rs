//! The daemon under a service manager: what it is told, and when.

use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use crate::cluster::{Cluster, PATIENCE};

/// A service manager that only listens.
struct Manager {
    socket: UnixDatagram,
    path: String,
    heard: Vec<String>,
}

impl Manager {
    fn beside(cluster: &Cluster) -> Self {
        let path = cluster.directory().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        let path = path.display().to_string();
        Self {
            socket,
            path,
            heard: Vec::new(),
        }
    }

    /// Start a member under it, with these variables more.
    fn start(&self, cluster: &mut Cluster, number: usize, variables: &[&str]) {
        let socket = format!("NOTIFY_SOCKET={}", self.path);
        let mut wrapper = vec!["env", &socket];
        wrapper.extend(variables);
        cluster.members[number].start_under(&wrapper);
    }

    /// The next line that begins like this, if it comes within `patience`.
    fn hear_within(&mut self, start: &str, patience: Duration) -> Option<String> {
        let end = Instant::now() + patience;
        loop {
            if let Some(place) = self.heard.iter().position(|line| line.starts_with(start)) {
                return self.heard.drain(..=place).next_back();
            }
            let left = end.checked_duration_since(Instant::now())?;
            let left = left.max(Duration::from_millis(1));
            self.socket.set_read_timeout(Some(left)).expect("a timeout");
            let mut bytes = [0; 4096];
            if let Ok(length) = self.socket.recv(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..length]);
                self.heard.extend(text.lines().map(str::to_owned));
            }
        }
    }

    fn hear(&mut self, start: &str, cluster: &Cluster) -> String {
        let heard = self.hear_within(start, PATIENCE);
        heard.unwrap_or_else(|| panic!("no {start}:\n{}", cluster.members[0].log()))
    }
}

#[test]
fn it_is_ready_when_it_serves_and_says_how_it_is() {
    let mut cluster = Cluster::prepare(1, &[]);
    let mut manager = Manager::beside(&cluster);
    manager.start(&mut cluster, 0, &["WATCHDOG_USEC=600000"]);
    manager.hear("EXTEND_TIMEOUT_USEC=", &cluster);
    let doing = manager.hear("STATUS=", &cluster);
    assert!(doing.len() > "STATUS=".len());
    manager.hear("READY=1", &cluster);
    let answer = cluster.members[0].get("/v2/keys/").expect("it serves");
    assert_eq!(answer.status, 200);
    manager.hear("STATUS=leader of 1, index ", &cluster);
    for _ in 0..3 {
        manager.hear("WATCHDOG=1", &cluster);
    }
    cluster.members[0].signal("-TERM");
    manager.hear("STOPPING=1", &cluster);
    assert!(cluster.members[0].end(PATIENCE).is_some());
}

#[test]
fn it_reads_its_options_again() {
    let mut cluster = Cluster::prepare(1, &[]);
    let file = cluster.directory().join("etcd.conf");
    std::fs::write(&file, "").expect("a file");
    cluster.members[0].add_argument(&format!("-config={}", file.display()));
    let mut manager = Manager::beside(&cluster);
    manager.start(&mut cluster, 0, &[]);
    manager.hear("READY=1", &cluster);

    let mut reload = |text: &str, said: &str| {
        std::fs::write(&file, text).expect("a file");
        cluster.members[0].signal("-HUP");
        manager.hear("RELOADING=1", &cluster);
        manager.hear("MONOTONIC_USEC=", &cluster);
        manager.hear("READY=1", &cluster);
        let log = cluster.members[0].log();
        assert!(log.contains(said), "{said} is not in:\n{log}");
    };
    reload("verbose = maybe", "cannot reload the configuration, ");
    reload("snapshot_count = 5\n", "need a restart");
    reload("very_verbose = true\n", "configuration reloaded\n");
    assert!(cluster.members[0].put("/v2/keys/a", "value=1").is_ok());
    let log = cluster.members[0].log();
    let (_, after) = log.rsplit_once("configuration reloaded").expect("said");
    assert!(after.contains("TRACE") || after.contains("DEBUG"), "{log}");
}

#[test]
fn it_waits_for_a_leader_if_that_is_asked_for() {
    let mut cluster = Cluster::prepare(2, &["-ready=quorum"]);
    let mut manager = Manager::beside(&cluster);
    // Its status is looked at as often as it has to say that it is alive.
    let often = ["WATCHDOG_USEC=300000"];
    manager.start(&mut cluster, 0, &often);
    manager.hear("READY=1", &cluster);
    cluster.members[1].start();
    // Until the other has a vote, the first one needs nobody.
    manager.hear("STATUS=leader of 2", &cluster);
    cluster.members[0].kill();
    cluster.members[1].kill();
    manager.start(&mut cluster, 0, &often);
    let waits = manager.hear("STATUS=no leader among 2", &cluster);
    assert!(waits.ends_with(", waiting for a leader"), "{waits}");
    assert_eq!(
        manager.hear_within("READY=1", Duration::from_millis(500)),
        None
    );
    cluster.members[1].start();
    manager.hear("READY=1", &cluster);
}

#[test]
fn a_stuck_disk_is_not_reported_as_alive() {
    if !crate::sync::can_trace() {
        return;
    }
    let mut cluster = Cluster::prepare(1, &[]);
    let mut manager = Manager::beside(&cluster);
    manager.start(&mut cluster, 0, &["WATCHDOG_USEC=900000"]);
    manager.hear("READY=1", &cluster);
    manager.hear("WATCHDOG=1", &cluster);
    let tracer = crate::sync::slow_down(&cluster.members[0], Duration::from_secs(60));
    let client = cluster.members[0].client;
    std::thread::spawn(move || {
        crate::http::request(client, "PUT", "/v2/keys/stuck", "value=1", PATIENCE)
    });
    cluster.wait_for(0, |member| {
        member.log().contains("a write to disk has not completed")
    });
    // What was sent before is taken out first.
    while manager
        .hear_within("WATCHDOG=1", Duration::from_millis(10))
        .is_some()
    {}
    let later = manager.hear_within("WATCHDOG=1", Duration::from_millis(1500));
    assert_eq!(later, None, "{}", cluster.members[0].log());
    drop(tracer);
}
