//! `etcdctl rm`.

use clap::{ArgMatches, Command};

use super::{Exit, Global, args, session};
use crate::client::Delete;

/// The command line.
pub(super) fn command() -> Command {
    Command::new("rm")
        .about("Remove a key, or with --recursive a directory and its content.")
        .override_usage("etcdctl rm [OPTIONS] KEY")
        .after_help(
            "Examples:\n  \
             etcdctl rm /message\n  \
             etcdctl rm /services --recursive\n  \
             etcdctl rm /lock --with-value mine",
        )
        .args([
            args::key("Key to remove."),
            args::rest(),
            args::switch("dir", "Also remove an empty directory."),
            args::switch("recursive", "Also remove a directory with all its content."),
            args::option(
                "with-value",
                "VALUE",
                "Remove only if the key has this value.",
            ),
            args::number(
                "with-index",
                "INDEX",
                "Remove only if the key has this modifiedIndex.",
            ),
        ])
}

/// Remove a key.
pub(super) fn run(global: &Global, matches: &ArgMatches) -> Result<(), Exit> {
    session::run(global, async |session| {
        let key = args::read_key(matches)?;
        let delete = Delete {
            directory: matches.get_flag("dir"),
            recursive: matches.get_flag("recursive"),
            prev_value: args::read_condition(matches, "with-value"),
            prev_index: args::read_number(matches, "with-index"),
        };
        session.print_file(&delete.request(key)).await
    })
}
