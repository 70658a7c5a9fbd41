//! Running one command, to its end.
//!
//! Each command leads a process group of its own, which is what is ended when it takes too long. Its output
//! goes straight to where ours goes: nothing of it passes through here.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;

use super::environment;
use super::user::User;
use crate::client::watch::Change;

/// How long a command may take to end after SIGTERM; then it gets SIGKILL.
pub(super) const KILL_AFTER: Duration = Duration::from_secs(5);

/// What a shell returns for a command that took too long, by way of `timeout`.
const CODE_TIMED_OUT: u8 = 124;

/// What a shell returns for a command that is there and cannot be run, and for one that is not there.
const CODE_NOT_RUN: u8 = 126;
const CODE_NOT_FOUND: u8 = 127;

/// What a shell adds to the number of the signal that ended a command.
const CODE_SIGNALLED: i32 = 128;

/// How systemd is spoken to, which is not for commands.
const OURS_ALONE: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"];

/// What to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spec {
    /// The command and its arguments; never empty.
    pub(crate) words: Vec<OsString>,
    /// More variables.
    pub(crate) environment: Vec<(String, String)>,
    /// As whom.
    pub(crate) user: Option<User>,
    /// Whether the event goes to its input, as JSON.
    pub(crate) json: bool,
    /// How long it may take.
    pub(crate) timeout: Option<Duration>,
}

impl Spec {
    /// What people call it.
    pub(super) fn name(&self) -> String {
        let first = self.words.first();
        first.map_or_else(String::new, |word| word.to_string_lossy().into_owned())
    }

    /// A sentence if the command cannot be run as things are.
    pub(super) fn missing(&self) -> Option<String> {
        let word = self.words.first()?;
        let name = self.name();
        let (there, runs) = if name.contains('/') {
            let path = PathBuf::from(word);
            (path.exists(), is_executable(&path))
        } else {
            let path = std::env::var_os("PATH").unwrap_or_default();
            let found = std::env::split_paths(&path).map(|folder| folder.join(word));
            let runs = found.into_iter().any(|path| is_executable(&path));
            (runs, runs)
        };
        match (there, runs) {
            (_, true) => None,
            (true, false) => Some(format!("{name} is not executable")),
            (false, false) => Some(format!("there is no command {name}")),
        }
    }
}

/// How far we are with stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Not at all.
    Run,
    /// No more commands are begun.
    Drain,
    /// Those that run are asked to end.
    Terminate,
    /// And ended.
    Kill,
}

/// How a command ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// By itself, with this code.
    Exited(i32),
    /// By this signal, which did not come from here.
    Signalled(i32),
    /// It took longer than this.
    TimedOut(Duration),
    /// It was ended because all is stopped.
    Stopped,
    /// It never began.
    NotStarted { found: bool, cause: String },
}

impl Outcome {
    /// Whether the change is handled.
    pub(super) fn is_success(&self) -> bool {
        *self == Self::Exited(0)
    }

    /// What a shell would return for it.
    pub(super) fn code(&self) -> u8 {
        match self {
            Self::Exited(code) => u8::try_from(*code).unwrap_or(u8::MAX),
            Self::Signalled(signal) => u8::try_from(CODE_SIGNALLED + signal).unwrap_or(u8::MAX),
            Self::TimedOut(_) => CODE_TIMED_OUT,
            Self::Stopped => {
                u8::try_from(CODE_SIGNALLED + Signal::SIGTERM as i32).unwrap_or(u8::MAX)
            }
            Self::NotStarted { found: true, .. } => CODE_NOT_RUN,
            Self::NotStarted { found: false, .. } => CODE_NOT_FOUND,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "ended with exit code {code}"),
            Self::Signalled(signal) => match Signal::try_from(*signal) {
                Ok(signal) => write!(f, "was killed by {signal}"),
                Err(_) => write!(f, "was killed by signal {signal}"),
            },
            Self::TimedOut(limit) => {
                write!(
                    f,
                    "took longer than {} s and was ended",
                    limit.as_secs_f64()
                )
            }
            Self::Stopped => write!(f, "was ended before it was done"),
            Self::NotStarted { cause, .. } => write!(f, "could not be run: {cause}"),
        }
    }
}

