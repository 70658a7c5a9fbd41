//! `etcdctl mk`.

use clap::{ArgMatches, Command};

use super::{Exit, Global, args, session};
use crate::client::Put;

/// The command line.
pub(super) fn command() -> Command {
    Command::new("mk")
        .about("Write a key that is not there yet")
        .override_usage("etcdctl mk [OPTIONS] KEY [VALUE]")
        .after_help("Example: etcdctl mk /lock mine --ttl 30")
        .args(args::writing(
            "The key; directories on the way to it are made",
        ))
}

/// Make a key.
pub(super) fn run(global: &Global, matches: &ArgMatches) -> Result<(), Exit> {
    session::run(global, async |session| {
        let key = args::read_key(matches)?;
        let put = Put {
            prev_exist: Some(false),
            ..args::read_put(matches)?
        };
        session.file(&put.request(key)).await
    })
}
