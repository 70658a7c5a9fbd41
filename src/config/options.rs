//! The tables of options of `etcd` and `etcd-discovery`. Flags, variables, configuration keys, defaults, the
//! help, the man pages and the table of options in the documentation are derived from them.

pub use super::option::{FileKey, Form, Key, Kind, Opt, Section};
use super::option::{switch, value};

impl Key {
    /// The row of this option.
    pub fn option(self) -> &'static Opt {
        let mut rows = OPTIONS.iter().chain(DISCOVERY_OPTIONS);
        // A test checks that every key has a row.
        rows.find(|option| option.key == self)
            .unwrap_or(&OPTIONS[0])
    }
}

/// The options of `etcd`, in the order of [`Key`].
#[rustfmt::skip]
pub static OPTIONS: &[Opt] = &[
    value(Key::Name, &["name"], &["ETCD_NAME"], "NAME", None, Section::Member,
        "Name of this member, unique in the cluster (default: the host name)."),
    value(Key::DataDir, &["data-dir"], &["ETCD_DATA_DIR"], "DIR", None, Section::Member,
        "Path of the data directory (default: ./NAME.etcd)."),
    value(Key::Config, &["config"], &["ETCD_CONFIG"], "FILE", None, Section::Member,
        "Path of the configuration file (default: /etc/etcd/etcd.conf, if it exists)."),
    value(Key::Ready, &["ready"], &["ETCD_READY"], "WHEN", Some("serving"), Section::Member,
        "When to report readiness to systemd: serving (clients are served) or quorum (clients are served and \
         there is a leader)."),
    value(Key::Addr, &["addr"], &["ETCD_ADDR"], "HOST:PORT", Some("127.0.0.1:4001"), Section::Client,
        "Address advertised to clients."),
    value(Key::BindAddr, &["bind-addr"], &["ETCD_BIND_ADDR"], "HOST[:PORT]", None, Section::Client,
        "Listen address for clients (default: all interfaces at the port of -addr, or loopback if -addr is \
         loopback)."),
    value(Key::Cors, &["cors"], &["ETCD_CORS", "ETCD_CORS_ORIGINS"], "ORIGIN,...", None, Section::Client,
        "Allowed CORS origins, comma-separated; * allows any."),
    value(Key::HttpReadTimeout, &["http-read-timeout"], &["ETCD_HTTP_READ_TIMEOUT"], "SECONDS", Some("300"), Section::Client,
        "Timeout for reading a request, in seconds (0 = none). Does not apply to watches."),
    value(Key::HttpWriteTimeout, &["http-write-timeout"], &["ETCD_HTTP_WRITE_TIMEOUT"], "SECONDS", Some("300"), Section::Client,
        "Timeout for writing to a client that does not read its response, in seconds (0 = none). Does not apply \
         to watches."),
    value(Key::CertFile, &["cert-file"], &["ETCD_CERT_FILE"], "FILE", None, Section::Client,
        "Server certificate of the client port, followed by its chain (PEM). Enables TLS."),
    value(Key::KeyFile, &["key-file"], &["ETCD_KEY_FILE"], "FILE", None, Section::Client,
        "Private key of -cert-file (PEM, not encrypted)."),
    value(Key::CaFile, &["ca-file"], &["ETCD_CA_FILE"], "FILE", None, Section::Client,
        "CA certificate for verifying clients (PEM). Clients without a certificate are rejected."),
    value(Key::PeerAddr, &["peer-addr"], &["ETCD_PEER_ADDR"], "HOST:PORT", Some("127.0.0.1:7001"), Section::Peer,
        "Address advertised to peers."),
    value(Key::PeerBindAddr, &["peer-bind-addr"], &["ETCD_PEER_BIND_ADDR"], "HOST[:PORT]", None, Section::Peer,
        "Listen address for peers (default: all interfaces at the port of -peer-addr, or loopback if -peer-addr \
         is loopback)."),
    value(Key::PeerHeartbeatInterval, &["peer-heartbeat-interval"], &["ETCD_PEER_HEARTBEAT_INTERVAL"], "MILLISECONDS", Some("100"), Section::Peer,
        "Time between two heartbeats of the leader, in milliseconds."),
    value(Key::PeerElectionTimeout, &["peer-election-timeout"], &["ETCD_PEER_ELECTION_TIMEOUT"], "MILLISECONDS", Some("400"), Section::Peer,
        "Time without a heartbeat before a follower starts an election, in milliseconds; at least twice \
         -peer-heartbeat-interval."),
    value(Key::PeerCertFile, &["peer-cert-file"], &["ETCD_PEER_CERT_FILE"], "FILE", None, Section::Peer,
        "Peer certificate, used as both server and client certificate, followed by its chain (PEM). Enables TLS."),
    value(Key::PeerKeyFile, &["peer-key-file"], &["ETCD_PEER_KEY_FILE"], "FILE", None, Section::Peer,
        "Private key of -peer-cert-file (PEM, not encrypted)."),
    value(Key::PeerCaFile, &["peer-ca-file"], &["ETCD_PEER_CA_FILE"], "FILE", None, Section::Peer,
        "CA certificate for verifying peers (PEM). Peers without a certificate are rejected."),
    value(Key::Discovery, &["discovery"], &["ETCD_DISCOVERY"], "URL", None, Section::Cluster,
        "URL of a discovery token: https://HOST/TOKEN, or a directory of any v2 keys API. The first member to \
         register there founds the cluster."),
    value(Key::Peers, &["peers"], &["ETCD_PEERS"], "HOST:PORT,...", None, Section::Cluster,
        "Peer addresses (-peer-addr) of the cluster to join, comma-separated. Without -peers, -peers-file and \
         -discovery, a new cluster is founded."),
    value(Key::PeersFile, &["peers-file"], &["ETCD_PEERS_FILE"], "FILE", None, Section::Cluster,
        "File with peer addresses, in addition to -peers, separated by commas or white space."),
    switch(Key::Force, &["force", "f"], &[], Some("false"), Section::Cluster,
        "Join a cluster even if this discards the contents of the data directory."),
    switch(Key::ForceNewCluster, &["force-new-cluster"], &[], Some("false"), Section::Cluster,
        "Found a new cluster with this member only, keeping the contents of the data directory. For recovery \
         after the permanent loss of a majority of members."),
    value(Key::MaxRetryAttempts, &["max-retry-attempts"], &["ETCD_MAX_RETRY_ATTEMPTS"], "COUNT", Some("3"), Section::Cluster,
        "Number of retries if no peer can be reached when joining."),
    value(Key::RetryInterval, &["retry-interval"], &["ETCD_RETRY_INTERVAL"], "SECONDS", Some("3"), Section::Cluster,
        "Time between two attempts to join, in seconds."),
    value(Key::ClusterActiveSize, &["cluster-active-size"], &["ETCD_CLUSTER_ACTIVE_SIZE"], "COUNT", Some("9"), Section::Cluster,
        "Maximum number of members of a new cluster; further hosts become standbys."),
    value(Key::ClusterRemoveDelay, &["cluster-remove-delay"], &["ETCD_CLUSTER_REMOVE_DELAY"], "SECONDS", Some("1800"), Section::Cluster,
        "Time after which an unreachable member of a new cluster is replaced by a standby, in seconds."),
    value(Key::ClusterSyncInterval, &["cluster-sync-interval"], &["ETCD_CLUSTER_SYNC_INTERVAL"], "SECONDS", Some("5"), Section::Cluster,
        "Time between two attempts of a standby of a new cluster to join, in seconds."),
    switch(Key::Snapshot, &["snapshot"], &["ETCD_SNAPSHOT"], Some("true"), Section::Store,
        "Take snapshots of the store and remove the log entries they contain."),
    value(Key::SnapshotCount, &["snapshot-count"], &["ETCD_SNAPSHOT_COUNT", "ETCD_SNAPSHOTCOUNT"], "COUNT", Some("10000"), Section::Store,
        "Number of log entries between two snapshots."),
    value(Key::WatchHistory, &["watch-history"], &["ETCD_WATCH_HISTORY"], "COUNT", Some("100000"), Section::Store,
        "Maximum number of events in the history, for watches that start at an earlier index."),
    value(Key::WatchHistoryBytes, &["watch-history-bytes"], &["ETCD_WATCH_HISTORY_BYTES"], "BYTES", Some("67108864"), Section::Store,
        "Maximum size of the history in memory, in bytes."),
    switch(Key::Verbose, &["v"], &["ETCD_VERBOSE"], Some("false"), Section::Output,
        "Log debug messages."),
    switch(Key::VeryVerbose, &["vv"], &["ETCD_VERY_VERBOSE"], Some("false"), Section::Output,
        "Log all messages, including trace messages."),
    switch(Key::VeryVeryVerbose, &["vvv"], &["ETCD_VERY_VERY_VERBOSE"], Some("false"), Section::Output,
        "Same as -vv."),
    switch(Key::PrintConfig, &["print-config"], &[], Some("false"), Section::Output,
        "Print the configuration as a configuration file, with the source of each value, and exit."),
    switch(Key::Version, &["version"], &[], Some("false"), Section::Output,
        "Print the version and exit."),
    switch(Key::Help, &["h", "help"], &[], Some("false"), Section::Output,
        "Print this help and exit."),
    value(Key::MaxResultBuffer, &["max-result-buffer"], &["ETCD_MAX_RESULT_BUFFER"], "COUNT", None, Section::Ignored,
        "Ignored: queues have fixed limits."),
    value(Key::CpuProfile, &["cpuprofile"], &["ETCD_CPU_PROFILE_FILE"], "FILE", None, Section::Ignored,
        "Ignored: use a system profiler such as perf."),
    value(Key::Trace, &["trace"], &["ETCD_TRACE"], "TEXT", None, Section::Ignored,
        "Ignored: there is no trace page."),
    value(Key::GraphiteHost, &["graphite-host"], &["ETCD_GRAPHITE_HOST"], "HOST:PORT", None, Section::Ignored,
        "Ignored: metrics are not sent to Graphite."),
];

