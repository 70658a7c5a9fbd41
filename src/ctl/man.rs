//! `etcdctl man`: the man pages of all programs, for packages.
//!
//! Section 1 comes from the command lines, section 5 (`man_files`) from the tables of options and of the keys of a
//! hook.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint, value_parser};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use super::{Exit, Global, hook, man_files, output};
use crate::cloud_config;
use crate::config::options::{DISCOVERY_OPTIONS, Form, OPTIONS, Opt};
use crate::config::{API_VERSION, VERSION};

/// The pages that every page of a program refers to.
const SEE_ALSO: &str =
    "etcd(1), etcdctl(1), etcd.conf(5), etcd-hooks(5), etcd-cloudinit(1), etcd-discovery(1)";

/// The command line.
pub(super) fn command() -> Command {
    Command::new("man")
        .about("Write the man pages of all programs into a directory.")
        .hide(true)
        .after_help("Example: etcdctl man target/man")
        .arg(
            Arg::new("directory")
                .value_name("DIR")
                .required(true)
                .value_parser(value_parser!(PathBuf))
                .value_hint(ValueHint::DirPath)
                .help("Directory for man1 and man5; it is created if it does not exist."),
        )
}

/// Write the pages.
pub(super) fn run(_: &Global, matches: &ArgMatches) -> Result<(), Exit> {
    let Some(directory) = matches.get_one::<PathBuf>("directory") else {
        return Err(Exit::usage("man: expected a directory"));
    };
    match write_all(directory) {
        Ok(count) => Ok(output::print(&format!("{count} pages\n"))?),
        Err(error) => Err(Exit::usage(format!("{}: {error}", directory.display()))),
    }
}

fn write_all(directory: &Path) -> io::Result<usize> {
    let (man1, man5) = (directory.join("man1"), directory.join("man5"));
    fs::create_dir_all(&man1)?;
    fs::create_dir_all(&man5)?;
    let mut count = 0;
    for program in [
        super::command(),
        daemon(),
        discovery(),
        cloud_config::command::command(),
    ] {
        count += write_command(&program, &man1)?;
    }
    for (name, page) in man_files::pages() {
        fs::write(man5.join(format!("{name}.5")), page)?;
        count += 1;
    }
    Ok(count)
}

/// Write a page for the command and for each of its visible subcommands.
fn write_command(command: &Command, directory: &Path) -> io::Result<usize> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    fs::write(directory.join(format!("{name}.1")), format_page(command)?)?;
    let visible = command
        .get_subcommands()
        .filter(|inner| !inner.is_hide_set() && inner.get_name() != "help");
    let mut count = 1;
    for inner in visible {
        count += write_command(inner, directory)?;
    }
    Ok(count)
}

fn format_page(command: &Command) -> io::Result<Vec<u8>> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let about = command.get_about().map(ToString::to_string);
    let about = about.unwrap_or_default();
    let long = command.get_long_about().map(ToString::to_string);
    let long = long.unwrap_or_else(|| about.clone());
    // The keys of a hook have their own page.
    let long = long.replace(&hook::describe_file(), "etcd-hooks(5) describes the files.");
    let shown = command
        .clone()
        .name(String::from(name))
        .about(String::from(about.trim_end_matches('.')))
        .long_about(long);
    let man = Man::new(shown)
        .section("1")
        .source(format!("oxetcd {VERSION}"))
        .manual("etcd");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    if command
        .get_arguments()
        .any(|argument| !argument.is_hide_set())
    {
        man.render_options_section(&mut page)?;
    }
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let after = command.get_after_help().map(ToString::to_string);
    let mut rest = Roff::new();
    write_after_help(&mut rest, &after.unwrap_or_default());
    rest.control("SH", ["SEE ALSO"]);
    rest.text([roman(SEE_ALSO)]);
    page.extend(rest.to_roff().into_bytes());
    Ok(page)
}

/// The paragraphs of an after-help: examples, the exit status, and notes.
fn write_after_help(page: &mut Roff, text: &str) {
    for paragraph in text.split("\n\n").filter(|text| !text.is_empty()) {
        if let Some(example) = paragraph
            .strip_prefix("Examples:\n")
            .or_else(|| paragraph.strip_prefix("Example: "))
        {
            page.control("SH", ["EXAMPLES"]);
            page.control("nf", []);
            for line in example.lines() {
                page.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
            }
            page.control("fi", []);
        } else if let Some(status) = paragraph.strip_prefix("Exit status:\n") {
            page.control("SH", ["EXIT STATUS"]);
            for line in status.lines() {
                let (code, meaning) = line.trim().split_once("  ").unwrap_or((line.trim(), ""));
                page.control("TP", []);
                page.text([roman(code)]);
                page.text([roman(meaning)]);
            }
        } else {
            page.control("SH", ["NOTES"]);
            page.text([roman(paragraph.replace('\n', " "))]);
        }
    }
}

/// The command line of the daemon, from its table of options.
fn daemon() -> Command {
    from_table("etcd", OPTIONS)
        .version(format!("version {API_VERSION}"))
        .about("A replicated, durable key-value store.")
        .long_about(
            "etcd serves the v2 keys API of etcd 0.4 on its client port and replicates the keys to the other \
             members of its cluster by Raft. A write is acknowledged when a majority of the members has it on \
             disk.\n\nWithout options it runs a single member on loopback. With -peers or -discovery it joins a \
             cluster.",
        )
        .after_help(
            "Flags take one dash or two. A flag overrides its variable, and a variable overrides the configuration \
             file, etcd.conf(5).\n\n\
             Exit status:\n  \
             0  The daemon was stopped.\n  \
             1  Any other error.\n  \
             65  The data directory is damaged, or not one of etcd.\n  \
             75  The environment files of the unit have changed since it was started; it must be restarted.\n  \
             78  An option is not valid.",
        )
}

/// The command line of the discovery service.
fn discovery() -> Command {
    from_table("etcd-discovery", DISCOVERY_OPTIONS)
        .version(VERSION)
        .about("The discovery service, by which hosts with the same token form a cluster.")
        .after_help("Flags take one dash or two. A flag overrides its variable.")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_and_command_has_a_page() {
        let directory = tempfile::tempdir().expect("a directory");
        let count = write_all(directory.path()).expect("written");
        let names = |section: &str| -> Vec<String> {
            let entries = fs::read_dir(directory.path().join(section)).expect("made");
            let name = |entry: io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
            let names = entries.map(|entry| name(entry).to_string_lossy().into_owned());
            names.collect()
        };
        let (programs, files) = (names("man1"), names("man5"));
        assert_eq!(count, programs.len() + files.len());
        for page in [
            "etcd.1",
            "etcd-discovery.1",
            "etcd-cloudinit.1",
            "etcdctl.1",
            "etcdctl-exec-watch.1",
            "etcdctl-hook-run.1",
        ] {
            assert!(programs.iter().any(|name| name == page), "{page}");
        }
        for page in ["etcd.conf.5", "etcd-hooks.5"] {
            assert!(files.iter().any(|name| name == page), "{page}");
        }
        let read = |page: &str| fs::read_to_string(directory.path().join(page)).expect("text");
        let page = read("man1/etcdctl-hook.1");
        assert!(
            page.contains("etcd\\-hooks(5) describes the files."),
            "{page}"
        );
        assert!(read("man1/etcd.1").contains(".SH \"EXIT STATUS\""));
    }
}
