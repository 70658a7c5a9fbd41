//! `etcdctl exec-watch`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::builder::ValueParser;
use clap::{Arg, ArgMatches, Command, ValueHint, value_parser};

use super::{Exit, Global, args};
use crate::hook::{OnFailure, Plan, Rules, Seek, Spec, Subject, serve};

/// The flags 0.4 did not have.
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
        .about("Run a command for each change of a key")
        .long_about(
            "Run a command for each change of a key: in order, and once for each, however long the command \
             runs and whatever becomes of the connection.\n\n\
             The command finds the change in its environment: ETCD_WATCH_ACTION, _KEY, _VALUE, \
             _MODIFIED_INDEX, _PREV_VALUE, _TTL (seconds, empty if it stays) and _DIR (true or false). When \
             the server has forgotten changes that are needed, the tree is read again and the command runs \
             for what differs (action set or delete).",
        )
        .after_help(
            "Example: etcdctl exec-watch --recursive --state /var/lib/web.state /services -- \
             sh -c 'echo \"$ETCD_WATCH_ACTION $ETCD_WATCH_KEY\"'",
        )
        .args([
            args::key("The key"),
            Arg::new("command")
                .value_name("COMMAND")
                .last(true)
                .num_args(1..)
                .value_parser(ValueParser::os_string())
                .help("The command and its arguments"),
            args::switch("recursive", "All below the key, too"),
            args::number("after-index", "INDEX", "From the change after this one on, unless --state knows"),
            args::option(
                "state",
                "FILE",
                "Remember what was handled here, and go on there when started again",
            )
            .value_parser(value_parser!(PathBuf))
            .value_hint(ValueHint::FilePath),
            args::switch("initial", "At the start, run for each key that is there (action get)"),
            args::switch("json", "Give the command the whole event on its stdin, as JSON"),
            args::number(
                "debounce",
                "MILLISECONDS",
                "Run only for the latest change of a key that was left alone this long",
            ),
            args::option("timeout", "SECONDS", "End a command that takes longer")
                .value_parser(value_parser!(f64)),
            args::number("retry", "COUNT", "Run a command that fails again, this many times")
                .default_value("0")
                .value_parser(value_parser!(u32)),
            args::option(
                "on-failure",
                "WHAT",
                "Go on when a command fails for good, or stop and return its exit code [default: continue, but \
                 stop if it cannot even be started]",
            )
            .value_parser(["continue", "stop"]),
            args::number("concurrency", "COUNT", "Run this many at once; changes of one key stay in order")
                .default_value("1")
                .value_parser(value_parser!(u16).range(1..)),
        ])
}

/// Watch, and run.
pub(super) fn run(global: &Global, matches: &ArgMatches) -> Result<(), Exit> {
    // Here it is about the command and not about answers.
    let global = Global {
        timeout: None,
        ..global.clone()
    };
    let plan = plan(matches);
    serve(&global, Seek::Once, || plan.map(|plan| vec![plan]))
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
            .ok_or_else(|| Exit::usage("--timeout: expected seconds above 0"))
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
        spec: Arc::new(Spec {
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
        // As 0.4 did not say it, whoever uses only what 0.4 had does not expect it on stderr.
        says_codes: NEWER.iter().any(given) || std::env::var_os("JOURNAL_STREAM").is_some(),
        state: matches.get_one::<PathBuf>("state").cloned(),
    })
}
