//! `etcdctl hook`: check, list and run the hooks of a host.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Arg, ArgMatches, Command, ValueHint, value_parser};

use super::command::Spec;
use super::directory::Hooks;
use super::file::{Hook, Problem};
use super::plan::{OnFailure, Plan};
use super::queue::Rules;
use super::service::{Seek, serve};
use super::state::Subject;
use super::user::User;
use crate::ctl::{Exit, Global, args, output, table};

/// Where hooks are.
const DIRECTORY: &str = "/etc/etcd/hooks.d";

/// Where it is remembered what each has handled, unless systemd names a place.
const STATE_DIRECTORY: &str = "/var/lib/etcd-hooks";

/// What a hook is. Its directory is [`DIRECTORY`].
const A_HOOK: &str = "A hook is a file NAME.yaml in /etc/etcd/hooks.d:

  key: /services             what to watch
  command: [reload, --now]   or a line for the shell

and what else there may be, here with what holds without it, where something does:

  recursive: false           all below the key, too
  user: www-data             as whom [default: as who runs the hooks]
  environment: {SITE: a}     more variables
  timeout: 30                seconds until the command is ended [default: never]
  debounce: 0                milliseconds a key must be left alone
  initial: false             at the start, for each key that is there
  json: false                the whole event on stdin
  retry: 0                   how often a command that fails is run again
  on-failure: continue       or stop, when it fails for good
  concurrency: 1             how many run at once

What the command finds in its environment is as for exec-watch. The directory and the files must be root's.";

/// The command line.
pub(crate) fn command() -> Command {
    let directory = Arg::new("dir")
        .long("dir")
        .value_name("DIRECTORY")
        .default_value(DIRECTORY)
        .value_parser(value_parser!(PathBuf))
        .value_hint(ValueHint::DirPath)
        .help("Where the hooks are");
    let names = Arg::new("name").value_name("NAME").num_args(0..);
    Command::new("hook")
        .about("Run the commands of a host when keys change")
        .long_about(format!("Run the commands of a host when keys change. {A_HOOK}"))
        .after_help("Example: etcdctl hook check && etcdctl hook run --all")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("check")
                .about("Say what is wrong with hooks")
                .after_help("Example: etcdctl hook check proxy")
                .args([directory.clone(), names.clone().help("Which; all without")]),
        )
        .subcommand(
            Command::new("list")
                .about("Show which hooks there are")
                .after_help("Example: etcdctl hook list")
                .arg(directory.clone()),
        )
        .subcommand(
            Command::new("run")
                .about("Watch and run, until stopped")
                .long_about(format!("Watch and run, until stopped. {A_HOOK}"))
                .after_help("Example: etcdctl hook run --all")
                .args([
                    directory,
                    names.help("Which"),
                    args::switch("all", "All there are; one that is wrong does not keep the others"),
                    Arg::new("state-dir")
                        .long("state-dir")
                        .value_name("DIRECTORY")
                        .value_parser(value_parser!(PathBuf))
                        .value_hint(ValueHint::DirPath)
                        .help(format!(
                            "Where it is remembered what was handled [default: $STATE_DIRECTORY or {STATE_DIRECTORY}]"
                        )),
                ]),
        )
}

/// Do one of these.
pub(crate) fn run(global: &Global, matches: &ArgMatches) -> Result<(), Exit> {
    match matches.subcommand() {
        Some(("check", matches)) => check(matches),
        Some(("list", matches)) => list(matches),
        Some(("run", matches)) => serve_hooks(global, matches),
        _ => Err(Exit::usage("hook: expected check, list or run")),
    }
}

fn find(matches: &ArgMatches) -> Result<Hooks, Exit> {
    let directory = matches.get_one::<PathBuf>("dir");
    let directory = directory.map_or(Path::new(DIRECTORY), PathBuf::as_path);
    Hooks::find(directory).map_err(|problem| Exit::plain(1, problem.to_string()))
}

/// The names given, or none; each must be there.
fn named<'a>(hooks: &Hooks, matches: &'a ArgMatches) -> Result<Vec<&'a String>, Exit> {
    let names: Vec<&String> = matches.get_many("name").into_iter().flatten().collect();
    match names.iter().find(|name| !hooks.names.contains(name)) {
        Some(name) => Err(Exit::usage(format!("there is no hook {name}"))),
        None => Ok(names),
    }
}

fn check(matches: &ArgMatches) -> Result<(), Exit> {
    let hooks = find(matches)?;
    let mut names = named(&hooks, matches)?;
    if names.is_empty() {
        names = hooks.names.iter().collect();
    }
    let mut lines = Vec::new();
    for name in names {
        match hooks.read(name) {
            Err(problems) => lines.extend(problems.iter().map(Problem::to_string)),
            Ok(hook) => match prepare(&hook) {
                Ok(spec) => {
                    if let Some(why) = spec.missing() {
                        super::say(Some(name), &format!("warning: {why}"));
                    }
                }
                Err(why) => lines.push(format!("{name}: error: {why}")),
            },
        }
    }
    if lines.is_empty() {
        Ok(())
    } else {
        Err(Exit::plain(1, lines.join("\n")))
    }
}

