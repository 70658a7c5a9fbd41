//! Running one command until it has ended.
//!
//! Each command leads its own process group, which is what a timeout ends. Its output goes straight to the
//! stdout and stderr of this process.

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
use super::shutdown::{KILL_AFTER, Stage};
use super::user::User;
use crate::client::watch::Change;

/// The exit code that `timeout(1)` returns for a command that took too long.
const CODE_TIMED_OUT: u8 = 124;

/// The exit code that a shell returns for a command that is not executable, and for one that was not found.
const CODE_NOT_EXECUTABLE: u8 = 126;
const CODE_NOT_FOUND: u8 = 127;

/// A shell adds this to the number of the signal that ended a command.
const CODE_SIGNALLED: i32 = 128;

/// Variables of systemd's notification protocol; a command does not inherit them.
const NOT_INHERITED: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"];

/// The command of a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommandSpec {
    /// The command and its arguments; never empty.
    pub(crate) words: Vec<OsString>,
    /// Additional environment variables.
    pub(crate) environment: Vec<(String, String)>,
    /// The user it runs as; none for the user of this process.
    pub(crate) user: Option<User>,
    /// Whether the event is written to its stdin, as JSON.
    pub(crate) json: bool,
    /// The longest time it may run.
    pub(crate) timeout: Option<Duration>,
}

/// Why a command cannot be run at present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CommandMissing {
    /// The file exists and is not executable.
    NotExecutable(String),
    /// No file of this name was found.
    NotFound(String),
}

impl fmt::Display for CommandMissing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotExecutable(name) => write!(f, "command {name} is not executable"),
            Self::NotFound(name) => write!(f, "command {name} not found"),
        }
    }
}

impl CommandSpec {
    /// The command's name for messages.
    pub(super) fn name(&self) -> String {
        let first = self.words.first();
        first.map_or_else(String::new, |word| word.to_string_lossy().into_owned())
    }

    /// Check that the command exists and is executable at present.
    ///
    /// # Errors
    ///
    /// [`CommandMissing::NotFound`] if no such file exists, in `PATH` if the name has no slash;
    /// [`CommandMissing::NotExecutable`] if it exists without execute permission.
    pub(crate) fn check(&self) -> Result<(), CommandMissing> {
        let Some(word) = self.words.first() else {
            return Ok(());
        };
        let name = self.name();
        let (exists, is_executable) = if name.contains('/') {
            let path = PathBuf::from(word);
            (path.exists(), is_executable(&path))
        } else {
            let path = std::env::var_os("PATH").unwrap_or_default();
            let found = std::env::split_paths(&path).map(|folder| folder.join(word));
            let any = found.into_iter().any(|path| is_executable(&path));
            (any, any)
        };
        match (exists, is_executable) {
            (_, true) => Ok(()),
            (true, false) => Err(CommandMissing::NotExecutable(name)),
            (false, false) => Err(CommandMissing::NotFound(name)),
        }
    }
}

/// How a command ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It exited with this code.
    Exited(i32),
    /// This signal ended it, which was not sent by this process.
    Signalled(i32),
    /// It ran longer than this and was terminated.
    TimedOut(Duration),
    /// It was terminated because the whole process is stopping.
    Stopped,
    /// It was not started.
    NotStarted { found: bool, cause: String },
}

impl Outcome {
    /// Whether the change is handled.
    pub(super) fn is_success(&self) -> bool {
        *self == Self::Exited(0)
    }

    /// The exit code that a shell would return for it.
    pub(super) fn code(&self) -> u8 {
        match self {
            Self::Exited(code) => u8::try_from(*code).unwrap_or(u8::MAX),
            Self::Signalled(signal) => u8::try_from(CODE_SIGNALLED + signal).unwrap_or(u8::MAX),
            Self::TimedOut(_) => CODE_TIMED_OUT,
            Self::Stopped => {
                u8::try_from(CODE_SIGNALLED + Signal::SIGTERM as i32).unwrap_or(u8::MAX)
            }
            Self::NotStarted { found: true, .. } => CODE_NOT_EXECUTABLE,
            Self::NotStarted { found: false, .. } => CODE_NOT_FOUND,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exited with code {code}"),
            Self::Signalled(signal) => match Signal::try_from(*signal) {
                Ok(signal) => write!(f, "was killed by {signal}"),
                Err(_) => write!(f, "was killed by signal {signal}"),
            },
            Self::TimedOut(limit) => {
                write!(f, "timed out after {} s", limit.as_secs_f64())
            }
            Self::Stopped => write!(f, "was terminated at shutdown"),
            Self::NotStarted { cause, .. } => write!(f, "cannot be started: {cause}"),
        }
    }
}

fn is_executable(path: &Path) -> bool {
    std::fs::metadata(path)
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Run a command for a change until it has ended.
pub(super) async fn run(
    spec: Arc<CommandSpec>,
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
        status = child.wait() => return to_outcome(status),
        () = write_event(input, &change) => Outcome::Stopped,
        () = sleep(spec.timeout) => Outcome::TimedOut(spec.timeout.unwrap_or_default()),
        _ = stage.wait_for(|stage| *stage >= Stage::Terminating) => Outcome::Stopped,
    };
    terminate(&mut child, group, stage).await.unwrap_or(outcome)
}

fn spawn(spec: &CommandSpec, change: &Change) -> io::Result<Child> {
    let words = match &spec.user {
        Some(user) => user.wrap_command(&spec.words),
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
    for name in NOT_INHERITED {
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

/// Write the event to the command's stdin. Never returns: a command that does not read it has not failed.
async fn write_event(input: Option<ChildStdin>, change: &Change) {
    if let Some(mut input) = input {
        let _ = input.write_all(&change.json).await;
        let _ = input.write_all(b"\n").await;
        drop(input);
    }
    std::future::pending().await
}

async fn sleep(timeout: Option<Duration>) {
    match timeout {
        Some(timeout) => tokio::time::sleep(timeout).await,
        None => std::future::pending().await,
    }
}

/// Terminate a command and its process group. Gives an outcome if the command had succeeded all the same.
async fn terminate(
    child: &mut Child,
    group: Option<Pid>,
    mut stage: watch::Receiver<Stage>,
) -> Option<Outcome> {
    send_signal(group, Signal::SIGTERM);
    let status = tokio::select! {
        status = child.wait() => Some(status),
        () = tokio::time::sleep(KILL_AFTER) => None,
        _ = stage.wait_for(|stage| *stage >= Stage::Killing) => None,
    };
    // Children of the command may still run when the command has ended.
    send_signal(group, Signal::SIGKILL);
    let status = match status {
        Some(status) => status,
        None => child.wait().await,
    };
    let outcome = to_outcome(status);
    outcome.is_success().then_some(outcome)
}

/// Fails only if no process of the group is left.
fn send_signal(group: Option<Pid>, signal: Signal) {
    if let Some(group) = group {
        let _ = killpg(group, signal);
    }
}

fn to_outcome(status: io::Result<ExitStatus>) -> Outcome {
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
