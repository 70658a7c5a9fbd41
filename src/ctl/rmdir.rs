//! `etcdctl rmdir`.

use clap::{ArgMatches, Command};

use super::{Exit, Global, args, session};
use crate::client::Delete;

/// The command line.
pub(super) fn command() -> Command {
    Command::new("rmdir")
        .about("Remove an empty directory, or a key.")
        .override_usage("etcdctl rmdir KEY")
        .after_help("Example: etcdctl rmdir /services")
        .args([args::key("Directory to remove."), args::rest()])
}

/// Remove a directory.
pub(super) fn run(global: &Global, matches: &ArgMatches) -> Result<(), Exit> {
    session::run(global, async |session| {
        let key = args::read_key(matches)?;
        let delete = Delete {
            directory: true,
            ..Delete::default()
        };
        session.print_directory(&delete.request(key)).await
    })
}
