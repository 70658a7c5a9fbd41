//! The plan of a run, from the command line.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::builder::RangedU64ValueParser;
use clap::{Arg, ArgMatches, Command, value_parser};

use crate::cluster::Address;
use crate::ctl::{Exit, Global};

/// The largest number of clients.
const CLIENTS_MAX: u64 = 20_000;

/// The largest number of keys.
const KEYS_MAX: u64 = 10_000_000;

/// The largest value, in bytes.
const VALUE_MAX: u64 = 16 << 20;

/// The requests of the clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// Write keys.
    Put,
    /// Read keys.
    Get,
    /// Read keys with `quorum=true`.
    QuorumGet,
    /// Four reads for each write.
    Mixed,
    /// Watch one key, which one more client writes.
    Watch,
}

/// When a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// After this time.
    Duration(Duration),
    /// After this many requests.
    Total(u64),
}

/// The plan of a run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The members; the clients are distributed over them.
    pub members: Vec<Address>,
    /// The requests of the clients.
    pub workload: Workload,
    /// The number of clients.
    pub clients: usize,
    /// Requests per second of all clients, independent of the responses; none for a closed loop.
    pub rate: Option<f64>,
    /// When the run ends.
    pub limit: Limit,
    /// The size of a value, in bytes.
    pub value_size: usize,
    /// The number of keys.
    pub keys: u64,
    /// The directory of the keys; removed after the run.
    pub directory: String,
}

impl Workload {
    const ALL: [Self; 5] = [
        Self::Put,
        Self::Get,
        Self::QuorumGet,
        Self::Mixed,
        Self::Watch,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Get => "get",
            Self::QuorumGet => "quorum-get",
            Self::Mixed => "mixed",
            Self::Watch => "watch",
        }
    }

    /// Whether the keys must exist before the run.
    pub fn reads(self) -> bool {
        match self {
            Self::Get | Self::QuorumGet | Self::Mixed => true,
            Self::Put | Self::Watch => false,
        }
    }
}

/// The command line.
pub fn command() -> Command {
    let number = |name: &'static str, max: u64| {
        Arg::new(name)
            .long(name)
            .value_parser(RangedU64ValueParser::<u64>::new().range(1..=max))
    };
    Command::new("bench")
        .about("Measure throughput and latency of the cluster.")
        .after_help(
            "Example: etcdctl -C http://10.0.0.1:4001 bench --workload put --clients 64 --duration 10",
        )
        .args([
            Arg::new("workload")
                .long("workload")
                .value_parser(Workload::ALL.map(Workload::name))
                .default_value("put")
                .help("Requests to send; mixed is four reads for each write."),
            number("clients", CLIENTS_MAX)
                .value_name("N")
                .default_value("1")
                .help("Number of concurrent clients, each with its own connection."),
            Arg::new("rate")
                .long("rate")
                .value_name("R")
                .value_parser(value_parser!(f64))
                .help(
                    "Requests per second of all clients, sent independently of the responses; latency \
                     counts from the time a request was due (default: each client sends its next \
                     request after the response).",
                ),
            Arg::new("duration")
                .long("duration")
                .value_name("SECONDS")
                .value_parser(value_parser!(f64))
                .conflicts_with("total")
                .help("Duration of the run, in seconds (default: 10)."),
            number("total", u64::MAX)
                .value_name("N")
                .help("Number of requests, instead of a duration."),
            number("value-size", VALUE_MAX)
                .value_name("BYTES")
                .default_value("256")
                .help("Size of a value, in bytes."),
            number("keys", KEYS_MAX)
                .value_name("N")
                .default_value("1000")
                .help("Number of keys; each request uses a random one."),
        ])
}

impl Plan {
    /// The plan that the command line asks for.
    ///
    /// # Errors
    ///
    /// A rate or duration out of range.
    pub(super) fn read(global: &Global, matches: &ArgMatches) -> Result<Self, Exit> {
        let number = |name: &str| matches.get_one::<u64>(name).copied();
        // The parser checks the bounds, so every number fits.
        let size = |name: &str| number(name).map_or(1, |n| usize::try_from(n).unwrap_or(1));
        let workload = matches.get_one::<String>("workload");
        let workload = Workload::ALL
            .into_iter()
            .find(|known| Some(known.name()) == workload.map(String::as_str))
            .unwrap_or(Workload::Put);
        let rate = matches.get_one::<f64>("rate").copied();
        if rate.is_some_and(|rate| !(0.001..=1e8).contains(&rate)) {
            return Err(Exit::usage("--rate: expected a number from 0.001 to 1e8"));
        }
        let limit = match number("total") {
            Some(total) => Limit::Total(total),
            None => Limit::Duration(duration(matches)?),
        };
        Ok(Self {
            members: global.members.clone(),
            workload,
            clients: size("clients"),
            rate,
            limit,
            value_size: size("value-size"),
            keys: number("keys").unwrap_or(1),
            directory: directory(),
        })
    }
}

fn duration(matches: &ArgMatches) -> Result<Duration, Exit> {
    const MAX: Duration = Duration::from_secs(30 * 24 * 3600);
    let seconds = matches.get_one::<f64>("duration").copied().unwrap_or(10.0);
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() && duration <= MAX => Ok(duration),
        _ => Err(Exit::usage(
            "--duration: expected a number of seconds above 0, at most 2592000",
        )),
    }
}

/// A directory that no other run uses.
fn directory() -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |age| age.as_nanos());
    format!("/etcdctl-bench-{}-{now:x}", std::process::id())
}
