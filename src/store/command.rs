//! The commands that the store applies.

use std::time::Duration;

use bytes::Bytes;

use super::{ClusterTime, Path};
use crate::cluster::{Member, MemberId};

/// The content of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A file with this value: any bytes. JSON shows invalid UTF-8 with replacement characters.
    Value(Bytes),
    /// A directory.
    Directory,
}

/// The condition of a compare command; a field that is absent matches any file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// The value that the file must have.
    pub value: Option<Bytes>,
    /// The modifiedIndex that the file must have; 0 means absent, as in etcd 0.4.
    pub index: Option<u64>,
}

/// A change of the tree, validated. A time to live is still a duration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Create or replace (`PUT`); a directory is never replaced.
    Set {
        /// The key.
        path: Path,
        /// Its content.
        content: Content,
        /// Its time to live; none for no limit.
        ttl: Option<Duration>,
    },
    /// Create, and fail if it exists (`PUT prevExist=false`).
    Create {
        /// The key.
        path: Path,
        /// Its content.
        content: Content,
        /// Its time to live; none for no limit.
        ttl: Option<Duration>,
    },
    /// Create a node whose name sorts after all earlier ones (`POST`).
    CreateInOrder {
        /// The directory of the new node.
        directory: Path,
        /// Its content.
        content: Content,
        /// Its time to live; none for no limit.
        ttl: Option<Duration>,
    },
    /// Change an existing node (`PUT prevExist=true`).
    Update {
        /// The key.
        path: Path,
        /// The new value; for a directory it must be empty or absent.
        value: Option<Bytes>,
        /// Set by `dir=true`: fail with [`Code::NotDirectory`](super::Code) for a file.
        directory: bool,
        /// The new time to live; none for no limit.
        ttl: Option<Duration>,
    },
    /// Set the time to live of a node and keep its value (`refresh=true`), without an event for watchers and
    /// history. The index increases, and with it a file's modifiedIndex, as in etcd 2.x.
    Refresh {
        /// The key.
        path: Path,
        /// The condition, besides that the node exists.
        condition: Condition,
        /// The new time to live; none for no limit.
        ttl: Option<Duration>,
    },
    /// Replace a file's value if the condition holds.
    CompareAndSwap {
        /// The key.
        path: Path,
        /// The condition.
        condition: Condition,
        /// The new value.
        value: Bytes,
        /// The new time to live; none for no limit.
        ttl: Option<Duration>,
    },
    /// Remove a file, or a directory if that is allowed.
    Delete {
        /// The key.
        path: Path,
        /// Whether an empty directory may be removed (`dir=true`).
        directory: bool,
        /// Whether a directory may be removed with its content (`recursive=true`).
        recursive: bool,
    },
    /// Remove a file if the condition holds.
    CompareAndDelete {
        /// The key.
        path: Path,
        /// The condition.
        condition: Condition,
    },
    /// Remove the nodes whose deadline is at or before the entry's stamp; proposed by the leader.
    Expire,
    /// Advance the cluster's clock to the entry's stamp, so that it survives a restart of all members.
    Tick,
    /// Add a member, or change its addresses: writes `/_etcd/machines/NAME`.
    PutMember(Member),
    /// Remove a member: removes `/_etcd/machines/NAME` if the key still belongs to that id.
    RemoveMember {
        /// The member's id.
        id: MemberId,
        /// The member's name.
        name: String,
    },
    /// Set the cluster's settings: writes `/_etcd/config`.
    PutSettings(Bytes),
}

/// The id of a command, by which it is applied once however often it is sent: the member that accepted it, and
/// a number that increases on that member, even across restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommandId {
    /// The member that accepted the request.
    pub member: MemberId,
    /// The number of its start in the upper 24 bits, a counter in the lower 40.
    pub sequence: u64,
}

/// A command in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamped {
    /// The leader's reading of the cluster's clock when it appended the entry.
    pub stamp: ClusterTime,
    /// Its id; none for the leader's own commands.
    pub id: Option<CommandId>,
    /// The command.
    pub command: Command,
}
