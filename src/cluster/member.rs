//! One member of the cluster.

use super::MemberId;

/// A member of the cluster, as the log's membership entries describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its identity in Raft.
    pub id: MemberId,
    /// Its name: the last part of `/_etcd/machines/NAME`.
    pub name: String,
    /// The URL of its client port, such as `http://10.0.0.1:4001`.
    pub client_url: String,
    /// The URL of its peer port, such as `http://10.0.0.1:7001`.
    pub peer_url: String,
}
