//! `etcdctl exec-watch` and hooks as real processes.

mod failures;
mod forever;
mod hooks;
mod manners;
mod memory;
mod proxy;
mod storm;

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take that should take a second or two.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A process of `etcdctl` that watches.
pub struct Watcher {
    process: Child,
    err: PathBuf,
}

impl Watcher {
    /// Start it with these arguments, talking to these members. What it says goes to files in `directory`,
    /// as does what its commands print.
    pub fn start(directory: &Path, members: &[SocketAddr], arguments: &[&str]) -> Self {
        Self::start_with(directory, members, arguments, &[])
    }

    /// The same with these variables.
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

    /// Wait for its end.
    pub fn end(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().expect("a child") {
                return status;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "it does not end: {}",
                self.said()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ask it to stop; it must do so with this code.
    pub fn stop(&mut self, code: i32) {
        self.signal("-TERM");
        let status = self.end();
        assert_eq!(status.code(), Some(code), "{}", self.said());
    }

    /// What all watchers in this directory said on stderr so far.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.err).unwrap_or_default()
    }

    /// Wait until it said this.
    pub fn wait_until_said(&self, text: &str) {
        wait(|| self.said().contains(text), || self.said());
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Wait until it holds; fails with `shown`.
pub fn wait(holds: impl Fn() -> bool, shown: impl Fn() -> String) {
    let started = Instant::now();
    while !holds() {
        assert!(
            started.elapsed() < PATIENCE,
            "it did not get there: {}",
            shown()
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The lines of a file so far, none if it is not there.
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
