//! What to measure.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::builder::RangedU64ValueParser;
use clap::{Arg, ArgMatches, Command, value_parser};

use crate::cluster::Address;
use crate::ctl::{Exit, Global};

/// The most clients; a larger number is refused.
const CLIENTS_MAX: u64 = 20_000;

/// The most keys; a larger number is refused.
const KEYS_MAX: u64 = 10_000_000;

/// The longest value in bytes; a longer one is refused.
const VALUE_MAX: u64 = 16 << 20;

/// What the clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// Write keys.
    Put,
    /// Read keys.
    Get,
    /// Read keys with `quorum=true`.
    QuorumGet,
    /// Four reads to a write.
    Mixed,
    /// All wait for changes of one key, which one more client writes.
    Watch,
}

/// When it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// After this time.
    Duration(Duration),
    /// After this many requests.
    Total(u64),
}

/// What to measure.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Who is asked: the clients take them in turn.
    pub members: Vec<Address>,
    /// What the clients do.
    pub workload: Workload,
    /// How many there are.
    pub clients: usize,
    /// Requests a second, however long they take; none for one after the other on each client.
    pub rate: Option<f64>,
    /// When it ends.
    pub limit: Limit,
    /// The size of a value in bytes.
    pub value_size: usize,
    /// How many keys there are.
    pub keys: u64,
    /// The directory they are in, removed afterwards.
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

    /// Whether the keys must be there before it begins.
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
        .about("Measure how fast the cluster answers")
        .after_help(
            "Example: etcdctl -C http://10.0.0.1:4001 bench --workload put --clients 64 --duration 10",
        )
        .args([
            Arg::new("workload")
                .long("workload")
                .value_parser(Workload::ALL.map(Workload::name))
                .default_value("put")
                .help("What the clients do"),
            number("clients", CLIENTS_MAX)
                .value_name("N")
                .default_value("1")
                .help("How many ask at the same time, each on its own connection"),
            Arg::new("rate")
                .long("rate")
                .value_name("R")
                .value_parser(value_parser!(f64))
                .help(
                    "Ask this often a second whatever comes back, and count the time from when it \
                     was due; without it, each client asks again when it was answered",
                ),
            Arg::new("duration")
                .long("duration")
                .value_name("SECONDS")
                .value_parser(value_parser!(f64))
                .conflicts_with("total")
                .help("How long to go on [default: 10]"),
            number("total", u64::MAX)
                .value_name("N")
                .help("How many requests to make instead"),
            number("value-size", VALUE_MAX)
                .value_name("BYTES")
                .default_value("256")
                .help("How long a value is"),
            number("keys", KEYS_MAX)
                .value_name("N")
                .default_value("1000")
                .help("How many keys there are; each request takes one at random"),
        ])
}

impl Plan {
    pub(super) fn read(global: &Global, matches: &ArgMatches) -> Result<Self, Exit> {
        let number = |name: &str| matches.get_one::<u64>(name).copied();
        // What does not fit was refused by the parser's bounds.
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
            "--duration: expected seconds above 0, at most 30 days",
        )),
    }
}

/// A directory no other run uses.
fn directory() -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |age| age.as_nanos());
    format!("/etcdctl-bench-{}-{now:x}", std::process::id())
}
