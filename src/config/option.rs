//! An option: its key, its flag and variables, its form and its help.

use std::fmt;

/// Which option. The number of a key of `etcd` is the index of its row in [`super::options::OPTIONS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// The member's name.
    Name,
    /// The data directory.
    DataDir,
    /// The configuration file.
    Config,
    /// When readiness is reported to the service manager.
    Ready,
    /// The advertised client address.
    Addr,
    /// The listen address for clients.
    BindAddr,
    /// Allowed CORS origins.
    Cors,
    /// Timeout for reading a request.
    HttpReadTimeout,
    /// Timeout for writing a response.
    HttpWriteTimeout,
    /// Server certificate of the client port.
    CertFile,
    /// Its private key.
    KeyFile,
    /// CA certificate for verifying clients.
    CaFile,
    /// The advertised peer address.
    PeerAddr,
    /// The listen address for peers.
    PeerBindAddr,
    /// Time between heartbeats of the leader.
    PeerHeartbeatInterval,
    /// Time without a heartbeat before an election.
    PeerElectionTimeout,
    /// Peer certificate.
    PeerCertFile,
    /// Its private key.
    PeerKeyFile,
    /// CA certificate for verifying peers.
    PeerCaFile,
    /// The URL of a discovery token.
    Discovery,
    /// Peer addresses of the cluster to join.
    Peers,
    /// A file with peer addresses.
    PeersFile,
    /// Whether the data directory may be discarded to join.
    Force,
    /// Whether to found a new cluster from the data directory.
    ForceNewCluster,
    /// Number of retries when joining.
    MaxRetryAttempts,
    /// Time between two of them.
    RetryInterval,
    /// Maximum number of members of a new cluster.
    ClusterActiveSize,
    /// Time after which an unreachable member is removed.
    ClusterRemoveDelay,
    /// Time between two attempts of a standby to join.
    ClusterSyncInterval,
    /// Whether to take snapshots.
    Snapshot,
    /// Number of entries between two snapshots.
    SnapshotCount,
    /// Maximum number of events in the history.
    WatchHistory,
    /// Maximum size of the history.
    WatchHistoryBytes,
    /// Debug messages.
    Verbose,
    /// All messages.
    VeryVerbose,
    /// All messages, as 0.4 spelled it.
    VeryVeryVerbose,
    /// Print the configuration.
    PrintConfig,
    /// Print the version.
    Version,
    /// Print the help.
    Help,
    /// The size of a queue of 0.4 that does not exist here.
    MaxResultBuffer,
    /// 0.4's profiler.
    CpuProfile,
    /// 0.4's page of raw metrics.
    Trace,
    /// 0.4's metrics sink.
    GraphiteHost,
    /// Of `etcd-discovery`: the base of token URLs.
    BaseUrl,
    /// Of `etcd-discovery`: the cluster that stores the tokens.
    Etcd,
    /// Of `etcd-discovery`: CA certificate for verifying that cluster.
    EtcdCaFile,
    /// Of `etcd-discovery`: client certificate for that cluster.
    EtcdCertFile,
    /// Of `etcd-discovery`: its private key.
    EtcdKeyFile,
}

/// The heading under which the help shows an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// This member.
    Member,
    /// The client port.
    Client,
    /// The peer port.
    Peer,
    /// Joining others.
    Cluster,
    /// Snapshots and the event history; for `etcd-discovery`, where tokens are stored.
    Store,
    /// Logging and printing.
    Output,
    /// Options of 0.4 that are accepted and have no effect.
    Ignored,
}

impl Section {
    /// All sections, in the order of the help.
    pub const ALL: [Self; 7] = [
        Self::Member,
        Self::Client,
        Self::Peer,
        Self::Cluster,
        Self::Store,
        Self::Output,
        Self::Ignored,
    ];

    /// The heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Member => "Member",
            Self::Client => "Clients",
            Self::Peer => "Peers",
            Self::Cluster => "Cluster",
            Self::Store => "Snapshots and history",
            Self::Output => "Output",
            Self::Ignored => "Accepted for compatibility with etcd 0.4, without effect",
        }
    }
}

