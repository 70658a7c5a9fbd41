//! Commands that run when keys change: what `etcdctl exec-watch` and `etcdctl hook` have in common.
//!
//! [`run_plans`] runs several watches in one process; `run` is one watch. The decisions are in pure modules:
//! `queue` (which change may run now), `ledger` (which changes are handled), `relist` (what changed while the
//! event history was cleared), `environment` (the variables of a command). `command` runs one command,
//! `state` and `saver` keep the state file, `notify` reports to systemd, `shutdown` handles signals. The files
//! of hooks are read by `directory`, `file` and `field`.
//!
//! Nothing here prints: lines for people go through a [`PrintLine`] that the caller provides.

mod command;
mod directory;
mod environment;
mod field;
mod file;
mod ledger;
mod listing;
mod notify;
mod plan;
mod queue;
mod relist;
mod run;
mod saver;
mod service;
mod shutdown;
mod state;
mod user;

#[cfg(test)]
mod tests;

pub use file::{Hook, KEYS, KeyDoc, Problem, ProblemKind, parse};

pub(crate) use command::CommandSpec;
pub(crate) use directory::HookDirectory;
pub(crate) use listing::list_changes;
pub(crate) use plan::{OnFailure, Plan};
pub(crate) use queue::Rules;
pub(crate) use run::RunError;
pub(crate) use service::run_plans;
pub(crate) use shutdown::Shutdown;
pub(crate) use state::Subject;

/// Prints one line for people, with the name of the hook it is about.
pub(crate) type PrintLine = fn(hook: Option<&str>, text: &str);
