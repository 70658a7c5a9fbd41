//! `etcdctl updatedir`.

use clap::{ArgMatches, Command};

use super::{Exit, Global, args, directory, session};

/// The command line.
pub(super) fn command() -> Command {
    Command::new("updatedir")
        .about("Give a directory a new time to live")
        .override_usage("etcdctl updatedir --ttl SECONDS KEY")
        .after_help("Example: etcdctl updatedir /services/web --ttl 60")
        .args([
            args::key("The directory"),
            args::rest(),
            args::number("ttl", "SECONDS", "How long it lives from now on"),
        ])
}

/// Refresh a directory.
pub(super) fn run(global: &Global, matches: &ArgMatches) -> Result<(), Exit> {
    session::run(global, async |session| {
        let key = args::read_key(matches)?;
        directory::refresh(session, key, args::read_number(matches, "ttl")).await
    })
}