fn is_executable(path: &Path) -> bool {
    std::fs::metadata(path)
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Run a command for a change.
pub(super) async fn run(
    spec: Arc<Spec>,
    change: Arc<Change>,
    mut stage: watch::Receiver<Stage>,
) -> Outcome {
    let mut child = match spawn(&spec, &change) {
        Ok(child) => child,
        Err(error) => {
            return Outcome::NotStarted {
                found: error.kind() != io::ErrorKind::NotFound,
                cause: format!("{}: {error}", spec.name()),
            };
        }
    };
    let group = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .map(Pid::from_raw);
    let input = child.stdin.take();
    let outcome = tokio::select! {
        status = child.wait() => return ended(status),
        () = feed(input, &change) => Outcome::Stopped,
        () = limit(spec.timeout) => Outcome::TimedOut(spec.timeout.unwrap_or_default()),
        _ = stage.wait_for(|stage| *stage >= Stage::Terminate) => Outcome::Stopped,
    };
    end(&mut child, group, stage).await.unwrap_or(outcome)
}

fn spawn(spec: &Spec, change: &Change) -> io::Result<Child> {
    let words = match &spec.user {
        Some(user) => user.become_and(&spec.words),
        None => spec.words.clone(),
    };
    let mut words = words.into_iter();
    let mut command = Command::new(words.next().unwrap_or_default());
    let input = if spec.json {
        Stdio::piped()
    } else {
        Stdio::null()
    };
    command.args(words).stdin(input).process_group(0);
    for name in OURS_ALONE {
        command.env_remove(name);
    }
    if let Some(user) = &spec.user {
        command.envs(user.environment());
    }
    command.envs(spec.environment.iter().map(|(name, value)| (name, value)));
    let variables = environment::variables(change);
    for (name, _) in &variables.left_out {
        command.env_remove(name);
    }
    command.envs(variables.set);
    command.spawn()
}

/// Write the event to the command's input. It never ends: that the command does not read is no fault.
async fn feed(input: Option<ChildStdin>, change: &Change) {
    if let Some(mut input) = input {
        let _ = input.write_all(&change.json).await;
        let _ = input.write_all(b"\n").await;
        drop(input);
    }
    std::future::pending().await
}

async fn limit(timeout: Option<Duration>) {
    match timeout {
        Some(timeout) => tokio::time::sleep(timeout).await,
        None => std::future::pending().await,
    }
}

/// End a command and all of its group. Some outcome if it had been done all the same.
async fn end(
    child: &mut Child,
    group: Option<Pid>,
    mut stage: watch::Receiver<Stage>,
) -> Option<Outcome> {
    signal(group, Signal::SIGTERM);
    let status = tokio::select! {
        status = child.wait() => Some(status),
        () = tokio::time::sleep(KILL_AFTER) => None,
        _ = stage.wait_for(|stage| *stage >= Stage::Kill) => None,
    };
    // What the command began may still be there when it itself is gone.
    signal(group, Signal::SIGKILL);
    let status = match status {
        Some(status) => status,
        None => child.wait().await,
    };
    let outcome = ended(status);
    outcome.is_success().then_some(outcome)
}

/// It fails only if nobody is left to hear it.
fn signal(group: Option<Pid>, signal: Signal) {
    if let Some(group) = group {
        let _ = killpg(group, signal);
    }
}

fn ended(status: io::Result<ExitStatus>) -> Outcome {
    match status {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => Outcome::Exited(code),
            (None, signal) => Outcome::Signalled(signal.unwrap_or_default()),
        },
        Err(error) => Outcome::NotStarted {
            found: true,
            cause: error.to_string(),
        },
    }
}
