//! `etcdctl exec-watch`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::builder::ValueParser;
use clap::{Arg, ArgMatches, Command, ValueHint, value_parser};

use super::hook_service::{ConnectRetry, serve};
use super::{Exit, Global, args};
use crate::hook::{CommandSpec, OnFailure, Plan, Rules, Subject};

/// The flags that 0.4 did not have.
const NEWER: [&str; 9] = [
    "concurrency",
    "debounce",
    "initial",
    "json",
    "on-failure",
    "retry",
    "state",
    "timeout",
    "debug",
];

/// The command line.
pub(super) fn command() -> Command {
    Command::new("exec-watch")
        .about("Run a command for each change of a key.")
        .long_about(
            "Run a command for each change of a key, in order and once for each change, across slow commands, \
             lost connections and members.\n\n\
             The change is in the command's environment: ETCD_WATCH_ACTION, ETCD_WATCH_KEY, ETCD_WATCH_VALUE, \
             ETCD_WATCH_MODIFIED_INDEX, ETCD_WATCH_PREV_VALUE, ETCD_WATCH_TTL (seconds, empty without a TTL) \
             and ETCD_WATCH_DIR (true or false). If changes are no longer in the server's event history, all \
             keys are read and the command runs for the differences (action set or delete).",
        )
        .after_help(
            "Example: etcdctl exec-watch --recursive --state /var/lib/web.state /services -- \
             sh -c 'echo \"$ETCD_WATCH_ACTION $ETCD_WATCH_KEY\"'",
        )
        .args([
            args::key("Key to watch."),
            Arg::new("command")
                .value_name("COMMAND")
                .last(true)
                .num_args(1..)
                .value_parser(ValueParser::os_string())
                .help("Command to run, with its arguments."),
            args::switch("recursive", "Also watch all keys below the key."),
            args::number(
                "after-index",
                "INDEX",
                "Start with the first change after this index; an existing --state file takes precedence.",
            ),
            args::option(
                "state",
                "FILE",
                "Record the handled changes in this file, and resume after them at the next start.",
            )
            .value_parser(value_parser!(PathBuf))
            .value_hint(ValueHint::FilePath),
            args::switch("initial", "At start, run the command for every existing key (action get)."),
            args::switch("json", "Write the event to the command's stdin, as JSON."),
            args::number(
                "debounce",
                "MILLISECONDS",
                "Time without further changes of a key before its latest change is handled, in milliseconds (0 = \
                 handle every change).",
            ),
            args::option("timeout", "SECONDS", "Timeout for the command, in seconds (default: none).")
                .value_parser(value_parser!(f64)),
            args::number("retry", "COUNT", "Number of times a failed command is run again.")
                .default_value("0")
                .value_parser(value_parser!(u32)),
            args::option(
                "on-failure",
                "ACTION",
                "Action after the last failed attempt: continue, or stop and return the command's exit code (default: \
                 continue, but stop if the command cannot be started).",
            )
            .value_parser(["continue", "stop"]),
            args::number(
                "concurrency",
                "COUNT",
                "Number of commands that may run at once; changes of one key stay in order.",
            )
                .default_value("1")
                .value_parser(value_parser!(u16).range(1..)),
        ])
}

/// Watch a key and run the command for each change.
pub(super) fn run(global: &Global, matches: &ArgMatches) -> Result<(), Exit> {
    // Here --timeout is the timeout of the command, not of a response.
    let global = Global {
        timeout: None,
        ..global.clone()
    };
    let plan = plan(matches);
    serve(&global, ConnectRetry::Never, || plan.map(|plan| vec![plan]))
}

fn plan(matches: &ArgMatches) -> Result<Plan, Exit> {
    let words: Vec<OsString> = matches
        .get_many("command")
        .into_iter()
        .flatten()
        .cloned()
        .collect();
    let key = args::text(matches, "key").filter(|key| !key.is_empty() && !words.is_empty());
    let key = key.ok_or_else(|| Exit::refused("Key and command to exec required"))?;
    let given =
        |name: &&str| matches.value_source(name) == Some(clap::parser::ValueSource::CommandLine);
    let timeout = matches.get_one::<f64>("timeout").copied();
    let timeout = timeout.map(|seconds| {
        Duration::try_from_secs_f64(seconds)
            .ok()
            .filter(|limit| !limit.is_zero())
            .ok_or_else(|| Exit::usage("--timeout: expected a number of seconds above 0"))
    });
    Ok(Plan {
        name: None,
        subject: Subject {
            key: format!("/{}", key.trim_matches('/')),
            recursive: matches.get_flag("recursive"),
        },
        after: args::read_number(matches, "after-index"),
        initial: matches.get_flag("initial"),
        rules: Rules {
            concurrency: matches
                .get_one::<u16>("concurrency")
                .copied()
                .map_or(1, usize::from),
            debounce: Duration::from_millis(args::read_number(matches, "debounce").unwrap_or(0)),
            retries: matches.get_one::<u32>("retry").copied().unwrap_or(0),
        },
        spec: Arc::new(CommandSpec {
            words,
            environment: Vec::new(),
            user: None,
            json: matches.get_flag("json"),
            timeout: timeout.transpose()?,
        }),
        on_failure: match args::text(matches, "on-failure") {
            Some("stop") => OnFailure::Stop,
            Some(_) => OnFailure::Continue,
            None => OnFailure::Unset,
        },
        // 0.4 printed no exit codes: with the flags of 0.4 alone stderr stays as it was.
        prints_codes: NEWER.iter().any(given) || std::env::var_os("JOURNAL_STREAM").is_some(),
        state: matches.get_one::<PathBuf>("state").cloned(),
    })
}
