//! Deprecated spellings from before 0.4 that 0.4.6 accepted. They work, with a warning that names the current
//! spelling.

/// (Deprecated flag, current flag), without dashes.
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
    ("clientCAFile", "ca-file"),
    ("clientCert", "cert-file"),
    ("clientKey", "key-file"),
    ("serverCAFile", "peer-ca-file"),
    ("serverCert", "peer-cert-file"),
    ("serverKey", "peer-key-file"),
    ("snapshotCount", "snapshot-count"),
    ("peer-heartbeat-timeout", "peer-heartbeat-interval"),
];

/// (Deprecated variable, or one misspelled in the documentation of 0.4; current variable). The keys of a
/// configuration file are derived from both.
pub(super) const VARIABLES: &[(&str, &str)] = &[
    ("ETCD_MAX_CLUSTER_SIZE", "ETCD_CLUSTER_ACTIVE_SIZE"),
    (
        "ETCD_PEER_HEARTBEAT_TIMEOUT",
        "ETCD_PEER_HEARTBEAT_INTERVAL",
    ),
    ("ETCD_CLUSTER_HTTP_READ_TIMEOUT", "ETCD_HTTP_READ_TIMEOUT"),
    ("ETCD_CLUSTER_HTTP_WRITE_TIMEOUT", "ETCD_HTTP_WRITE_TIMEOUT"),
];

/// The warning about a deprecated spelling.
pub(super) fn note(old: &str, current: &str) -> String {
    format!("{old} is deprecated; use {current} instead")
}
