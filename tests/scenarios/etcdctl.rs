//! A run of `etcdctl`, which may continue in the background.

use std::fs::File;
use std::io::{Seek, Write};
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Interval of checks for its exit.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// A running command. It is killed when it is dropped.
pub struct Run {
    process: Child,
    stdout: File,
    stderr: File,
}

/// The output of a command so far.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Exit status; none while it runs.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    pub fn start(arguments: &[String], stdin: &str, variables: &[(String, String)]) -> Self {
        let [mut input, stdout, stderr] =
            [(); 3].map(|()| tempfile::tempfile().expect("a temporary file"));
        input.write_all(stdin.as_bytes()).expect("written");
        input.rewind().expect("a file");
        let clone = |file: &File| Stdio::from(file.try_clone().expect("one more handle"));
        let process = Command::new(env!("CARGO_BIN_EXE_etcdctl"))
            .args(arguments)
            .env_remove("ETCDCTL_PEERS")
            .envs(variables.iter().cloned())
            .stdin(Stdio::from(input))
            .stdout(clone(&stdout))
            .stderr(clone(&stderr))
            .spawn()
            .expect("etcdctl is there");
        Self {
            process,
            stdout,
            stderr,
        }
    }

    /// Wait for its exit, at most this long.
    pub fn wait(&mut self, time: Duration) {
        let started = Instant::now();
        while self.code().is_none() && started.elapsed() < time {
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    pub fn interrupt(&self) {
        let pid = i32::try_from(self.process.id()).expect("a process id");
        // It may have exited already.
        let _ = kill(Pid::from_raw(pid), Signal::SIGINT);
    }

    pub fn outcome(&mut self) -> Outcome {
        Outcome {
            code: self.code(),
            stdout: read_all(&self.stdout),
            stderr: read_all(&self.stderr),
        }
    }

    /// Its exit status; -1 if it was killed by a signal.
    fn code(&mut self) -> Option<i32> {
        let status = self.process.try_wait().expect("a child")?;
        Some(status.code().unwrap_or(-1))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // It may have exited already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The content of a file, without moving the offset of the command.
fn read_all(file: &File) -> String {
    let length = file.metadata().expect("a file").len();
    let mut text = vec![0; usize::try_from(length).expect("a short output")];
    file.read_exact_at(&mut text, 0).expect("read");
    String::from_utf8_lossy(&text).into_owned()
}
