//! The flags of every command: the members, how to connect to them, and the output format.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, ValueHint, value_parser};

use super::{Exit, Output, args};
use crate::cluster::Address;
use crate::config::TlsFiles;
use crate::net::tls::Connector;

/// The port of a member URL without one.
pub const PORT: u16 = 4001;

/// The default of `--peers`.
const DEFAULT_PEER: &str = "http://127.0.0.1:4001";

/// The longest `--timeout`, in seconds.
const TIMEOUT_MAX: f64 = 24.0 * 3600.0;

/// The flags of every command.
#[derive(Clone)]
pub struct Global {
    /// The members to try, in this order; never empty.
    pub members: Vec<Address>,
    /// The output format.
    pub output: Output,
    /// Print each request and failure.
    pub debug: bool,
    /// Fetch the list of members first.
    pub sync: bool,
    /// The timeout for a response; none for the client's defaults.
    pub timeout: Option<Duration>,
    /// TLS for members whose URL is `https`.
    pub tls: Connector,
}

/// The flags.
pub(super) fn flags() -> [Arg; 9] {
    [
        peers(),
        args::switch(
            "no-sync",
            "Use only the members of --peers; do not fetch the list of members.",
        ),
        Arg::new("output")
            .short('o')
            .long("output")
            .overrides_with("output")
            .value_name("FORMAT")
            .value_parser(PossibleValuesParser::new(Output::NAMES))
            .default_value("simple")
            .help("Output format: simple prints the value, extended adds keys and indices, json is the response."),
        args::switch(
            "debug",
            "Print each request as a curl command, and why a member did not respond.",
        ),
        args::option(
            "timeout",
            "SECONDS",
            "Timeout for a response, in seconds (default: 30). Does not apply to watches.",
        )
        .value_parser(value_parser!(f64)),
        file(
            "ca-file",
            "CA certificate for verifying the server (PEM; default: those of the system).",
        ),
        file("cert-file", "Client certificate, followed by its chain (PEM)."),
        file("key-file", "Private key of the client certificate (PEM, not encrypted)."),
        Arg::new("version")
            .short('v')
            .long("version")
            .action(ArgAction::Version)
            .help("Print the version."),
    ]
    .map(|flag| {
        let is_global = flag.get_id() != "version";
        flag.global(is_global).help_heading("Global options")
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
        .help("Client URLs of members, comma-separated; http:// and port 4001 may be omitted (default: 127.0.0.1).")
}

fn file(name: &'static str, help: &'static str) -> Arg {
    args::option(name, "PATH", help)
        .value_parser(value_parser!(PathBuf))
        .value_hint(ValueHint::FilePath)
}

impl Global {
    /// Read the flags.
    ///
    /// # Errors
    ///
    /// A member is not a valid URL; the timeout is out of range; a file of TLS cannot be read or is not valid; a
    /// certificate is given without its key, or a key without its certificate.
    pub(super) fn read(matches: &ArgMatches) -> Result<Self, Exit> {
        Ok(Self {
            members: members(matches)?,
            output: args::text(matches, "output").map_or(Output::Simple, Output::from_name),
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
                "--cert-file and --key-file must be given together",
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
            "--timeout: expected a number of seconds above 0, at most 86400",
        )),
    }
}
