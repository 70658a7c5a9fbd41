//! `etcdctl mk`.

use clap::{ArgMatches, Command};

use super::{Exit, Global, args, session};
use crate::client::Put;

/// The command line.
pub(super) fn command() -> Command {
    Command::new("mk")
        .about("Create a key with a value; it must not exist.")
        .override_usage("etcdctl mk [OPTIONS] KEY [VALUE]")
        .after_help("Example: etcdctl mk /lock mine --ttl 30")
        .args(args::writing(
            "Key to create; missing directories are created.",
        ))
}

/// Create a key.
pub(super) fn run(global: &Global, matches: &ArgMatches) -> Result<(), Exit> {
    session::run(global, async |session| {
        let key = args::read_key(matches)?;
        let put = Put {
            prev_exist: Some(false),
            ..args::read_put(matches)?
        };
        session.print_file(&put.request(key)).await
    })
}
