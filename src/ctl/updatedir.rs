//! `etcdctl updatedir`.

use clap::{ArgMatches, Command};

use super::{Exit, Global, args, directory, session};

/// The command line.
pub(super) fn command() -> Command {
    Command::new("updatedir")
        .about("Set the TTL of an existing directory.")
        .override_usage("etcdctl updatedir --ttl SECONDS KEY")
        .after_help("Example: etcdctl updatedir /services/web --ttl 60")
        .args([
            args::key("Existing directory."),
            args::rest(),
            args::number("ttl", "SECONDS", "Time to live from now on, in seconds."),
        ])
}

/// Set the TTL of a directory.
pub(super) fn run(global: &Global, matches: &ArgMatches) -> Result<(), Exit> {
    session::run(global, async |session| {
        let key = args::read_key(matches)?;
        directory::refresh(session, key, args::read_number(matches, "ttl")).await
    })
}
