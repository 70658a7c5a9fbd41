//! `etcdctl rm`.

use clap::{ArgMatches, Command};

use super::{Exit, Global, args, session};
use crate::client::Delete;

/// The command line.
pub(super) fn command() -> Command {
    Command::new("rm")
        .about("Remove a key, or with --recursive a directory and all that is in it")
        .override_usage("etcdctl rm [OPTIONS] KEY")
        .after_help(
            "Examples:\n  \
             etcdctl rm /message\n  \
             etcdctl rm /services --recursive\n  \
             etcdctl rm /lock --with-value mine",
        )
        .args([
            args::key("The key"),
            args::rest(),
            args::switch("dir", "A directory too, if it is empty"),
            args::switch("recursive", "A directory too, with all that is in it"),
            args::option("with-value", "VALUE", "Remove only if it holds this value"),
            args::number(
                "with-index",
                "INDEX",
                "Remove only if its modifiedIndex is this",
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
        session.file(&delete.request(key)).await
    })
}
