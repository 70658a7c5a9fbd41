//! The one table of options. Flags, variables, defaults, the help text and the README all come from it.

use std::fmt;

use super::service;

/// Which option; its place in [`OPTIONS`] is its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// The member's name.
    Name,
    /// Where it keeps everything.
    DataDir,
    /// The configuration file.
    Config,
    /// When a service manager is told that it is ready.
    Ready,
    /// The address clients are told.
    Addr,
    /// The address clients are served on.
    BindAddr,
    /// Origins that browsers may ask from.
    Cors,
    /// How long a request may take to arrive.
    HttpReadTimeout,
    /// How long a client may leave an answer unread.
    HttpWriteTimeout,
    /// The certificate clients are shown.
    CertFile,
    /// Its private key.
    KeyFile,
    /// Who signs the certificates of clients.
    CaFile,
    /// The address peers are told.
    PeerAddr,
    /// The address peers are served on.
    PeerBindAddr,
    /// How often a leader is heard.
    PeerHeartbeatInterval,
    /// How long without a leader until another is elected.
    PeerElectionTimeout,
    /// The certificate peers are shown.
    PeerCertFile,
    /// Its private key.
    PeerKeyFile,
    /// Who signs the certificates of peers.
    PeerCaFile,
    /// Where machines with the same token find each other.
    Discovery,
    /// Members of the cluster to join.
    Peers,
    /// A file that names them.
    PeersFile,
    /// Throw away what stands in the way.
    Force,
    /// Go on alone when the others are lost.
    ForceNewCluster,
    /// How often joining is tried again.
    MaxRetryAttempts,
    /// How long to wait in between.
    RetryInterval,
    /// How many members a new cluster may have.
    ClusterActiveSize,
    /// How long a member may be away.
    ClusterRemoveDelay,
    /// How often a standby looks at the cluster.
    ClusterSyncInterval,
    /// Whether to take snapshots.
    Snapshot,
    /// How many entries lie between them.
    SnapshotCount,
    /// How many events are kept for watchers.
    WatchHistory,
    /// How much memory they may take.
    WatchHistoryBytes,
    /// Say more.
    Verbose,
    /// Say everything.
    VeryVerbose,
    /// Say everything, as 0.4 spelled it.
    VeryVeryVerbose,
    /// Show the configuration.
    PrintConfig,
    /// Print the version.
    Version,
    /// Print the help.
    Help,
    /// 0.4's size of a queue that is no more.
    MaxResultBuffer,
    /// 0.4's profiler.
    CpuProfile,
    /// 0.4's page of raw metrics.
    Trace,
    /// 0.4's metrics sink.
    GraphiteHost,
    /// Of `etcd-discovery`: what the URLs of tokens begin with.
    BaseUrl,
    /// Of `etcd-discovery`: the cluster that keeps the tokens.
    Etcd,
    /// Of `etcd-discovery`: who signs the certificates of that cluster.
    EtcdCaFile,
    /// Of `etcd-discovery`: the certificate that cluster is shown.
    EtcdCertFile,
    /// Of `etcd-discovery`: its private key.
    EtcdKeyFile,
}

/// Under which heading the help shows an option.
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
    /// What is kept, and for how long.
    Store,
    /// What it says.
    Output,
    /// Options of 0.4 that are accepted, and do nothing.
    Ignored,
}

impl Section {
    /// All headings, in the order they are shown.
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
            Self::Member => "This member",
            Self::Client => "Clients",
            Self::Peer => "Peers",
            Self::Cluster => "Joining a cluster",
            Self::Store => "Snapshots and history",
            Self::Output => "Output",
            Self::Ignored => "Of etcd 0.4, accepted without effect",
        }
    }
}

/// How an option is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `-flag`, `-flag=true` or `-flag=false`.
    Switch,
    /// `-flag VALUE` or `-flag=VALUE`; the word stands for the value in the help.
    Value(&'static str),
}

