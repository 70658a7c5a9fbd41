//! From flags and environment to a checked [`Config`]: plain data, made once.
//!
//! [`options`] is the table all else comes from. Each source of values is read into a [`Layer`], which
//! says something about any of the options; a layer on top wins over those below; [`Layer::validate`]
//! is the only way to a [`Config`].

pub mod address;
pub mod env;
pub mod error;
pub mod flags;
pub mod help;
pub mod layer;
pub mod nearest;
pub mod options;
mod value;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

pub use address::{Address, Endpoint, Listen};
pub use error::Error;
pub use help::{API_VERSION, VERSION};
pub use layer::{Layer, Source};
pub use options::Key;
pub use value::Problem;

/// Everything a member is told at its start, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The member's name: no `/`, no control characters, never empty.
    pub name: String,
    /// Whether someone chose the name. If not it is the host's, and a data directory that already
    /// knows its member's name is right.
    pub name_chosen: bool,
    /// The data directory, as it was given.
    pub data_dir: PathBuf,
    /// The client port.
    pub client: Endpoint,
    /// The peer port.
    pub peer: Endpoint,
    /// Peer addresses of a cluster to join; empty for none.
    pub peers: Vec<Address>,
    /// Whether what the data directory holds may be thrown away.
    pub force: bool,
    /// How often to try again when no peer answers.
    pub retry_attempts_max: u32,
    /// How long to wait before each.
    pub retry_interval: Duration,
    /// How often the leader sends heartbeats.
    pub heartbeat_interval: Duration,
    /// How long to wait for one; at least two heartbeats.
    pub election_timeout: Duration,
    /// Entries between two snapshots, above zero; none for no snapshots.
    pub snapshot_count: Option<u64>,
    /// Origins web pages may come from; `*` among them for all.
    pub cors: Vec<String>,
    /// How many events are kept, above zero.
    pub watch_history: usize,
    /// How many bytes they may take, above zero.
    pub watch_history_bytes: usize,
    /// How long a request may take to arrive; none for no limit.
    pub http_read_timeout: Option<Duration>,
    /// How long a client may leave its answer unread; none for no limit.
    pub http_write_timeout: Option<Duration>,
    /// How much to say.
    pub verbosity: Verbosity,
}

/// How much to say on stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verbosity {
    /// What an operator wants to see.
    Normal,
    /// What it does (`-v`).
    Verbose,
    /// Everything (`-vv`).
    VeryVerbose,
}

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To run like this.
    Run(Box<Config>),
    /// For the help.
    Help,
    /// For the version.
    Version,
}

/// What the program's arguments (without its name) and the environment ask for.
///
/// # Errors
///
/// The first thing that is wrong, naming the flag or variable, the value, and what was expected.
pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Asked, Error> {
    let flags = flags::read(arguments)?;
    if flags.get(Key::Help, value::truth)? == Some(true) {
        return Ok(Asked::Help);
    }
    if flags.get(Key::Version, value::truth)? == Some(true) {
        return Ok(Asked::Version);
    }
    let variables = env::read(|variable| std::env::var_os(variable))?;
    let config = flags
        .or(variables)
        .or(Layer::defaults())
        .validate(env::hostname().as_deref())?;
    Ok(Asked::Run(Box::new(config)))
}

impl Layer {
    /// The configuration this layer describes; `hostname` is the name for a member that was given none.
    ///
    /// # Errors
    ///
    /// The first value that will not do.
    pub fn validate(&self, hostname: Option<&str>) -> Result<Config, Error> {
        let chosen = self.get(Key::Name, value::name)?;
        let name_chosen = chosen.is_some();
        let name = match chosen {
            Some(name) => name,
            None => hostname
                .and_then(|name| value::name(name).ok())
                .ok_or(Error::NameMissing)?,
        };
        let data_dir = self
            .get(Key::DataDir, value::directory)?
            .unwrap_or_else(|| PathBuf::from(format!("{name}.etcd")));
        let (heartbeat_interval, election_timeout) = self.timing()?;
        let snapshot_count = self.need(Key::SnapshotCount, value::positive)?;
        Ok(Config {
            name,
            name_chosen,
            data_dir,
            client: self.endpoint(Key::Addr, Key::BindAddr)?,
            peer: self.endpoint(Key::PeerAddr, Key::PeerBindAddr)?,
            peers: self.get(Key::Peers, value::addresses)?.unwrap_or_default(),
            force: self.need(Key::Force, value::truth)?,
            retry_attempts_max: self.need(Key::MaxRetryAttempts, value::attempts)?,
            retry_interval: self.need(Key::RetryInterval, value::seconds)?,
            heartbeat_interval,
            election_timeout,
            snapshot_count: self
                .need(Key::Snapshot, value::truth)?
                .then_some(snapshot_count),
            cors: self.get(Key::Cors, value::origins)?.unwrap_or_default(),
            watch_history: self.need(Key::WatchHistory, value::size)?,
            watch_history_bytes: self.need(Key::WatchHistoryBytes, value::size)?,
            http_read_timeout: self.need(Key::HttpReadTimeout, value::limit)?,
            http_write_timeout: self.need(Key::HttpWriteTimeout, value::limit)?,
            verbosity: self.verbosity()?,
        })
    }

    fn endpoint(&self, addr: Key, bind_addr: Key) -> Result<Endpoint, Error> {
        let advertised = self.need(addr, Address::parse)?;
        match self.get(bind_addr, |text| {
            Endpoint::new(advertised.clone(), Some(text))
        })? {
            Some(endpoint) => Ok(endpoint),
            None => self.need(addr, |_| Endpoint::new(advertised.clone(), None)),
        }
    }

    fn timing(&self) -> Result<(Duration, Duration), Error> {
        let heartbeat = self.need(Key::PeerHeartbeatInterval, value::milliseconds)?;
        let election = self.need(Key::PeerElectionTimeout, |text| {
            let election = value::milliseconds(text)?;
            if election < heartbeat * 2 {
                let what = format!(
                    "is less than two heartbeats of {} ms",
                    heartbeat.as_millis()
                );
                return value::problem(what, "a longer timeout or a shorter heartbeat");
            }
            Ok(election)
        })?;
        Ok((heartbeat, election))
    }

    fn verbosity(&self) -> Result<Verbosity, Error> {
        let verbose = self.need(Key::Verbose, value::truth)?;
        let very = self.need(Key::VeryVerbose, value::truth)?;
        Ok(match (very, verbose) {
            (true, _) => Verbosity::VeryVerbose,
            (false, true) => Verbosity::Verbose,
            (false, false) => Verbosity::Normal,
        })
    }

    /// What is said about an option that has a default.
    fn need<T>(
        &self,
        key: Key,
        parse: impl Fn(&str) -> Result<T, value::Problem>,
    ) -> Result<T, Error> {
        match self.get(key, &parse)? {
            Some(value) => Ok(value),
            // The layer was put on no defaults: the table's is as good.
            None => Layer::defaults().get(key, parse)?.ok_or(Error::Invalid {
                source: Source::Default(key),
                value: String::new(),
                problem: String::from("is missing"),
                expected: "a value",
            }),
        }
    }
}
