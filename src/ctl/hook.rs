//! `etcdctl hook`: check, list and run the hooks of a host.

use std::path::{Path, PathBuf};

use clap::{Arg, ArgMatches, Command, ValueHint, value_parser};

use super::hook_service::{ConnectRetry, print_line, serve};
use super::{Exit, Global, args, output, table};
use crate::hook::{HookDirectory, KEYS, Plan};

/// The directory of hooks.
pub(super) const DIRECTORY: &str = "/etc/etcd/hooks.d";

/// The directory of state files, unless systemd sets `STATE_DIRECTORY`.
pub(super) const STATE_DIRECTORY: &str = "/var/lib/etcd-hooks";

/// The width of the descriptions of keys, so that their lines fit a terminal of 80 columns.
const HELP_WIDTH: usize = 50;

/// The description of a hook's file, from the schema.
pub(super) fn describe_file() -> String {
    let mut lines = String::new();
    for key in KEYS {
        let mut first = format!("{}: {}", key.name, key.value);
        for line in wrap(key.help) {
            lines.push_str(&format!("  {first:26} {line}\n"));
            first.clear();
        }
    }
    format!(
        "A hook is a YAML file NAME.yaml in {DIRECTORY}, with these keys (shown with their default, or an \
         example):\n\n{lines}\nThe command gets the same environment variables as one of exec-watch. The \
         directory and the files must belong to root and be writable by root only."
    )
}

/// The lines of a text of at most [`HELP_WIDTH`] characters. clap wraps it too, but without indentation.
fn wrap(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= HELP_WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The command line.
pub(super) fn command() -> Command {
    let directory = Arg::new("dir")
        .long("dir")
        .value_name("DIRECTORY")
        .default_value(DIRECTORY)
        .value_parser(value_parser!(PathBuf))
        .value_hint(ValueHint::DirPath)
        .help("Directory of the hooks.");
    let names = Arg::new("name").value_name("NAME").num_args(0..);
    let about = "Run commands of this host when keys change.";
    Command::new("hook")
        .about(about)
        .long_about(format!("{about}\n\n{}", describe_file()))
        .after_help("Example: etcdctl hook check && etcdctl hook run --all")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("check")
                .about("Check hooks and print their errors.")
                .after_help("Example: etcdctl hook check proxy")
                .args([
                    directory.clone(),
                    names.clone().help("Hooks to check (default: all)."),
                ]),
        )
        .subcommand(
            Command::new("list")
                .about("List the hooks with their keys and commands.")
                .after_help("Example: etcdctl hook list")
                .arg(directory.clone()),
        )
        .subcommand(
            Command::new("run")
                .about("Watch the keys and run the commands until SIGINT or SIGTERM.")
                .long_about(format!(
                    "Watch the keys and run the commands until SIGINT or SIGTERM.\n\n{}",
                    describe_file()
                ))
                .after_help("Example: etcdctl hook run --all")
                .args([
                    directory,
                    names.help("Hooks to run."),
                    args::switch("all", "Run all hooks; invalid ones are reported and skipped."),
                    Arg::new("state-dir")
                        .long("state-dir")
                        .value_name("DIRECTORY")
                        .value_parser(value_parser!(PathBuf))
                        .value_hint(ValueHint::DirPath)
                        .help(format!(
                            "Directory of the state files, which record the handled changes (default: \
                             $STATE_DIRECTORY, or {STATE_DIRECTORY})."
                        )),
                ]),
        )
}

/// Execute one of the subcommands.
pub(super) fn run(global: &Global, matches: &ArgMatches) -> Result<(), Exit> {
    match matches.subcommand() {
        Some(("check", matches)) => check(matches),
        Some(("list", matches)) => list(matches),
        Some(("run", matches)) => run_hooks(global, matches),
        _ => Err(Exit::usage("hook: expected check, list or run")),
    }
}

fn open_directory(matches: &ArgMatches) -> Result<HookDirectory, Exit> {
    let directory = matches.get_one::<PathBuf>("dir");
    let directory = directory.map_or(Path::new(DIRECTORY), PathBuf::as_path);
    HookDirectory::open(directory).map_err(|error| Exit::plain(1, error.to_string()))
}

