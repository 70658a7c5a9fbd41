//! `etcdctl get`.

use clap::{ArgMatches, Command};

use super::{Exit, Global, args, session};
use crate::client::Get;

/// The command line.
pub(super) fn command() -> Command {
    Command::new("get")
        .about("Print the value of a key.")
        .override_usage("etcdctl get [OPTIONS] KEY")
        .after_help("Example: etcdctl get /message")
        .args([
            args::key("Key to read."),
            args::rest(),
            args::switch("sort", "Accepted for compatibility; has no effect."),
            args::switch(
                "consistent",
                "Read the current value through the leader, not an older one from another member.",
            ),
        ])
}

/// Print a value.
pub(super) fn run(global: &Global, matches: &ArgMatches) -> Result<(), Exit> {
    session::run(global, async |session| {
        let key = args::read_key(matches)?;
        let get = Get {
            sorted: matches.get_flag("sort"),
            consistent: matches.get_flag("consistent"),
            ..Get::default()
        };
        let (answer, event) = session.send(&get.request(key)).await?;
        if event.node.dir {
            let key = event.node.shown_key();
            return Err(Exit::plain(1, format!("{key}: is a directory")));
        }
        Ok(session.output.print_file(&answer, &event)?)
    })
}
