//! `etcdctl`: one file or folder per command.
//!
//! [`VERBS`] is the table of commands; help, man pages and completions come from it too. The arguments are
//! normalized by `config::argv` and parsed by clap, and the flags of every command are read into [`Global`]. A
//! command talks to the cluster in a `session`, and returns an [`Exit`] if it failed.

mod args;
pub mod bench;
mod cluster_health;
mod completion;
mod config;
mod directory;
mod discovery;
mod dump;
mod exec_watch;
mod exit_code;
mod export;
mod get;
mod global;
mod hook;
mod hook_service;
mod import;
mod ls;
mod man;
mod man_files;
mod member;
mod members;
mod mk;
mod mkdir;
mod output;
mod progress;
mod rm;
mod rmdir;
mod session;
mod set;
mod setdir;
mod table;
mod update;
mod updatedir;
mod watch;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, Command};

pub use exit_code::Exit;
pub use global::{Global, PORT};
pub use output::Output;

use crate::config::{API_VERSION, VERSION, argv};

/// One command: its command line, and the function that executes it.
struct Verb {
    command: fn() -> Command,
    run: fn(&Global, &ArgMatches) -> Result<(), Exit>,
}

/// Short for the rows below.
const fn verb(command: fn() -> Command, run: fn(&Global, &ArgMatches) -> Result<(), Exit>) -> Verb {
    Verb { command, run }
}

/// All commands, in the order the help shows them.
const VERBS: &[Verb] = &[
    verb(ls::command, ls::run),
    verb(get::command, get::run),
    verb(set::command, set::run),
    verb(mk::command, mk::run),
    verb(update::command, update::run),
    verb(rm::command, rm::run),
    verb(mkdir::command, mkdir::run),
    verb(setdir::command, setdir::run),
    verb(updatedir::command, updatedir::run),
    verb(rmdir::command, rmdir::run),
    verb(watch::command, watch::run),
    verb(exec_watch::command, exec_watch::run),
    verb(hook::command, hook::run),
    verb(export::command, export::run),
    verb(import::command, import::run),
    verb(cluster_health::command, cluster_health::run),
    verb(member::command, member::run),
    verb(config::command, config::run),
    verb(discovery::command, discovery::run),
    verb(bench::command, bench::run),
    verb(completion::command, completion::run),
    verb(man::command, man::run),
];

/// Run `etcdctl` with these arguments, the program's name first.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let Err(exit) = execute(arguments) else {
        return ExitCode::SUCCESS;
    };
    if !exit.message.is_empty() {
        eprintln!("{}", exit.message);
    }
    exit.code.into()
}

fn execute(arguments: impl IntoIterator<Item = OsString>) -> Result<(), Exit> {
    let mut command = command();
    let words =
        argv::normalize(&command, arguments).map_err(|error| Exit::usage(error.to_string()))?;
    let matches = command
        .try_get_matches_from_mut(words)
        .map_err(|error| to_exit(&error))?;
    let Some((name, inner)) = matches.subcommand() else {
        output::print(&command.render_help().to_string())?;
        return Ok(());
    };
    let global = Global::read(innermost(inner))?;
    match VERBS
        .iter()
        .find(|verb| (verb.command)().get_name() == name)
    {
        Some(verb) => (verb.run)(&global, inner),
        None => Err(Exit::usage(format!("unknown command {name}"))),
    }
}

/// The matches of the innermost command, which include the global flags from any position.
fn innermost(mut matches: &ArgMatches) -> &ArgMatches {
    while let Some((_, inner)) = matches.subcommand() {
        matches = inner;
    }
    matches
}

/// The whole command line, built.
fn command() -> Command {
    let mut command = Command::new("etcdctl")
        .about("Command-line client for etcd's v2 API.")
        // Scripts parse this line.
        .version(format!("version {API_VERSION}"))
        .disable_version_flag(true)
        .before_help(format!("etcdctl {API_VERSION} (oxetcd {VERSION})"))
        .after_help(
            "Flags take one dash or two, anywhere before --.\n\
             Run etcdctl COMMAND --help for the help of a command.\n\n\
             Exit status:\n  \
             0  Success.\n  \
             1  Invalid arguments, or a local error.\n  \
             2  No member can be reached.\n  \
             4  The cluster refused the request.\n  \
             5  A member is unhealthy (cluster-health).",
        )
        .args(global::flags())
        .subcommands(VERBS.iter().map(|verb| (verb.command)()));
    command.build();
    command
}

/// Help and version are success; any other error of the parser is a usage error.
fn to_exit(error: &clap::Error) -> Exit {
    let text = error.render().to_string();
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        return output::print(&text).map_or_else(Exit::from, |()| Exit::success());
    }
    Exit::plain(
        1,
        unsupported_format(error).unwrap_or_else(|| String::from(text.trim_end())),
    )
}

/// The message of 0.4 for an unknown `--output`.
fn unsupported_format(error: &clap::Error) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let value = text(ContextKind::InvalidValue)?;
    text(ContextKind::InvalidArg)?
        .starts_with("--output")
        .then(|| format!("Unsupported output format: {value}"))
}
