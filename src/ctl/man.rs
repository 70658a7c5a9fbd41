//! `etcdctl man`: the man pages, for whoever packages this.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint, value_parser};

use super::{Exit, Global, output};
use crate::cloud_config;
use crate::config::options::{DISCOVERY_OPTIONS, Form, OPTIONS, Opt};
use crate::config::{API_VERSION, VERSION};

/// The section of pages about commands.
const SECTION: &str = "1";

/// The command line.
pub(super) fn command() -> Command {
    Command::new("man")
        .about("Write the man pages of all programs into a directory")
        .hide(true)
        .after_help("Example: etcdctl man target/man")
        .arg(
            Arg::new("directory")
                .value_name("DIR")
                .required(true)
                .value_parser(value_parser!(PathBuf))
                .value_hint(ValueHint::DirPath)
                .help("Where to; it is made if it is missing"),
        )
}

/// Write the pages.
pub(super) fn run(_: &Global, matches: &ArgMatches) -> Result<(), Exit> {
    let Some(directory) = matches.get_one::<PathBuf>("directory") else {
        return Err(Exit::usage("into which directory?"));
    };
    let written: std::io::Result<usize> = fs::create_dir_all(directory).and_then(|()| {
        let commands = [
            super::command(),
            daemon(),
            discovery(),
            cloud_config::command::command(),
        ];
        commands
            .iter()
            .try_fold(0, |count, command| Ok(count + write(command, directory)?))
    });
    match written {
        Ok(count) => Ok(output::print(&format!("{count} pages\n"))?),
        Err(error) => Err(Exit::usage(format!("{}: {error}", directory.display()))),
    }
}

/// A page for the command and for each command in it that is shown.
fn write(command: &Command, directory: &Path) -> std::io::Result<usize> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone().name(String::from(name)))
        .section(SECTION)
        .source(format!("oxetcd {VERSION}"))
        .manual("etcd")
        .render(&mut page)?;
    fs::write(directory.join(format!("{name}.{SECTION}")), page)?;
    let shown = command
        .get_subcommands()
        .filter(|inner| !inner.is_hide_set() && inner.get_name() != "help");
    let mut count = 1;
    for inner in shown {
        count += write(inner, directory)?;
    }
    Ok(count)
}

/// The daemon's command line, from its own table of options.
fn daemon() -> Command {
    from_table("etcd", OPTIONS)
        .version(format!("version {API_VERSION}"))
        .about("A small, durable, replicated tree of keys")
        .after_help(
            "Flags take one dash or two. A flag wins over its variable, and that over the configuration \
             file: /etc/etcd/etcd.conf, or the one that -config names.\n\n\
             Exit status: 0 stopped; 65 the data directory is damaged, or not etcd's; 75 started with an \
             environment that its unit's files no longer say; 78 an option will not do; 1 anything else.",
        )
}

/// The discovery service's.
fn discovery() -> Command {
    from_table("etcd-discovery", DISCOVERY_OPTIONS)
        .version(VERSION)
        .about("Where machines with the same token find each other")
        .after_help("Flags take one dash or two. A flag wins over its variable.")
}

fn from_table(name: &'static str, options: &'static [Opt]) -> Command {
    let flags = options.iter().map(|option| {
        let flag = Arg::new(option.name())
            .long(option.name())
            .help(option.help)
            .help_heading(option.section.title());
        let flag = match option.form {
            Form::Switch => flag.action(ArgAction::SetTrue),
            Form::Value(placeholder) => flag.value_name(placeholder),
        };
        let flag = match (option.default, option.form) {
            (Some(default), Form::Value(_)) => flag.default_value(default),
            (Some(_) | None, Form::Switch) | (None, Form::Value(_)) => flag,
        };
        match option.variables.first() {
            Some(variable) => flag.env(variable).hide_env_values(true),
            None => flag,
        }
    });
    Command::new(name)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args(flags)
}
