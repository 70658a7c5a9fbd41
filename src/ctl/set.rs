//! `etcdctl set`.

use clap::{ArgMatches, Command};

use super::{Exit, Global, args, session};
use crate::client::Put;

/// The command line.
pub(super) fn command() -> Command {
    Command::new("set")
        .about("Write a key, whether it is there or not")
        .override_usage("etcdctl set [OPTIONS] KEY [VALUE]")
        .after_help(
            "Examples:\n  \
             etcdctl set /message Hello\n  \
             etcdctl set /lease mine --ttl 30\n  \
             etcdctl set /message new --swap-with-value Hello\n  \
             etcdctl set -- /number -5      (behind -- a value may begin with a dash)\n  \
             etcdctl set /motd < /etc/motd",
        )
        .args(args::writing(
            "The key; directories on the way to it are made",
        ))
        .args([
            args::option(
                "swap-with-value",
                "VALUE",
                "Write only if it holds this value",
            ),
            args::number(
                "swap-with-index",
                "INDEX",
                "Write only if its modifiedIndex is this",
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
        session.file(&put.request(key)).await
    })
}
