//! `etcdctl set`.

use clap::{ArgMatches, Command};

use super::{Exit, Global, args, session};
use crate::client::Put;

/// The command line.
pub(super) fn command() -> Command {
    Command::new("set")
        .about("Write a key; it is created if it does not exist.")
        .override_usage("etcdctl set [OPTIONS] KEY [VALUE]")
        .after_help(
            "Examples:\n  \
             etcdctl set /message Hello\n  \
             etcdctl set /lease mine --ttl 30\n  \
             etcdctl set /message new --swap-with-value Hello\n  \
             etcdctl set -- /number -5      (after -- a value may begin with a dash)\n  \
             etcdctl set /motd < /etc/motd",
        )
        .args(args::writing(
            "Key to write; missing directories are created.",
        ))
        .args([
            args::option(
                "swap-with-value",
                "VALUE",
                "Write only if the key has this value.",
            ),
            args::number(
                "swap-with-index",
                "INDEX",
                "Write only if the key has this modifiedIndex.",
            ),
        ])
}

/// Write a key.
pub(super) fn run(global: &Global, matches: &ArgMatches) -> Result<(), Exit> {
    session::run(global, async |session| {
        let key = args::read_key(matches)?;
        let put = Put {
            prev_value: args::read_condition(matches, "swap-with-value"),
            prev_index: args::read_number(matches, "swap-with-index"),
            ..args::read_put(matches)?
        };
        session.print_file(&put.request(key)).await
    })
}
