//! The validated configuration of a member.

use std::path::PathBuf;
use std::time::Duration;

use super::address::PortAddress;
use super::discovery::{self, DiscoveryUrl};
use super::error::Error;
use super::merged::Merged;
use super::options::Key;
use super::tls::TlsFiles;
use super::value::{self, Ready, invalid};
use crate::cluster::{Address, Settings};

/// The configuration of a member, validated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The member's name: no `/`, no control characters, never empty.
    pub name: String,
    /// Whether the name was configured. If not it is the host name, and the name recorded in the data
    /// directory overrides it.
    pub name_chosen: bool,
    /// The data directory, as given.
    pub data_dir: PathBuf,
    /// The client port.
    pub client: PortAddress,
    /// The peer port.
    pub peer: PortAddress,
    /// TLS files of the client port; none for plain HTTP.
    pub client_tls: Option<TlsFiles>,
    /// TLS files of the peer port and of connections to peers; none for plain HTTP.
    pub peer_tls: Option<TlsFiles>,
    /// The discovery token of the cluster; none without discovery.
    pub discovery: Option<DiscoveryUrl>,
    /// Peer addresses of the cluster to join, including those of the peers file; empty to found one.
    pub peers: Vec<Address>,
    /// Whether the contents of the data directory may be discarded to join a cluster.
    pub force: bool,
    /// Whether to found a new cluster with the contents of the data directory; never with `force`.
    pub force_new_cluster: bool,
    /// When readiness is reported to the service manager.
    pub ready: Ready,
    /// Number of retries if no peer can be reached.
    pub retry_attempts_max: u32,
    /// Time between two attempts.
    pub retry_interval: Duration,
    /// The settings of a cluster that this member founds.
    pub settings: Settings,
    /// Time between two heartbeats of the leader.
    pub heartbeat_interval: Duration,
    /// Time without a heartbeat before an election; at least two heartbeats.
    pub election_timeout: Duration,
    /// Entries between two snapshots, above zero; none without snapshots.
    pub snapshot_count: Option<u64>,
    /// Allowed CORS origins; `*` allows any.
    pub cors: Vec<String>,
    /// Maximum number of events in the history, above zero.
    pub watch_history: usize,
    /// Maximum size of the history in bytes, above zero.
    pub watch_history_bytes: usize,
    /// Timeout for reading a request; none for no limit.
    pub http_read_timeout: Option<Duration>,
    /// Timeout for writing a response; none for no limit.
    pub http_write_timeout: Option<Duration>,
    /// The lowest level that is logged.
    pub verbosity: Verbosity,
}

/// The lowest level that is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verbosity {
    /// Errors, warnings and information.
    Normal,
    /// Debug messages too (`-v`).
    Verbose,
    /// Trace messages too (`-vv`).
    VeryVerbose,
}

