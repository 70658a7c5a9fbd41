//! `etcdctl`: one file or folder per command.
//!
//! [`VERBS`] is the table of commands; help, man pages and completions come from it too. What is typed
//! is brought into form by `words`, parsed by clap, and the flags that every command has are read into
//! [`Global`]. A command that talks to the cluster does so in a `session`, and gives an [`Exit`] when it
//! could not do what was asked.

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
mod member;
mod mk;
mod mkdir;
mod output;
mod progress;
mod rm;
mod rmdir;
mod roster;
mod session;
mod set;
mod setdir;
mod table;
mod update;
mod updatedir;
mod watch;
mod words;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, Command};

pub use exit_code::Exit;
pub use global::{Global, PORT};
pub use output::Output;

use crate::config::{API_VERSION, VERSION};

/// One command: its command line, and what it does.
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

/// Run `etcdctl` with these arguments, its own name first.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let Err(exit) = obey(arguments) else {
        return ExitCode::SUCCESS;
    };
    if !exit.message.is_empty() {
        eprintln!("{}", exit.message);
    }
    exit.code.into()
}

fn obey(arguments: impl IntoIterator<Item = OsString>) -> Result<(), Exit> {
    let mut command = command();
    let words = words::plain(&command, arguments)?;
    let matches = command
        .try_get_matches_from_mut(words)
        .map_err(|error| explain(&error))?;
    let Some((name, inner)) = matches.subcommand() else {
        output::print(&command.render_help().to_string())?;
        return Ok(());
    };
    let global = Global::read(deepest(inner))?;
    match VERBS
        .iter()
        .find(|verb| (verb.command)().get_name() == name)
    {
        Some(verb) => (verb.run)(&global, inner),
        None => Err(Exit::usage(format!("{name} is no command"))),
    }
}

/// The matches of the innermost command, which have the global flags wherever they stood.
fn deepest(mut matches: &ArgMatches) -> &ArgMatches {
    while let Some((_, inner)) = matches.subcommand() {
        matches = inner;
    }
    matches
}

/// The whole command line, built.
fn command() -> Command {
    let mut command = Command::new("etcdctl")
        .about("Talk to etcd on its v2 API.")
        // Scripts look for this line.
        .version(format!("version {API_VERSION}"))
        .disable_version_flag(true)
        .before_help(format!("etcdctl {API_VERSION} (oxetcd {VERSION})"))
        .after_help(
            "Flags take one dash or two, and stand anywhere before a --.\n\
             etcdctl COMMAND --help says more about a command.",
        )
        .args(global::flags())
        .subcommands(VERBS.iter().map(|verb| (verb.command)()));
    command.build();
    command
}

/// Help and version are what was asked for; all else is a usage error.
fn explain(error: &clap::Error) -> Exit {
    let text = error.render().to_string();
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        return output::print(&text).map_or_else(Exit::from, |()| Exit::quiet());
    }
    Exit::plain(
        1,
        unknown_format(error).unwrap_or_else(|| String::from(text.trim_end())),
    )
}

/// What 0.4 said of an `--output` it did not know.
fn unknown_format(error: &clap::Error) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let value = text(ContextKind::InvalidValue)?;
    text(ContextKind::InvalidArg)?
        .starts_with("--output")
        .then(|| format!("Unsupported output format: {value}"))
}