/// What a value is, as a configuration file knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// True or false.
    Truth,
    /// A number, whole or not.
    Number,
    /// Texts in an array, or one text with commas in between.
    List,
    /// A text.
    Text,
}

/// How a configuration file says an option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileKey {
    /// The section's name; none above all sections.
    pub section: Option<&'static str>,
    /// The key in it.
    pub key: String,
}

/// One option: a row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Opt {
    /// Which one it is.
    pub key: Key,
    /// Its flags without dashes: the first is the one shown, the others mean the same.
    pub names: &'static [&'static str],
    /// Its environment variables: the first is the one shown, an earlier one wins.
    pub variables: &'static [&'static str],
    /// How it is written.
    pub form: Form,
    /// The value without which it is not; none where it comes from somewhere else or is left empty.
    pub default: Option<&'static str>,
    /// Where the help shows it.
    pub section: Section,
    /// What it does, in one sentence; says where the default comes from when `default` is none.
    pub help: &'static str,
}

impl Opt {
    /// The flag as people type it.
    pub fn flag(&self) -> String {
        format!("-{}", self.name())
    }

    /// The sections and keys by which a configuration file says it, the first the one shown: a variable's
    /// name without `ETCD_`, in small letters; what follows `ETCD_PEER_` is in `[peer]`, what follows
    /// `ETCD_CLUSTER_` in `[cluster]`, the rest above all sections. None for what a file cannot say.
    pub fn file_keys(&self) -> Vec<FileKey> {
        if self.key == Key::Config {
            return Vec::new();
        }
        self.variables
            .iter()
            .map(|name| FileKey::of(name))
            .collect()
    }

    /// The flag without its dash.
    pub fn name(&self) -> &'static str {
        self.names.first().copied().unwrap_or_default()
    }
}

impl Form {
    /// What the value is.
    pub fn kind(self) -> Kind {
        match self {
            Self::Switch => Kind::Truth,
            Self::Value("COUNT" | "BYTES" | "SECONDS" | "MILLISECONDS") => Kind::Number,
            Self::Value(placeholder) if placeholder.ends_with(",...") => Kind::List,
            Self::Value(_) => Kind::Text,
        }
    }
}