impl Merged {
    /// Validate every value. `hostname` is the default of the name.
    ///
    /// # Errors
    ///
    /// - [`Error::Invalid`]: the first value that cannot be parsed, is out of range, or conflicts with another.
    /// - [`Error::NameMissing`]: no name is configured and there is no usable host name.
    pub fn validate(&self, hostname: Option<&str>) -> Result<Config, Error> {
        let configured = self.get(Key::Name, value::parse_name)?;
        let name_chosen = configured.is_some();
        let name = match configured {
            Some(name) => name,
            None => hostname
                .and_then(|name| value::parse_name(name).ok())
                .ok_or(Error::NameMissing)?,
        };
        let data_dir = self
            .get(Key::DataDir, value::parse_path)?
            .unwrap_or_else(|| PathBuf::from(format!("{name}.etcd")));
        let (heartbeat_interval, election_timeout) = self.timing()?;
        let snapshot_count = self.require(Key::SnapshotCount, value::parse_positive)?;
        let client_tls = self.tls(Key::CertFile, Key::KeyFile, Key::CaFile)?;
        let peer_tls = self.tls(Key::PeerCertFile, Key::PeerKeyFile, Key::PeerCaFile)?;
        Ok(Config {
            name,
            name_chosen,
            data_dir,
            client: self.port_address(Key::Addr, Key::BindAddr, client_tls.is_some())?,
            peer: self.port_address(Key::PeerAddr, Key::PeerBindAddr, peer_tls.is_some())?,
            peers: self.peers(peer_tls.is_some())?,
            client_tls,
            peer_tls,
            discovery: self.get(Key::Discovery, discovery::parse_url)?.flatten(),
            force: self.require(Key::Force, value::parse_bool)?,
            force_new_cluster: self.force_new_cluster()?,
            ready: self.require(Key::Ready, value::parse_ready)?,
            retry_attempts_max: self.require(Key::MaxRetryAttempts, value::parse_attempts)?,
            retry_interval: self.require(Key::RetryInterval, value::parse_seconds)?,
            settings: Settings::new(
                self.require(Key::ClusterActiveSize, value::parse_positive)?,
                self.require(Key::ClusterRemoveDelay, value::parse_seconds)?,
                self.require(Key::ClusterSyncInterval, value::parse_seconds)?,
            ),
            heartbeat_interval,
            election_timeout,
            snapshot_count: self
                .require(Key::Snapshot, value::parse_bool)?
                .then_some(snapshot_count),
            cors: self
                .get(Key::Cors, value::parse_origins)?
                .unwrap_or_default(),
            watch_history: self.require(Key::WatchHistory, value::parse_size)?,
            watch_history_bytes: self.require(Key::WatchHistoryBytes, value::parse_size)?,
            http_read_timeout: self.require(Key::HttpReadTimeout, value::parse_timeout)?,
            http_write_timeout: self.require(Key::HttpWriteTimeout, value::parse_timeout)?,
            verbosity: self.verbosity()?,
        })
    }

    pub(super) fn port_address(
        &self,
        addr: Key,
        bind_addr: Key,
        tls: bool,
    ) -> Result<PortAddress, Error> {
        let advertised = self.require(addr, |text| match Address::parse(text)? {
            address if address.tls && !tls => invalid(
                "uses https, but no certificate is configured",
                "http, or a certificate and its key",
            ),
            address => Ok(address.with_tls(tls)),
        })?;
        match self.get(bind_addr, |text| {
            PortAddress::new(advertised.clone(), Some(text))
        })? {
            Some(endpoint) => Ok(endpoint),
            None => self.require(addr, |_| PortAddress::new(advertised.clone(), None)),
        }
    }

    /// The addresses of `-peers`, then those of `-peers-file`. An address without a scheme uses TLS if this
    /// member does.
    fn peers(&self, tls: bool) -> Result<Vec<Address>, Error> {
        let listed = self.get(Key::Peers, value::parse_addresses)?;
        let in_file = self.get(Key::PeersFile, value::read_addresses)?;
        let peers = listed.into_iter().chain(in_file);
        let with_scheme = |peer: Address| {
            let tls = tls || peer.tls;
            peer.with_tls(tls)
        };
        Ok(peers.flatten().map(with_scheme).collect())
    }

    fn timing(&self) -> Result<(Duration, Duration), Error> {
        let heartbeat = self.require(Key::PeerHeartbeatInterval, value::parse_milliseconds)?;
        let election = self.require(Key::PeerElectionTimeout, |text| {
            let election = value::parse_milliseconds(text)?;
            if election < heartbeat * 2 {
                let what = format!(
                    "is less than twice the heartbeat interval of {} ms",
                    heartbeat.as_millis()
                );
                return invalid(what, "a longer timeout or a shorter heartbeat interval");
            }
            Ok(election)
        })?;
        Ok((heartbeat, election))
    }

    /// `-force` discards what `-force-new-cluster` keeps.
    fn force_new_cluster(&self) -> Result<bool, Error> {
        let force = self.require(Key::Force, value::parse_bool)?;
        self.require(Key::ForceNewCluster, |text| {
            if value::parse_bool(text)? && force {
                return invalid("cannot be combined with -force", "one of the two");
            }
            value::parse_bool(text)
        })
    }

    pub(super) fn verbosity(&self) -> Result<Verbosity, Error> {
        let verbose = self.require(Key::Verbose, value::parse_bool)?;
        let very = self.require(Key::VeryVerbose, value::parse_bool)?
            || self.require(Key::VeryVeryVerbose, value::parse_bool)?;
        Ok(match (very, verbose) {
            (true, _) => Verbosity::VeryVerbose,
            (false, true) => Verbosity::Verbose,
            (false, false) => Verbosity::Normal,
        })
    }
}
