//! The discovery service under a service manager.

use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::cluster::{TIMEOUT, free_ports};

/// The messages received until one contains the line `last`.
fn receive_until(socket: &UnixDatagram, last: &str) -> Vec<String> {
    let end = Instant::now() + TIMEOUT;
    let mut lines: Vec<String> = Vec::new();
    while !lines.iter().any(|line| line == last) {
        let left = end.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "no {last} in {lines:?}");
        socket.set_read_timeout(Some(left)).expect("a timeout");
        let mut bytes = [0; 4096];
        if let Ok(length) = socket.recv(&mut bytes) {
            let text = String::from_utf8_lossy(&bytes[..length]);
            lines.extend(text.lines().map(str::to_owned));
        }
    }
    lines
}

/// All messages that are left.
fn receive_rest(socket: &UnixDatagram) -> Vec<String> {
    let timeout = Some(Duration::from_millis(1));
    socket.set_read_timeout(timeout).expect("a timeout");
    let mut bytes = [0; 4096];
    let mut lines = Vec::new();
    while let Ok(length) = socket.recv(&mut bytes) {
        let text = String::from_utf8_lossy(&bytes[..length]);
        lines.extend(text.lines().map(str::to_owned));
    }
    lines
}

fn signal(process: &Child, name: &str) {
    let sent = Command::new("kill")
        .args([name, &process.id().to_string()])
        .status();
    assert!(sent.is_ok_and(|status| status.success()));
}

#[test]
fn the_discovery_service_reports_ready_and_stopping_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    let mut process = Command::new(env!("CARGO_BIN_EXE_etcd-discovery"))
        .arg(format!("-addr={}", free_ports(1)[0]))
        .arg(format!(
            "-data-dir={}",
            folder.path().join("discovery.etcd").display()
        ))
        .env("NOTIFY_SOCKET", &path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the service starts");
    let mut lines = receive_until(&socket, "READY=1");
    signal(&process, "-TERM");
    assert!(process.wait().expect("an exit status").success());
    // The process has ended: all messages are in the socket.
    lines.extend(receive_rest(&socket));
    let count = |line: &str| lines.iter().filter(|one| *one == line).count();
    assert_eq!((count("READY=1"), count("STOPPING=1")), (1, 1), "{lines:?}");
}