/// The options of `etcd-discovery`.
#[rustfmt::skip]
pub static DISCOVERY_OPTIONS: &[Opt] = &[
    value(Key::Addr, &["addr"], &["ETCD_DISCOVERY_ADDR"], "HOST:PORT", Some("127.0.0.1:8087"), Section::Client,
        "Address advertised to clients."),
    value(Key::BindAddr, &["bind-addr"], &["ETCD_DISCOVERY_BIND_ADDR"], "HOST[:PORT]", None, Section::Client,
        "Listen address (default: all interfaces at the port of -addr, or loopback if -addr is loopback)."),
    value(Key::BaseUrl, &["base-url"], &["ETCD_DISCOVERY_BASE_URL"], "URL", None, Section::Client,
        "Base of the URLs of new tokens (default: the URL of -addr)."),
    value(Key::CertFile, &["cert-file"], &["ETCD_DISCOVERY_CERT_FILE"], "FILE", None, Section::Client,
        "Server certificate, followed by its chain (PEM). Enables TLS."),
    value(Key::KeyFile, &["key-file"], &["ETCD_DISCOVERY_KEY_FILE"], "FILE", None, Section::Client,
        "Private key of -cert-file (PEM, not encrypted)."),
    value(Key::DataDir, &["data-dir"], &["ETCD_DISCOVERY_DATA_DIR"], "DIR", None, Section::Store,
        "Path of the data directory with the tokens (default: ./discovery.etcd)."),
    value(Key::Etcd, &["etcd"], &["ETCD_DISCOVERY_ETCD"], "URL,...", None, Section::Store,
        "Client URLs of an etcd cluster that stores the tokens, below /_etcd/registry, comma-separated. Replaces \
         -data-dir."),
    value(Key::EtcdCaFile, &["etcd-ca-file"], &["ETCD_DISCOVERY_ETCD_CA_FILE"], "FILE", None, Section::Store,
        "CA certificate for verifying the members of -etcd (PEM; default: the CA certificates of the system)."),
    value(Key::EtcdCertFile, &["etcd-cert-file"], &["ETCD_DISCOVERY_ETCD_CERT_FILE"], "FILE", None, Section::Store,
        "Client certificate for the members of -etcd, followed by its chain (PEM)."),
    value(Key::EtcdKeyFile, &["etcd-key-file"], &["ETCD_DISCOVERY_ETCD_KEY_FILE"], "FILE", None, Section::Store,
        "Private key of -etcd-cert-file (PEM, not encrypted)."),
    switch(Key::Verbose, &["v"], &["ETCD_DISCOVERY_VERBOSE"], Some("false"), Section::Output,
        "Log debug messages."),
    switch(Key::VeryVerbose, &["vv"], &["ETCD_DISCOVERY_VERY_VERBOSE"], Some("false"), Section::Output,
        "Log all messages, including trace messages."),
    switch(Key::Version, &["version"], &[], Some("false"), Section::Output,
        "Print the version and exit."),
    switch(Key::Help, &["h", "help"], &[], Some("false"), Section::Output,
        "Print this help and exit."),
];
