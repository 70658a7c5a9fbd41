//! `etcdctl rmdir`.

use clap::{ArgMatches, Command};

use super::{Exit, Global, args, session};
use crate::client::Delete;

/// The command line.
pub(super) fn command() -> Command {
    Command::new("rmdir")
        .about("Remove a directory that is empty, or a key")
        .override_usage("etcdctl rmdir KEY")
        .after_help("Example: etcdctl rmdir /services")
        .args([args::key("The directory"), args::rest()])
}

/// Remove a directory.
pub(super) fn run(global: &Global, matches: &ArgMatches) -> Result<(), Exit> {
    session::run(global, async |session| {
        let key = args::read_key(matches)?;
        let delete = Delete {
            directory: true,
            ..Delete::default()
        };
        session.directory(&delete.request(key)).await
    })
}
