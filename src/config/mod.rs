//! From flags and environment to a checked [`Config`]: plain data, made once.
//!
//! [`options`] is the table all else comes from. Each source of values is read into a [`Layer`], which
//! says something about any of the options; a layer on top wins over those below; [`Layer::validate`]
//! is the only way to a [`Config`].

pub mod address;
pub mod argv;
pub mod discovery;
pub mod env;
pub mod error;
pub mod file;
pub mod flags;
pub mod help;
pub mod layer;
pub mod nearest;
mod old;
pub mod options;
pub mod print;
pub mod refused;
pub mod service;
mod tls;
mod value;

#[cfg(test)]
mod source_tests;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

pub use address::{Listen, PortAddress};
pub use discovery::DiscoveryUrl;
pub use error::Error;
pub use help::{API_VERSION, VERSION};
pub use layer::{Layer, Source};
pub use options::Key;
pub use service::{Keep, ServiceConfig};
pub use tls::TlsFiles;
pub use value::Problem;

use crate::cluster::{Address, Settings};

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
    pub client: PortAddress,
    /// The peer port.
    pub peer: PortAddress,
    /// The files of the client port's TLS; none for plain HTTP.
    pub client_tls: Option<TlsFiles>,
    /// The files of the peer port's TLS, and of connections to peers; none for plain HTTP.
    pub peer_tls: Option<TlsFiles>,
    /// The token by which to find the cluster; none for no token.
    pub discovery: Option<DiscoveryUrl>,
    /// Peer addresses of a cluster to join, those of the file among them; empty for none.
    pub peers: Vec<Address>,
    /// Whether what the data directory holds may be thrown away.
    pub force: bool,
    /// Whether to go on alone, as a new cluster, with what the data directory holds; never with `force`.
    pub force_new_cluster: bool,
    /// When a service manager is told that this member is ready.
    pub ready: Ready,
    /// How often to try again when no peer answers.
    pub retry_attempts_max: u32,
    /// How long to wait before each.
    pub retry_interval: Duration,
    /// What a cluster is set to that this member founds.
    pub settings: Settings,
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

/// When a service manager is told that a member is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// Once clients are served.
    Serving,
    /// Once clients are served and there is a leader.
    Quorum,
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
    Run {
        /// How.
        config: Box<Config>,
        /// What whoever wrote the options should know, a line each.
        notes: Vec<String>,
    },
    /// For the help.
    Help,
    /// For the version.
    Version,
    /// For this page about the configuration.
    Print {
        /// The page.
        page: String,
        /// What whoever wrote the options should know, a line each.
        notes: Vec<String>,
    },
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
    let file = match (flags.said(Key::Config), variables.said(Key::Config)) {
        (Some((_, path)), _) | (None, Some((_, path))) => match path {
            "" => Layer::default(),
            _ => file::read(path)?,
        },
        (None, None) => file::read_system()?,
    };
    let layer = flags.or(variables).or(file);
    let mut notes = layer.notes();
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    notes.extend(env::unknown(names));
    let layer = layer.or(Layer::defaults());
    let config = layer.validate(env::hostname().as_deref())?;
    if layer.need(Key::PrintConfig, value::truth)? {
        let page = print::print(&layer, &config);
        return Ok(Asked::Print { page, notes });
    }
    Ok(Asked::Run {
        config: Box::new(config),
        notes,
    })
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
        let client_tls = self.tls(Key::CertFile, Key::KeyFile, Key::CaFile)?;
        let peer_tls = self.tls(Key::PeerCertFile, Key::PeerKeyFile, Key::PeerCaFile)?;
        Ok(Config {
            name,
            name_chosen,
            data_dir,
            client: self.endpoint(Key::Addr, Key::BindAddr, client_tls.is_some())?,
            peer: self.endpoint(Key::PeerAddr, Key::PeerBindAddr, peer_tls.is_some())?,
            peers: self.peers(peer_tls.is_some())?,
            client_tls,
            peer_tls,
            discovery: self.get(Key::Discovery, discovery::url)?.flatten(),
            force: self.need(Key::Force, value::truth)?,
            force_new_cluster: self.new_cluster()?,
            ready: self.need(Key::Ready, value::ready)?,
            retry_attempts_max: self.need(Key::MaxRetryAttempts, value::attempts)?,
            retry_interval: self.need(Key::RetryInterval, value::seconds)?,
            settings: Settings::new(
                self.need(Key::ClusterActiveSize, value::positive)?,
                self.need(Key::ClusterRemoveDelay, value::seconds)?,
                self.need(Key::ClusterSyncInterval, value::seconds)?,
            ),
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

    fn endpoint(&self, addr: Key, bind_addr: Key, tls: bool) -> Result<PortAddress, Error> {
        let advertised = self.need(addr, |text| match Address::parse(text)? {
            address if address.tls && !tls => value::problem(
                "speaks TLS, for which there is no certificate",
                "http, or a certificate and its key too",
            ),
            address => Ok(address.with_tls(tls)),
        })?;
        match self.get(bind_addr, |text| {
            PortAddress::new(advertised.clone(), Some(text))
        })? {
            Some(endpoint) => Ok(endpoint),
            None => self.need(addr, |_| PortAddress::new(advertised.clone(), None)),
        }
    }

    /// The peers given, and then those of the file. Without a scheme they mean what this member speaks.
    fn peers(&self, tls: bool) -> Result<Vec<Address>, Error> {
        let given = self.get(Key::Peers, value::addresses)?;
        let filed = self.get(Key::PeersFile, value::addresses_in)?;
        let peers = given.into_iter().chain(filed);
        let spoken = |peer: Address| {
            let tls = tls || peer.tls;
            peer.with_tls(tls)
        };
        Ok(peers.flatten().map(spoken).collect())
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

    /// `-force` throws away what `-force-new-cluster` keeps.
    fn new_cluster(&self) -> Result<bool, Error> {
        let force = self.need(Key::Force, value::truth)?;
        self.need(Key::ForceNewCluster, |text| {
            if value::truth(text)? && force {
                return value::problem("keeps what -force throws away", "one of the two");
            }
            value::truth(text)
        })
    }

    fn verbosity(&self) -> Result<Verbosity, Error> {
        let verbose = self.need(Key::Verbose, value::truth)?;
        let very = self.need(Key::VeryVerbose, value::truth)?
            || self.need(Key::VeryVeryVerbose, value::truth)?;
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