impl FileKey {
    /// Of a variable.
    pub fn of(variable: &str) -> Self {
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

impl Key {
    /// This option's row.
    pub fn option(self) -> &'static Opt {
        let rows = OPTIONS.iter().chain(service::OPTIONS);
        let mut own = rows.filter(|option| option.key == self);
        // Each has its row, as a test makes sure.
        own.next().unwrap_or(&OPTIONS[0])
    }
}

/// Short for the rows below.
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

/// All options, in the order of [`Key`].
#[rustfmt::skip]
pub static OPTIONS: &[Opt] = &[
    value(Key::Name, &["name"], &["ETCD_NAME"], "NAME", None, Section::Member,
        "The name of this member, unlike any other's (default: the host name)."),
    value(Key::DataDir, &["data-dir"], &["ETCD_DATA_DIR"], "DIR", None, Section::Member,
        "The directory for everything it keeps (default: ./NAME.etcd)."),
    value(Key::Config, &["config"], &["ETCD_CONFIG"], "FILE", None, Section::Member,
        "Read options from this file (default: /etc/etcd/etcd.conf, if it is there)."),
    value(Key::Ready, &["ready"], &["ETCD_READY"], "WHEN", Some("serving"), Section::Member,
        "Tell systemd that it is ready once it serves clients (serving), or once there is a leader too (quorum)."),
    value(Key::Addr, &["addr"], &["ETCD_ADDR"], "HOST:PORT", Some("127.0.0.1:4001"), Section::Client,
        "The address clients are told to use."),
    value(Key::BindAddr, &["bind-addr"], &["ETCD_BIND_ADDR"], "HOST[:PORT]", None, Section::Client,
        "The address to listen on for clients (default: every interface at the port of -addr, or only \
         loopback if -addr is loopback)."),
    value(Key::Cors, &["cors"], &["ETCD_CORS", "ETCD_CORS_ORIGINS"], "ORIGIN,...", None, Section::Client,
        "Web pages of these origins may ask; * for all."),
    value(Key::HttpReadTimeout, &["http-read-timeout"], &["ETCD_HTTP_READ_TIMEOUT"], "SECONDS", Some("300"), Section::Client,
        "A request that takes longer to arrive is dropped; 0 for no limit. Ends no watch."),
    value(Key::HttpWriteTimeout, &["http-write-timeout"], &["ETCD_HTTP_WRITE_TIMEOUT"], "SECONDS", Some("300"), Section::Client,
        "A client that reads none of its answer for longer is dropped; 0 for no limit. Ends no watch."),
    value(Key::CertFile, &["cert-file"], &["ETCD_CERT_FILE"], "FILE", None, Section::Client,
        "Serve clients by TLS, with this certificate (PEM, followed by its chain)."),
    value(Key::KeyFile, &["key-file"], &["ETCD_KEY_FILE"], "FILE", None, Section::Client,
        "The private key of that certificate (PEM, not encrypted)."),
    value(Key::CaFile, &["ca-file"], &["ETCD_CA_FILE"], "FILE", None, Section::Client,
        "Serve only clients with a certificate that these authorities signed (PEM)."),
    value(Key::PeerAddr, &["peer-addr"], &["ETCD_PEER_ADDR"], "HOST:PORT", Some("127.0.0.1:7001"), Section::Peer,
        "The address peers are told to use."),
    value(Key::PeerBindAddr, &["peer-bind-addr"], &["ETCD_PEER_BIND_ADDR"], "HOST[:PORT]", None, Section::Peer,
        "The address to listen on for peers (default: every interface at the port of -peer-addr, or only \
         loopback if -peer-addr is loopback)."),
    value(Key::PeerHeartbeatInterval, &["peer-heartbeat-interval"], &["ETCD_PEER_HEARTBEAT_INTERVAL"], "MILLISECONDS", Some("100"), Section::Peer,
        "How often the leader lets the others know that it lives."),
    value(Key::PeerElectionTimeout, &["peer-election-timeout"], &["ETCD_PEER_ELECTION_TIMEOUT"], "MILLISECONDS", Some("400"), Section::Peer,
        "Without word from a leader for this long, another is elected; at least twice the heartbeat."),
    value(Key::PeerCertFile, &["peer-cert-file"], &["ETCD_PEER_CERT_FILE"], "FILE", None, Section::Peer,
        "Talk to peers by TLS, with this certificate; it is shown to those who call and to those called."),
    value(Key::PeerKeyFile, &["peer-key-file"], &["ETCD_PEER_KEY_FILE"], "FILE", None, Section::Peer,
        "The private key of that certificate."),
    value(Key::PeerCaFile, &["peer-ca-file"], &["ETCD_PEER_CA_FILE"], "FILE", None, Section::Peer,
        "Talk only to peers with a certificate that these authorities signed."),
    value(Key::Discovery, &["discovery"], &["ETCD_DISCOVERY"], "URL", None, Section::Cluster,
        "Find the cluster of this token, https://HOST/TOKEN or the URL of a directory of any v2 keys API; the \
         first machine there founds it."),
    value(Key::Peers, &["peers"], &["ETCD_PEERS"], "HOST:PORT,...", None, Section::Cluster,
        "Join the cluster of these members, by their -peer-addr; with neither this nor -discovery, be the first \
         of a new one."),
    value(Key::PeersFile, &["peers-file"], &["ETCD_PEERS_FILE"], "FILE", None, Section::Cluster,
        "A file with more of them, with commas, spaces or lines in between."),
    switch(Key::Force, &["force", "f"], &[], Some("false"), Section::Cluster,
        "Join even if that throws away what the data directory holds."),
    switch(Key::ForceNewCluster, &["force-new-cluster"], &[], Some("false"), Section::Cluster,
        "Go on alone with what the data directory holds, as a new cluster: for one member of a cluster \
         that lost most of its members for good."),
    value(Key::MaxRetryAttempts, &["max-retry-attempts"], &["ETCD_MAX_RETRY_ATTEMPTS"], "COUNT", Some("3"), Section::Cluster,
        "If no peer answers, try again this many times."),
    value(Key::RetryInterval, &["retry-interval"], &["ETCD_RETRY_INTERVAL"], "SECONDS", Some("3"), Section::Cluster,
        "Wait this long before each."),
    value(Key::ClusterActiveSize, &["cluster-active-size"], &["ETCD_CLUSTER_ACTIVE_SIZE"], "COUNT", Some("9"), Section::Cluster,
        "A new cluster has at most this many members; more machines stand by."),
    value(Key::ClusterRemoveDelay, &["cluster-remove-delay"], &["ETCD_CLUSTER_REMOVE_DELAY"], "SECONDS", Some("1800"), Section::Cluster,
        "In a new cluster, a member that is away for longer loses its place to a standby."),
    value(Key::ClusterSyncInterval, &["cluster-sync-interval"], &["ETCD_CLUSTER_SYNC_INTERVAL"], "SECONDS", Some("5"), Section::Cluster,
        "In a new cluster, a standby looks this often whether a place is free."),
    switch(Key::Snapshot, &["snapshot"], &["ETCD_SNAPSHOT"], Some("true"), Section::Store,
        "Replace old log entries by snapshots of the store."),
    value(Key::SnapshotCount, &["snapshot-count"], &["ETCD_SNAPSHOT_COUNT", "ETCD_SNAPSHOTCOUNT"], "COUNT", Some("10000"), Section::Store,
        "Take a snapshot after this many changes."),
    value(Key::WatchHistory, &["watch-history"], &["ETCD_WATCH_HISTORY"], "COUNT", Some("100000"), Section::Store,
        "Keep this many events for those who watch from an earlier index."),
    value(Key::WatchHistoryBytes, &["watch-history-bytes"], &["ETCD_WATCH_HISTORY_BYTES"], "BYTES", Some("67108864"), Section::Store,
        "Keep fewer if they would take more memory than this."),
    switch(Key::Verbose, &["v"], &["ETCD_VERBOSE"], Some("false"), Section::Output,
        "Say more about what it does."),
    switch(Key::VeryVerbose, &["vv"], &["ETCD_VERY_VERBOSE"], Some("false"), Section::Output,
        "Say everything."),
    switch(Key::VeryVeryVerbose, &["vvv"], &["ETCD_VERY_VERY_VERBOSE"], Some("false"), Section::Output,
        "The same as -vv."),
    switch(Key::PrintConfig, &["print-config"], &[], Some("false"), Section::Output,
        "Print each option's value and where it comes from, as a configuration file."),
    switch(Key::Version, &["version"], &[], Some("false"), Section::Output,
        "Print the version."),
    switch(Key::Help, &["h", "help"], &[], Some("false"), Section::Output,
        "Print this."),
    value(Key::MaxResultBuffer, &["max-result-buffer"], &["ETCD_MAX_RESULT_BUFFER"], "COUNT", None, Section::Ignored,
        "Every queue has a bound of its own."),
    value(Key::CpuProfile, &["cpuprofile"], &["ETCD_CPU_PROFILE_FILE"], "FILE", None, Section::Ignored,
        "Any profiler of the system will do."),
    value(Key::Trace, &["trace"], &["ETCD_TRACE"], "TEXT", None, Section::Ignored,
        "There is no page to turn on."),
    value(Key::GraphiteHost, &["graphite-host"], &["ETCD_GRAPHITE_HOST"], "HOST:PORT", None, Section::Ignored,
        "Metrics are asked for, not sent."),
];
