//! What every command is told: whom to ask, how, and how to print.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, ValueHint, value_parser};

use super::{Exit, Output, args};
use crate::cluster::Address;
use crate::config::TlsFiles;
use crate::net::tls::Connector;

/// The port of a member that is given without one.
pub const PORT: u16 = 4001;

/// Whom to ask when nobody is named.
const DEFAULT_PEER: &str = "http://127.0.0.1:4001";

/// The longest `--timeout`, in seconds.
const TIMEOUT_MAX: f64 = 24.0 * 3600.0;

/// What every command is told.
#[derive(Clone)]
pub struct Global {
    /// The members to talk to, in this order; never empty.
    pub members: Vec<Address>,
    /// How to print.
    pub output: Output,
    /// Show what is asked of whom.
    pub debug: bool,
    /// Ask first who the members are.
    pub sync: bool,
    /// How long an answer may take; none for the client's own limits.
    pub timeout: Option<Duration>,
    /// What is spoken with members whose URL is `https`.
    pub tls: Connector,
}

/// The flags.
pub(super) fn flags() -> [Arg; 9] {
    [
        peers(),
        args::switch(
            "no-sync",
            "Ask only the members given, and not first who the others are",
        ),
        Arg::new("output")
            .short('o')
            .long("output")
            .overrides_with("output")
            .value_name("FORMAT")
            .value_parser(PossibleValuesParser::new(Output::NAMES))
            .default_value("simple")
            .help("The value; the value and what is known about it; or the server's answer"),
        args::switch(
            "debug",
            "Show each request as a curl line, and why a member gave no answer",
        ),
        args::option(
            "timeout",
            "SECONDS",
            "How long an answer may take; for a watch no limit",
        )
        .value_parser(value_parser!(f64)),
        file(
            "ca-file",
            "Believe servers whose certificate this one has signed",
        ),
        file("cert-file", "Show this certificate to servers"),
        file("key-file", "The key of that certificate"),
        Arg::new("version")
            .short('v')
            .long("version")
            .action(ArgAction::Version)
            .help("Print the version"),
    ]
    .map(|flag| {
        let everywhere = flag.get_id() != "version";
        flag.global(everywhere).help_heading("Global options")
    })
}

fn peers() -> Arg {
    Arg::new("peers")
        .short('C')
        .long("peers")
        .action(ArgAction::Append)
        .value_delimiter(',')
        .value_name("URL,...")
        .env("ETCDCTL_PEERS")
        .hide_env_values(true)
        .help("Members of the cluster; http:// and port 4001 may be left out [default: 127.0.0.1]")
}

fn file(name: &'static str, help: &'static str) -> Arg {
    args::option(name, "PATH", help)
        .value_parser(value_parser!(PathBuf))
        .value_hint(ValueHint::FilePath)
}

impl Global {
    /// From the flags, wherever they stood.
    ///
    /// # Errors
    ///
    /// Which flag will not do, and why.
    pub(super) fn read(matches: &ArgMatches) -> Result<Self, Exit> {
        Ok(Self {
            members: members(matches)?,
            output: args::text(matches, "output").map_or(Output::Simple, Output::named),
            debug: matches.get_flag("debug"),
            sync: !matches.get_flag("no-sync"),
            timeout: timeout(matches)?,
            tls: connector(matches)?,
        })
    }
}

fn members(matches: &ArgMatches) -> Result<Vec<Address>, Exit> {
    let given: Vec<&str> = matches
        .get_many::<String>("peers")
        .into_iter()
        .flatten()
        .map(|text| text.trim())
        .filter(|text| !text.is_empty())
        .collect();
    let named = if given.is_empty() {
        vec![DEFAULT_PEER]
    } else {
        given
    };
    let parse = |text: &&str| {
        Address::parse_with_port(text, PORT)
            .map_err(|problem| Exit::usage(format!("--peers: {text:?} {problem}")))
    };
    named.iter().map(parse).collect()
}

fn connector(matches: &ArgMatches) -> Result<Connector, Exit> {
    let path = |name| matches.get_one::<PathBuf>(name).cloned();
    let identity = match (path("cert-file"), path("key-file")) {
        (Some(cert), Some(key)) => Some(TlsFiles {
            cert,
            key,
            ca: None,
        }),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => {
            return Err(Exit::usage(
                "--cert-file and --key-file: a certificate goes with its key",
            ));
        }
    };
    let connector = Connector::of_client(path("ca-file"), identity);
    connector.map_err(|error| Exit::usage(error.to_string()))
}

fn timeout(matches: &ArgMatches) -> Result<Option<Duration>, Exit> {
    let Some(seconds) = matches.get_one::<f64>("timeout").copied() else {
        return Ok(None);
    };
    match Duration::try_from_secs_f64(seconds) {
        Ok(limit) if seconds <= TIMEOUT_MAX && !limit.is_zero() => Ok(Some(limit)),
        _ => Err(Exit::usage(
            "--timeout: expected seconds above 0, at most a day",
        )),
    }
}
