//! Notifications of the daemon to the service manager.

use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use crate::cluster::{Cluster, TIMEOUT};

/// A mock of a service manager that receives notifications.
struct MockManager {
    socket: UnixDatagram,
    path: String,
    received: Vec<String>,
}

impl MockManager {
    fn beside(cluster: &Cluster) -> Self {
        let path = cluster.directory().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        let path = path.display().to_string();
        Self {
            socket,
            path,
            received: Vec::new(),
        }
    }

    /// Start a member with its socket and additional variables.
    fn start(&self, cluster: &mut Cluster, number: usize, variables: &[&str]) {
        let socket = format!("NOTIFY_SOCKET={}", self.path);
        let mut wrapper = vec!["env", &socket];
        wrapper.extend(variables);
        cluster.members[number].start_under(&wrapper);
    }

    /// The next line that starts with this text, if it arrives within `timeout`.
    fn receive_within(&mut self, start: &str, timeout: Duration) -> Option<String> {
        let end = Instant::now() + timeout;
        loop {
            if let Some(position) = self
                .received
                .iter()
                .position(|line| line.starts_with(start))
            {
                return self.received.drain(..=position).next_back();
            }
            let left = end.checked_duration_since(Instant::now())?;
            let left = left.max(Duration::from_millis(1));
            self.socket.set_read_timeout(Some(left)).expect("a timeout");
            let mut bytes = [0; 4096];
            if let Ok(length) = self.socket.recv(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..length]);
                self.received.extend(text.lines().map(str::to_owned));
            }
        }
    }

    fn receive(&mut self, start: &str, cluster: &Cluster) -> String {
        let received = self.receive_within(start, TIMEOUT);
        received.unwrap_or_else(|| panic!("no {start}:\n{}", cluster.members[0].log()))
    }
}

#[test]
fn it_is_ready_when_it_serves_and_has_a_status() {
    let mut cluster = Cluster::prepare(1, &[]);
    let mut manager = MockManager::beside(&cluster);
    manager.start(&mut cluster, 0, &["WATCHDOG_USEC=600000"]);
    manager.receive("EXTEND_TIMEOUT_USEC=", &cluster);
    let doing = manager.receive("STATUS=", &cluster);
    assert!(doing.len() > "STATUS=".len());
    manager.receive("READY=1", &cluster);
    let answer = cluster.members[0].get("/v2/keys/").expect("it serves");
    assert_eq!(answer.status, 200);
    manager.receive("STATUS=leader of 1, index ", &cluster);
    for _ in 0..3 {
        manager.receive("WATCHDOG=1", &cluster);
    }
    cluster.members[0].signal("-TERM");
    manager.receive("STOPPING=1", &cluster);
    assert!(cluster.members[0].end(TIMEOUT).is_some());
}

#[test]
fn a_reload_reads_its_options() {
    let mut cluster = Cluster::prepare(1, &[]);
    let file = cluster.directory().join("etcd.conf");
    std::fs::write(&file, "").expect("a file");
    cluster.members[0].add_argument(&format!("-config={}", file.display()));
    let mut manager = MockManager::beside(&cluster);
    manager.start(&mut cluster, 0, &[]);
    manager.receive("READY=1", &cluster);

    let mut reload = |text: &str, said: &str| {
        std::fs::write(&file, text).expect("a file");
        cluster.members[0].signal("-HUP");
        manager.receive("RELOADING=1", &cluster);
        manager.receive("MONOTONIC_USEC=", &cluster);
        manager.receive("READY=1", &cluster);
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
fn it_waits_for_a_leader_if_configured() {
    let mut cluster = Cluster::prepare(2, &["-ready=quorum"]);
    let mut manager = MockManager::beside(&cluster);
    // The status is updated at the watchdog interval.
    let often = ["WATCHDOG_USEC=300000"];
    manager.start(&mut cluster, 0, &often);
    manager.receive("READY=1", &cluster);
    cluster.members[1].start();
    // Until the second member is a voter, the first one is a majority.
    manager.receive("STATUS=leader of 2", &cluster);
    cluster.members[0].kill();
    cluster.members[1].kill();
    manager.start(&mut cluster, 0, &often);
    let waits = manager.receive("STATUS=no leader among 2", &cluster);
    assert!(waits.ends_with(", waiting for a leader"), "{waits}");
    assert_eq!(
        manager.receive_within("READY=1", Duration::from_millis(500)),
        None
    );
    cluster.members[1].start();
    manager.receive("READY=1", &cluster);
}

#[test]
fn a_stuck_disk_stops_the_keep_alives() {
    if !crate::sync::can_trace() {
        return;
    }
    let mut cluster = Cluster::prepare(1, &[]);
    let mut manager = MockManager::beside(&cluster);
    manager.start(&mut cluster, 0, &["WATCHDOG_USEC=900000"]);
    manager.receive("READY=1", &cluster);
    manager.receive("WATCHDOG=1", &cluster);
    let tracer = crate::sync::slow_down(&cluster.members[0], Duration::from_secs(60));
    let client = cluster.members[0].client;
    std::thread::spawn(move || {
        crate::http::request(client, "PUT", "/v2/keys/stuck", "value=1", TIMEOUT)
    });
    cluster.wait_for(0, |member| {
        member.log().contains("a write to disk has not completed")
    });
    // Drop the messages that were sent before.
    while manager
        .receive_within("WATCHDOG=1", Duration::from_millis(10))
        .is_some()
    {}
    let later = manager.receive_within("WATCHDOG=1", Duration::from_millis(1500));
    assert_eq!(later, None, "{}", cluster.members[0].log());
    drop(tracer);
}