/// The form of an option on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `-flag`, `-flag=true` or `-flag=false`.
    Switch,
    /// `-flag VALUE` or `-flag=VALUE`, with the placeholder that the help shows for the value.
    Value(&'static str),
}

/// The type of a value in a configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A boolean.
    Bool,
    /// An integer or a float.
    Number,
    /// An array of strings, or one comma-separated string.
    List,
    /// A string.
    Text,
}

/// The key of an option in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileKey {
    /// The name of the section; none for a top-level key.
    pub section: Option<&'static str>,
    /// The key in the section.
    pub key: String,
}

/// One option: a row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Opt {
    /// Which one it is.
    pub key: Key,
    /// Its flags, without dashes: the first is the one shown, the others are aliases.
    pub names: &'static [&'static str],
    /// Its environment variables: the first is the one shown, and an earlier one overrides a later one.
    pub variables: &'static [&'static str],
    /// Its form on the command line.
    pub form: Form,
    /// Its default; none if the default is derived at run time, or the option is not set by default.
    pub default: Option<&'static str>,
    /// The section of the help.
    pub section: Section,
    /// What it sets, its unit, and its default if that is derived; one or two sentences.
    pub help: &'static str,
}

impl Opt {
    /// The flag, with its dash.
    pub fn flag(&self) -> String {
        format!("-{}", self.name())
    }

    /// Its keys in a configuration file, the first the one shown: the name of each variable in lower case
    /// without `ETCD_`. What follows `ETCD_PEER_` is in `[peer]`, what follows `ETCD_CLUSTER_` is in
    /// `[cluster]`, and the rest is at the top level. Empty if a file cannot set it.
    pub fn file_keys(&self) -> Vec<FileKey> {
        if self.key == Key::Config {
            return Vec::new();
        }
        self.variables
            .iter()
            .map(|name| FileKey::from_variable(name))
            .collect()
    }

    /// The flag, without its dash.
    pub fn name(&self) -> &'static str {
        self.names.first().copied().unwrap_or_default()
    }
}

impl Form {
    /// The type of the value.
    pub fn kind(self) -> Kind {
        match self {
            Self::Switch => Kind::Bool,
            Self::Value("COUNT" | "BYTES" | "SECONDS" | "MILLISECONDS") => Kind::Number,
            Self::Value(placeholder) if placeholder.ends_with(",...") => Kind::List,
            Self::Value(_) => Kind::Text,
        }
    }
}

impl FileKey {
    /// The key that corresponds to a variable.
    pub fn from_variable(variable: &str) -> Self {
        let name = variable.strip_prefix("ETCD_").unwrap_or(variable);
        let (section, key) = if let Some(rest) = name.strip_prefix("PEER_") {
            (Some("peer"), rest)
        } else if let Some(rest) = name.strip_prefix("CLUSTER_") {
            (Some("cluster"), rest)
        } else {
            (None, name)
        };
        Self {
            section,
            key: key.to_ascii_lowercase(),
        }
    }
}

impl fmt::Display for FileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.section {
            None => f.write_str(&self.key),
            Some(section) => write!(f, "[{section}] {}", self.key),
        }
    }
}

/// A row for an option with a value.
pub(super) const fn value(
    key: Key,
    names: &'static [&'static str],
    variables: &'static [&'static str],
    placeholder: &'static str,
    default: Option<&'static str>,
    section: Section,
    help: &'static str,
) -> Opt {
    Opt {
        key,
        names,
        variables,
        form: Form::Value(placeholder),
        default,
        section,
        help,
    }
}

/// A row for a switch.
pub(super) const fn switch(
    key: Key,
    names: &'static [&'static str],
    variables: &'static [&'static str],
    default: Option<&'static str>,
    section: Section,
    help: &'static str,
) -> Opt {
    Opt {
        key,
        names,
        variables,
        form: Form::Switch,
        default,
        section,
        help,
    }
}
