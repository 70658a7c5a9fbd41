//! `etcdctl update`.

use clap::{ArgMatches, Command};

use super::{Exit, Global, args, session};
use crate::client::Put;

/// The command line.
pub(super) fn command() -> Command {
    Command::new("update")
        .about("Write an existing key.")
        .override_usage("etcdctl update [OPTIONS] KEY [VALUE]")
        .after_help("Example: etcdctl update /message bye")
        .args(args::writing("Key to write."))
}

/// Write an existing key.
pub(super) fn run(global: &Global, matches: &ArgMatches) -> Result<(), Exit> {
    session::run(global, async |session| {
        let key = args::read_key(matches)?;
        let put = Put {
            prev_exist: Some(true),
            ..args::read_put(matches)?
        };
        session.print_file(&put.request(key)).await
    })
}
