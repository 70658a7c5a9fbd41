//! Spellings from before 0.4 that 0.4.6 still took: they work, and a line says what to write instead.

/// (Flag as it was, flag as it is), without dashes.
pub(super) const FLAGS: &[(&str, &str)] = &[
    ("C", "peers"),
    ("CF", "peers-file"),
    ("n", "name"),
    ("c", "addr"),
    ("cl", "bind-addr"),
    ("s", "peer-addr"),
    ("sl", "peer-bind-addr"),
    ("d", "data-dir"),
    ("m", "max-result-buffer"),
    ("r", "max-retry-attempts"),
    ("maxsize", "cluster-active-size"),
    ("max-cluster-size", "cluster-active-size"),
    ("snapshotCount", "snapshot-count"),
    ("peer-heartbeat-timeout", "peer-heartbeat-interval"),
];

/// (Variable as it was, or as 0.4's documents misspelled it, variable as it is). A file's keys follow
/// from these as they do from the current ones.
pub(super) const VARIABLES: &[(&str, &str)] = &[
    ("ETCD_MAX_CLUSTER_SIZE", "ETCD_CLUSTER_ACTIVE_SIZE"),
    (
        "ETCD_PEER_HEARTBEAT_TIMEOUT",
        "ETCD_PEER_HEARTBEAT_INTERVAL",
    ),
    ("ETCD_CLUSTER_HTTP_READ_TIMEOUT", "ETCD_HTTP_READ_TIMEOUT"),
    ("ETCD_CLUSTER_HTTP_WRITE_TIMEOUT", "ETCD_HTTP_WRITE_TIMEOUT"),
];

/// What to write instead.
pub(super) fn note(old: &str, current: &str) -> String {
    format!("{old} is an old spelling; write {current} instead")
}
