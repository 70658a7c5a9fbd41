//! The plan of a watch that runs commands.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::command::CommandSpec;
use super::directory::{HookDirectory, HookError};
use super::file::Hook;
use super::queue::Rules;
use super::state::Subject;
use super::user::{User, UserError};

/// One watch and its command.
pub(crate) struct Plan {
    /// The hook's name, for messages; none for `exec-watch`.
    pub(crate) name: Option<String>,
    pub(crate) subject: Subject,
    /// Start after this index; none for the current one. The state file takes precedence.
    pub(crate) after: Option<u64>,
    /// Whether the command runs for existing keys at start.
    pub(crate) initial: bool,
    pub(crate) rules: Rules,
    pub(crate) spec: Arc<CommandSpec>,
    pub(crate) on_failure: OnFailure,
    /// Whether exit codes other than 0 are printed.
    pub(crate) prints_codes: bool,
    pub(crate) state: Option<PathBuf>,
}

/// What to do when a command has failed for the last time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnFailure {
    /// Continue; but a command that cannot be started ends the watch with exit code 1, as in 0.4.
    Unset,
    /// Print the failure and continue.
    Continue,
    /// End the watch with the command's exit code. The change is not handled.
    Stop,
}

/// Why a hook has no plan.
#[derive(Debug)]
pub(crate) enum PlanError {
    /// Its file was refused.
    File(HookError),
    /// It cannot run as the user that the file names; the hook's name and the reason.
    User(String, UserError),
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::User(name, error) => write!(f, "{name}: error: {error}"),
        }
    }
}

impl Plan {
    /// The plan of one hook, whose state file is in the directory `state`.
    ///
    /// # Errors
    ///
    /// [`PlanError::File`] if the hook's file was refused, [`PlanError::User`] if it cannot run as its user.
    pub(crate) fn from_hook(
        hooks: &HookDirectory,
        name: &str,
        state: &Path,
    ) -> Result<Self, PlanError> {
        let hook = hooks.read(name).map_err(PlanError::File)?;
        let spec = CommandSpec::from_hook(&hook)
            .map_err(|error| PlanError::User(name.to_owned(), error))?;
        Ok(Self {
            name: Some(name.to_owned()),
            subject: Subject {
                key: hook.key,
                recursive: hook.recursive,
            },
            after: None,
            initial: hook.initial,
            rules: Rules {
                concurrency: hook.concurrency.into(),
                debounce: hook.debounce,
                retries: hook.retries,
            },
            spec: Arc::new(spec),
            on_failure: if hook.stops {
                OnFailure::Stop
            } else {
                OnFailure::Continue
            },
            prints_codes: true,
            state: Some(state.join(format!("{name}.state"))),
        })
    }
}

impl CommandSpec {
    /// The command of a hook.
    fn from_hook(hook: &Hook) -> Result<Self, UserError> {
        Ok(Self {
            words: hook.words.iter().map(OsString::from).collect(),
            environment: hook.environment.clone(),
            user: hook.user.as_deref().map(User::find).transpose()?,
            json: hook.json,
            timeout: hook.timeout,
        })
    }
}
