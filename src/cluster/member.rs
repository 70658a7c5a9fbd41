//! One machine of the cluster.

use super::MemberId;

/// A machine of the cluster, as the membership entries of the log describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its identity for Raft.
    pub id: MemberId,
    /// What people see; the last part of `/_etcd/machines/NAME`.
    pub name: String,
    /// Where its client API is, such as `http://10.0.0.1:4001`.
    pub client_url: String,
    /// Where its peers reach it, such as `http://10.0.0.1:7001`.
    pub peer_url: String,
}
