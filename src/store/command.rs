//! What the store applies.

use std::time::Duration;

use bytes::Bytes;

use super::{ClusterTime, Path};
use crate::cluster::{Member, MemberId};

/// What a node holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A file with this value; any bytes, shown in JSON as far as JSON can.
    Value(Bytes),
    /// A directory.
    Directory,
}

/// What a compare command tests; absent means anything will do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// The value the file must hold.
    pub value: Option<Bytes>,
    /// The modifiedIndex the file must have; 0 is as good as absent, as it was in 0.4.
    pub index: Option<u64>,
}

/// A change to the tree, checked and typed, with its time to live still a duration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Create or replace (`PUT`); a directory is never replaced.
    Set {
        /// Where.
        path: Path,
        /// What it will hold.
        content: Content,
        /// How long it lives; none means for good.
        ttl: Option<Duration>,
    },
    /// Create, and fail if it exists (`PUT prevExist=false`).
    Create {
        /// Where.
        path: Path,
        /// What it will hold.
        content: Content,
        /// How long it lives; none means for good.
        ttl: Option<Duration>,
    },
    /// Create under a fresh name that sorts after all earlier ones (`POST`).
    CreateInOrder {
        /// The directory the new node is made in.
        directory: Path,
        /// What it will hold.
        content: Content,
        /// How long it lives; none means for good.
        ttl: Option<Duration>,
    },
    /// Change what exists (`PUT prevExist=true`).
    Update {
        /// Where.
        path: Path,
        /// The new value; for a directory it must be empty or absent.
        value: Option<Bytes>,
        /// Set by `dir=true`: fail with [`Code::NotDirectory`](super::Code) on a file.
        directory: bool,
        /// The new time to live; none means for good.
        ttl: Option<Duration>,
    },
    /// Give a node a new time to live and keep its value (`refresh=true`): no watcher hears it, history
    /// does not know of it. The index moves, and a file's modifiedIndex with it, as they did in 2.x.
    Refresh {
        /// Where.
        path: Path,
        /// What must hold besides that the node exists.
        condition: Condition,
        /// The new time to live; none means for good.
        ttl: Option<Duration>,
    },
    /// Replace a file's value if the condition holds.
    CompareAndSwap {
        /// Where.
        path: Path,
        /// What must hold.
        condition: Condition,
        /// The new value.
        value: Bytes,
        /// The new time to live; none means for good.
        ttl: Option<Duration>,
    },
    /// Remove a file, or a directory where asked.
    Delete {
        /// Where.
        path: Path,
        /// Whether an empty directory may go (`dir=true`).
        directory: bool,
        /// Whether a directory may go with all it holds (`recursive=true`).
        recursive: bool,
    },
    /// Remove a file if the condition holds.
    CompareAndDelete {
        /// Where.
        path: Path,
        /// What must hold.
        condition: Condition,
    },
    /// Drop what is due at the entry's stamp; the leader proposes it when something is.
    Expire,
    /// Nothing but the entry's stamp: keeps the cluster's clock from being lost in a restart of all.
    Tick,
    /// A machine joins, or changes its addresses: writes `/_etcd/machines/NAME`.
    PutMember(Member),
    /// A machine leaves: removes `/_etcd/machines/NAME` if it still belongs to that id.
    RemoveMember {
        /// Whose key it is.
        id: MemberId,
        /// Which key it is.
        name: String,
    },
    /// The cluster's settings: writes `/_etcd/config`.
    PutSettings(Bytes),
}

/// What makes a command applied once however often it is sent: the member that took it, and a number
/// that only grows on that member, across restarts too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommandId {
    /// The member that took the request.
    pub member: MemberId,
    /// Its boot in the upper 24 bits, a counter in the lower 40.
    pub sequence: u64,
}

/// A command as it stands in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamped {
    /// The leader's reading of the cluster's clock when it appended the entry.
    pub stamp: ClusterTime,
    /// Who asked; none for the leader's own commands.
    pub id: Option<CommandId>,
    /// What to do.
    pub command: Command,
}