/// The names that were given, or none; each must exist.
fn given_names<'a>(
    hooks: &HookDirectory,
    matches: &'a ArgMatches,
) -> Result<Vec<&'a String>, Exit> {
    let names: Vec<&String> = matches.get_many("name").into_iter().flatten().collect();
    match names.iter().find(|name| !hooks.names().contains(name)) {
        Some(name) => Err(Exit::usage(format!("hook {name} not found"))),
        None => Ok(names),
    }
}

fn check(matches: &ArgMatches) -> Result<(), Exit> {
    let hooks = open_directory(matches)?;
    let mut names = given_names(&hooks, matches)?;
    if names.is_empty() {
        names = hooks.names().iter().collect();
    }
    let mut errors = Vec::new();
    for name in names {
        match Plan::from_hook(&hooks, name, Path::new("")) {
            Ok(plan) => {
                if let Err(missing) = plan.spec.check() {
                    print_line(Some(name), &format!("warning: {missing}"));
                }
            }
            Err(error) => errors.push(error.to_string()),
        }
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Exit::plain(1, errors.join("\n")))
    }
}

fn list(matches: &ArgMatches) -> Result<(), Exit> {
    let hooks = open_directory(matches)?;
    let rows: Vec<[String; 3]> = hooks
        .names()
        .iter()
        .map(|name| match hooks.read(name) {
            Ok(hook) => [name.clone(), hook.subject(), hook.command_line()],
            Err(error) => {
                let error = error.to_string();
                let first = error.lines().next().unwrap_or_default();
                [name.clone(), String::from("-"), String::from(first)]
            }
        })
        .collect();
    output::print(&table::aligned(["NAME", "KEY", "COMMAND"], &rows))?;
    Ok(())
}

fn run_hooks(global: &Global, matches: &ArgMatches) -> Result<(), Exit> {
    let hooks = open_directory(matches)?;
    let names = given_names(&hooks, matches)?;
    let all = matches.get_flag("all");
    if all != names.is_empty() {
        return Err(Exit::usage("hook run: expected names of hooks, or --all"));
    }
    let state = state_directory(matches);
    std::fs::create_dir_all(&state)
        .map_err(|error| Exit::usage(format!("cannot create {}: {error}", state.display())))?;
    let names: Vec<&String> = if all {
        hooks.names().iter().collect()
    } else {
        names
    };
    let mut plans = Vec::new();
    for name in names {
        match Plan::from_hook(&hooks, name, &state) {
            Ok(plan) => plans.push(plan),
            Err(error) if all => print_line(None, &error.to_string()),
            Err(error) => return Err(Exit::plain(1, error.to_string())),
        }
    }
    if plans.is_empty() {
        return Err(Exit::usage("no hook to run"));
    }
    serve(global, ConnectRetry::UntilReached, || Ok(plans))
}

fn state_directory(matches: &ArgMatches) -> PathBuf {
    let of_systemd = || {
        let all = std::env::var("STATE_DIRECTORY").ok()?;
        let first = all.split(':').next().filter(|first| !first.is_empty());
        first.map(PathBuf::from)
    };
    let given = matches.get_one::<PathBuf>("state-dir").cloned();
    given
        .or_else(of_systemd)
        .unwrap_or_else(|| PathBuf::from(STATE_DIRECTORY))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hook::{KeyDoc, parse};

    /// A file with these keys and the values that the help shows.
    fn file(wanted: impl Fn(&KeyDoc) -> bool) -> String {
        let keys = KEYS.iter().filter(|key| wanted(key));
        keys.map(|key| format!("{}: {}\n", key.name, key.value))
            .collect()
    }

    #[test]
    fn the_help_shows_every_key_with_a_valid_value_and_the_real_default() {
        assert!(parse(&file(|_| true)).is_ok());
        let required = file(|key| matches!(key.name, "key" | "command"));
        let with_defaults = file(|key| key.is_default || matches!(key.name, "key" | "command"));
        assert_eq!(parse(&with_defaults), parse(&required));
        let help = describe_file();
        let words: Vec<&str> = help.split_whitespace().collect();
        let words = words.join(" ");
        assert!(
            KEYS.iter()
                .all(|key| wrap(key.help).iter().all(|line| words.contains(line)))
        );
        assert!(
            help.lines()
                .filter(|line| line.starts_with("  "))
                .all(|line| line.len() <= 80)
        );
        assert!(KEYS.iter().all(|key| key.help.ends_with('.')));
    }
}
