//! `etcdctl mkdir`.

use clap::{ArgMatches, Command};

use super::{Exit, Global, args, session};
use crate::client::Put;

/// The command line.
pub(super) fn command() -> Command {
    Command::new("mkdir")
        .about("Create a directory; it must not exist.")
        .override_usage("etcdctl mkdir [OPTIONS] KEY")
        .after_help("Example: etcdctl mkdir /services --ttl 120")
        .args([
            args::key("Directory to create; missing parents are created."),
            args::rest(),
            args::ttl(),
        ])
}

/// Create a directory.
pub(super) fn run(global: &Global, matches: &ArgMatches) -> Result<(), Exit> {
    session::run(global, async |session| {
        let key = args::read_key(matches)?;
        let put = Put {
            directory: true,
            prev_exist: Some(false),
            ttl: args::read_number(matches, "ttl"),
            ..Put::default()
        };
        session.print_directory(&put.request(key)).await
    })
}
