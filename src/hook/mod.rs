//! Commands that run when keys change: what `exec-watch` and hooks have in common.
//!
//! `run` is one watch. Its decisions are in pure modules: `queue` (what may run now), `ledger` (what is
//! handled), `relist` (what changed while the history was gone), `environment` (what a command is told).
//! `command` runs one command, `state` and `saver` keep the file that remembers, `notify` tells systemd,
//! and `service` has several watches in one process. Hooks as files are read by `directory`, `file` and
//! `field`, and `verbs` is what is typed for them.

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
mod signals;
mod state;
mod user;
mod verbs;

#[cfg(test)]
mod tests;

use std::io::Write;
use std::sync::Arc;

use crate::client::watch::Change;
use crate::client::{Client, Error};
use ledger::Known;
use relist::Told;

pub(crate) use command::Spec;
pub(crate) use plan::{OnFailure, Plan};
pub(crate) use queue::Rules;
pub(crate) use service::{Seek, serve};
pub(crate) use state::Subject;
pub(crate) use verbs::{command, run};

/// What is there of a subject, each as a change with the action `set`, by age, and as of which index. It is
/// not below `at_least` unless the store never gets there.
pub(crate) async fn present(
    client: &Client,
    subject: &Subject,
    at_least: u64,
) -> Result<(u64, Vec<Arc<Change>>), Error> {
    let listing = listing::read(client, subject, at_least).await?;
    let items = listing.changes(&Known::default(), Told::Changed);
    let changes = items.into_iter().map(|item| item.change);
    Ok((listing.index, changes.collect()))
}

/// All that is wrong with the text of a hook's file.
pub fn problems(text: &str) -> Vec<String> {
    match file::parse(text) {
        Ok(_) => Vec::new(),
        Err(wrong) => wrong.into_iter().map(|(_, problem)| problem).collect(),
    }
}

/// A line for people. Whoever closed stderr does not want it.
fn say(name: Option<&str>, text: &str) {
    let name = name.map(|name| format!("{name}: ")).unwrap_or_default();
    let _ = writeln!(std::io::stderr(), "etcdctl: {name}{text}");
}
