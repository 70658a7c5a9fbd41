//! `etcdctl`: one file or folder per command.

pub mod bench;
mod exit_code;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::builder::NonEmptyStringValueParser;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command};

pub use exit_code::Exit;

use crate::config::Address;

/// The port of a member that is given without one.
pub const PORT: u16 = 4001;

/// What every command is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Global {
    /// The members to talk to, in this order; never empty.
    pub members: Vec<Address>,
    /// How to print.
    pub output: Output,
}

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// For people.
    Simple,
    /// For programs.
    Json,
}

/// Run `etcdctl` with these arguments, its own name first.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let matches = match command().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) => return explain(&error),
    };
    let outcome = global(&matches).and_then(|global| match matches.subcommand() {
        Some(("bench", matches)) => bench::run(&global, matches),
        Some((name, _)) => Err(Exit::usage(format!("{name} is no command"))),
        None => Err(Exit::usage("no command is given; see etcdctl --help")),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(exit) => {
            eprintln!("etcdctl: {}", exit.message);
            exit.code.into()
        }
    }
}

/// The whole command line.
fn command() -> Command {
    Command::new("etcdctl")
        .about("Talk to etcd on its v2 API.")
        .version(env!("CARGO_PKG_VERSION"))
        .arg_required_else_help(true)
        .subcommand_required(true)
        .args([
            Arg::new("peers")
                .short('C')
                .long("peers")
                .global(true)
                .action(ArgAction::Append)
                .value_delimiter(',')
                .value_name("URL,...")
                .value_parser(NonEmptyStringValueParser::new())
                .default_value("http://127.0.0.1:4001")
                .help("Members of the cluster; http:// and port 4001 may be left out"),
            Arg::new("output")
                .short('o')
                .long("output")
                .global(true)
                .value_name("FORMAT")
                .value_parser(["simple", "json"])
                .default_value("simple")
                .help("How to print"),
        ])
        .subcommand(bench::command())
}

fn global(matches: &ArgMatches) -> Result<Global, Exit> {
    let members = matches
        .get_many::<String>("peers")
        .into_iter()
        .flatten()
        .map(|text| {
            Address::parse_with_port(text, PORT)
                .map_err(|problem| Exit::usage(format!("--peers: {text:?} {problem}")))
        })
        .collect::<Result<Vec<Address>, Exit>>()?;
    let output = match matches.get_one::<String>("output").map(String::as_str) {
        Some("json") => Output::Json,
        _ => Output::Simple,
    };
    Ok(Global { members, output })
}

/// Help and version are what was asked for; all else is a usage error.
fn explain(error: &clap::Error) -> ExitCode {
    let asked = matches!(
        error.kind(),
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    // Whoever closed the pipe has read enough.
    if asked {
        let _ = write!(std::io::stdout(), "{}", error.render());
    } else {
        let _ = error.print();
    }
    if asked {
        ExitCode::SUCCESS
    } else {
        exit_code::USAGE.into()
    }
}
