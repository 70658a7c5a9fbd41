//! `etcdctl exec-watch` and hooks as real processes.

mod commands;
mod every_change;
mod failures;
mod hooks;
mod proxy;
mod state_file;
mod watch_forever;

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Timeout for what usually takes one or two seconds.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// A running `etcdctl` that watches.
pub struct Watcher {
    process: Child,
    err: PathBuf,
}

impl Watcher {
    /// Start it with these arguments and members. Its output and that of its commands goes to files in `directory`.
    pub fn start(directory: &Path, members: &[SocketAddr], arguments: &[&str]) -> Self {
        Self::start_with(directory, members, arguments, &[])
    }

    /// Start it with additional variables.
    pub fn start_with(
        directory: &Path,
        members: &[SocketAddr],
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        let members: Vec<String> = members.iter().map(SocketAddr::to_string).collect();
        let err = directory.join("err");
        let mut command = Command::new(env!("CARGO_BIN_EXE_etcdctl"));
        command
            .args(["--no-sync", "-C", &members.join(",")])
            .args(arguments)
            .current_dir(directory)
            .env_remove("NOTIFY_SOCKET")
            .env_remove("STATE_DIRECTORY")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(append(&directory.join("out")))
            .stderr(append(&err));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("ETCD")) {
            command.env_remove(name);
        }
        let process = command.spawn().expect("etcdctl starts");
        Self { process, err }
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Send it a signal.
    pub fn signal(&self, name: &str) {
        let id = self.id().to_string();
        let status = Command::new("kill").args([name, &id]).status();
        assert!(status.expect("kill").success());
    }

    /// Wait for its exit.
    pub fn end(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().expect("a child") {
                return status;
            }
            assert!(
                started.elapsed() < TIMEOUT,
                "it does not end: {}",
                self.said()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Stop it and check its exit status.
    pub fn stop(&mut self, code: i32) {
        self.signal("-TERM");
        let status = self.end();
        assert_eq!(status.code(), Some(code), "{}", self.said());
    }

    /// Stderr of all watchers in this directory.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.err).unwrap_or_default()
    }

    /// Wait until stderr has this text.
    pub fn wait_until_said(&self, text: &str) {
        wait(|| self.said().contains(text), || self.said());
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // It may have exited already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Wait until a condition holds. Panics with `shown`.
pub fn wait(holds: impl Fn() -> bool, shown: impl Fn() -> String) {
    let started = Instant::now();
    while !holds() {
        assert!(
            started.elapsed() < TIMEOUT,
            "it did not get there: {}",
            shown()
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The lines of a file, none if it does not exist.
pub fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Wait until a file has these lines.
pub fn wait_for_lines(path: &Path, expected: &[&str]) {
    wait(
        || lines(path).len() >= expected.len(),
        || format!("{:?}", lines(path)),
    );
    assert_eq!(lines(path), expected);
}

fn append(path: &Path) -> File {
    File::options()
        .create(true)
        .append(true)
        .open(path)
        .expect("a file")
}