fn list(matches: &ArgMatches) -> Result<(), Exit> {
    let hooks = find(matches)?;
    let rows: Vec<[String; 3]> = hooks
        .names
        .iter()
        .map(|name| match hooks.read(name) {
            Ok(hook) => {
                let below = if hook.recursive { " and below" } else { "" };
                let key = format!("{}{below}", hook.key);
                [name.clone(), key, hook.words.join(" ").replace('\n', " ")]
            }
            Err(problems) => {
                let first = problems.first().map(Problem::to_string);
                [name.clone(), String::from("-"), first.unwrap_or_default()]
            }
        })
        .collect();
    output::print(&table::aligned(["NAME", "KEY", "COMMAND"], &rows))?;
    Ok(())
}

fn serve_hooks(global: &Global, matches: &ArgMatches) -> Result<(), Exit> {
    let hooks = find(matches)?;
    let names = named(&hooks, matches)?;
    let all = matches.get_flag("all");
    if all != names.is_empty() {
        return Err(Exit::usage("hook run: expected names of hooks, or --all"));
    }
    let state = state_directory(matches);
    std::fs::create_dir_all(&state)
        .map_err(|error| Exit::usage(format!("{} cannot be made: {error}", state.display())))?;
    let names: Vec<&String> = if all {
        hooks.names.iter().collect()
    } else {
        names
    };
    let mut plans = Vec::new();
    for name in names {
        match plan(&hooks, name, &state) {
            Ok(plan) => plans.push(plan),
            Err(text) if all => super::say(None, &text),
            Err(text) => return Err(Exit::plain(1, text)),
        }
    }
    if plans.is_empty() {
        return Err(Exit::usage("there is no hook to run"));
    }
    serve(global, Seek::Patiently, || Ok(plans))
}

fn state_directory(matches: &ArgMatches) -> PathBuf {
    let by_systemd = || {
        let all = std::env::var("STATE_DIRECTORY").ok()?;
        let first = all.split(':').next().filter(|first| !first.is_empty());
        first.map(PathBuf::from)
    };
    let given = matches.get_one::<PathBuf>("state-dir").cloned();
    given
        .or_else(by_systemd)
        .unwrap_or_else(|| PathBuf::from(STATE_DIRECTORY))
}

fn plan(hooks: &Hooks, name: &str, state: &Path) -> Result<Plan, String> {
    let hook = hooks.read(name).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
        lines.join("\n")
    })?;
    let spec = prepare(&hook).map_err(|why| format!("{name}: error: {why}"))?;
    Ok(Plan {
        name: Some(name.to_owned()),
        subject: Subject {
            key: hook.key,
            recursive: hook.recursive,
        },
        after: None,
        initial: hook.initial,
        rules: Rules {
            concurrency: hook.concurrency.into(),
            debounce: hook.debounce,
            retries: hook.retries,
        },
        spec: Arc::new(spec),
        on_failure: if hook.stops {
            OnFailure::Stop
        } else {
            OnFailure::Continue
        },
        says_codes: true,
        state: Some(state.join(format!("{name}.state"))),
    })
}

fn prepare(hook: &Hook) -> Result<Spec, String> {
    Ok(Spec {
        words: hook.words.iter().map(OsString::from).collect(),
        environment: hook.environment.clone(),
        user: hook.user.as_deref().map(User::find).transpose()?,
        json: hook.json,
        timeout: hook.timeout,
    })
}

#[cfg(test)]
mod tests {
    use super::super::file::{KEYS, parse};
    use super::*;

    /// The lines of the help that are those of a file.
    fn lines(wanted: impl Fn(&str) -> bool) -> String {
        let lines = A_HOOK.lines().filter_map(|line| line.strip_prefix("  "));
        let said = lines.filter_map(|line| line.split("   ").next());
        let wanted = said.filter(|line| wanted(line.split(':').next().unwrap_or_default()));
        wanted.map(|line| format!("{line}\n")).collect()
    }

    #[test]
    fn the_help_names_every_key_and_its_default() {
        let all = lines(|_| true);
        assert_eq!(all.lines().count(), KEYS.len());
        assert!(parse(&all).is_ok(), "{all}");
        let least = lines(|key| matches!(key, "key" | "command"));
        let without = lines(|key| !matches!(key, "user" | "environment" | "timeout"));
        assert_eq!(parse(&without), parse(&least));
        assert!(A_HOOK.contains(DIRECTORY));
    }
}
