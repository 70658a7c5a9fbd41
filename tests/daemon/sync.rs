//! No write is answered before its sync returned. A kill cannot show this, since the page cache survives it; slow
//! syncs can.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::cluster::{Cluster, Member};

/// Added duration of each sync.
const DELAY: Duration = Duration::from_millis(300);

/// An answer that is earlier than this was given without a sync.
const SOONEST: Duration = Duration::from_millis(280);

#[test]
fn one_member_answers_after_its_sync() {
    if !can_trace() {
        return;
    }
    let mut cluster = Cluster::prepare(
        1,
        &[
            "-peer-election-timeout=3000",
            "-peer-heartbeat-interval=500",
        ],
    );
    slow(&mut cluster.members[0]);
    cluster.wait_for(0, |member| member.put("/v2/keys/warm", "value=1").is_ok());
    for number in 0..3 {
        let started = Instant::now();
        let answer = cluster.members[0]
            .put(&format!("/v2/keys/s{number}"), "value=x")
            .expect("it serves");
        assert_eq!(answer.status, 201);
        assert!(
            started.elapsed() >= SOONEST,
            "answered after {:?}",
            started.elapsed()
        );
    }
}

/// Two of three disks are slow: every quorum has one of them.
#[test]
fn a_cluster_answers_after_a_quorum_of_syncs() {
    if !can_trace() {
        return;
    }
    let timing = [
        "-peer-election-timeout=3000",
        "-peer-heartbeat-interval=300",
    ];
    let mut cluster = Cluster::start_with(3, &timing);
    for number in [0, 1] {
        cluster.members[number].kill();
        slow(&mut cluster.members[number]);
        cluster.wait_for(number, |member| {
            member
                .get("/v2/keys/formed?quorum=true")
                .is_ok_and(|a| a.status == 200)
        });
    }
    for number in 0..6 {
        let started = Instant::now();
        let answer = cluster.members[number % 3].put(&format!("/v2/keys/s{number}"), "value=x");
        assert!(answer.is_ok_and(|answer| answer.status == 201));
        assert!(
            started.elapsed() >= SOONEST,
            "answered after {:?}",
            started.elapsed()
        );
    }
}

fn slow(member: &mut Member) {
    let delay = format!("inject=fdatasync,fsync:delay_exit={}", DELAY.as_micros());
    member.start_under(&[
        "strace",
        // strace is not the parent, so that a kill reaches the daemon.
        "-D",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "trace=fdatasync,fsync",
        "-e",
        &delay,
    ]);
}

/// Delays the syncs of a running member until it is dropped.
pub struct Tracer(Child);

impl Drop for Tracer {
    fn drop(&mut self) {
        // It exits with the daemon.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Delay each sync of a running member by `delay`, from now on.
pub fn slow_down(member: &Member, delay: Duration) -> Tracer {
    let inject = format!("inject=fdatasync,fsync:delay_enter={}", delay.as_micros());
    let mut tracer = Command::new("strace")
        .args(["-f", "-o", "/dev/null", "-e", "trace=fdatasync,fsync", "-e"])
        .args([&inject, "-p", &member.pid().to_string()])
        .stderr(Stdio::piped())
        .spawn()
        .expect("strace starts");
    // It prints a line once it is attached to all threads.
    let mut said = BufReader::new(tracer.stderr.take().expect("piped"));
    let mut line = String::new();
    said.read_line(&mut line).expect("a line");
    assert!(line.contains("attached"), "{line}");
    Tracer(tracer)
}

/// Whether strace is installed and may trace; prints a message if not.
pub fn can_trace() -> bool {
    let traced = Command::new("strace")
        .args(["-o", "/dev/null", "true"])
        .status();
    let can = traced.is_ok_and(|status| status.success());
    if !can {
        eprintln!("skipped: strace is missing or not permitted");
    }
    can
}
