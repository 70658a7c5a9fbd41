//! What a data directory holds of a member: read, written by one that begins, and described for the decision.

use tracing::warn;

use super::{Directory, text};
use crate::cluster::{MemberId, MemberList};
use crate::config::Config;
use crate::consensus::core::Recovered;
use crate::host::Failure;
use crate::membership::api;
use crate::store::{HistoryLimits, Store, codec, image};
use crate::wal::{
    Batch, Configuration, DataDir, EntryKind, HardState, LogOptions, RealDisk, Snapshot,
    SnapshotMeta, Wal, random_number, write_snapshot,
};

/// What a used directory holds: a log, and the snapshot it begins with.
pub(super) struct Held {
    /// The log.
    pub(super) wal: Wal<RealDisk>,
    /// What is in it.
    pub(super) recovered: Recovered,
    /// The store as of the recovered snapshot.
    pub(super) store: Store,
}

impl Held {
    /// Begin the log anew, with a snapshot of `store` at this index and in this term. Everything up to there
    /// is agreed on, and nothing follows.
    ///
    /// The snapshot is whole on the disk before the log begins with it; until then the log is the old one.
    ///
    /// # Errors
    ///
    /// The disk's.
    pub(super) fn begin(
        directory: &DataDir,
        mut wal: Wal<RealDisk>,
        store: Store,
        snapshot: SnapshotMeta,
    ) -> Result<Self, Failure> {
        write_snapshot(&directory.disk(), &snapshot, image::encode(&store))?;
        let hard_state = HardState {
            term: snapshot.term,
            vote: 0,
            commit: snapshot.index,
        };
        let batch = Batch {
            hard_state: Some(hard_state),
            reset: Some(snapshot.clone()),
            ..Batch::default()
        };
        wal.write(&batch, true)?;
        let recovered = Recovered {
            hard_state,
            snapshot,
            entries: Vec::new(),
        };
        Ok(Self {
            wal,
            recovered,
            store,
        })
    }
}

/// Nobody votes but this member.
pub(super) fn alone(id: MemberId) -> Configuration {
    Configuration {
        voters: vec![id.get()],
        ..Configuration::default()
    }
}

/// How much history the store keeps.
pub fn limits(config: &Config) -> HistoryLimits {
    HistoryLimits {
        events: config.watch_history,
        bytes: config.watch_history_bytes,
    }
}

/// The directory's log.
pub(super) fn open_log(
    directory: &DataDir,
) -> Result<(Wal<RealDisk>, crate::wal::Recovered), Failure> {
    let seed = random_number()?;
    Ok(Wal::open(directory.disk(), LogOptions::new(seed))?)
}

/// Read what the directory holds; none when no member has begun in it.
fn look(directory: &DataDir, limits: HistoryLimits) -> Result<Option<Held>, Failure> {
    if directory.identity().is_none() {
        return Ok(None);
    }
    let (wal, recovered) = open_log(directory)?;
    let Some(snapshot) = recovered.snapshot else {
        return Ok(None);
    };
    let read = Snapshot::open(&directory.disk(), &snapshot).and_then(|snapshot| snapshot.image());
    let damaged = |error| Failure::Directory(text(error));
    let store = image::decode(&read?, limits).map_err(damaged)?;
    let recovered = Recovered {
        hard_state: recovered.hard_state,
        snapshot,
        entries: recovered.entries,
    };
    Ok(Some(Held {
        wal,
        recovered,
        store,
    }))
}

/// What the directory holds; nothing where it cannot be read and is to be thrown away, or is what a machine
/// without a place left of itself.
pub(super) fn held_in(
    directory: &mut DataDir,
    limits: HistoryLimits,
    force: bool,
) -> Result<Option<Held>, Failure> {
    match look(directory, limits) {
        Err(why) if force => {
            warn!("what is thrown away cannot be read: {why}");
            Ok(None)
        }
        Err(why) if remembered(directory)?.is_some() => {
            warn!("a member without a place left this, which is thrown away: {why}");
            directory.discard_member()?;
            Ok(None)
        }
        held => held,
    }
}

/// What the directory holds, for the decision. One that cannot be read, or in which a member has not begun
/// yet, is as good as empty, but for `-force`, and where a standby remembers its cluster.
pub(super) fn describe(
    directory: &DataDir,
    held: Option<&Held>,
    force: bool,
) -> Result<Directory, Failure> {
    let Some((identity, held)) = directory.identity().zip(held) else {
        let founding = directory.identity().map(|identity| identity.founding);
        return Ok(match founding {
            Some(founding) if force => Directory::Used {
                founding,
                members: 0,
                client_keys: 0,
            },
            _ if force && directory.standby_file()?.is_some() => Directory::Standby,
            _ if force => Directory::Empty,
            _ if remembered(directory)?.is_some() => Directory::Standby,
            _ => Directory::Empty,
        });
    };
    let founding = identity.founding;
    let mut store = held.store.clone();
    let mut events = Vec::new();
    // What was not committed counts too: better to refuse than to set a key aside.
    for entry in held
        .recovered
        .entries
        .iter()
        .filter(|entry| entry.kind == EntryKind::Command)
    {
        if let Ok(stamped) = codec::decode_stamped(&entry.data) {
            // Whether it succeeds is of no interest here.
            let _ = store.apply(&stamped, &mut events);
            events.clear();
        }
    }
    let members = held
        .recovered
        .entries
        .iter()
        .any(|entry| entry.kind == EntryKind::Membership);
    let members = store.members().count() + usize::from(members);
    Ok(Directory::Used {
        founding,
        members,
        client_keys: store.client_keys(),
    })
}

/// The roster that a directory keeps for a machine without a place.
///
/// # Errors
///
/// It cannot be read.
pub(super) fn remembered(directory: &DataDir) -> Result<Option<MemberList>, Failure> {
    let Some(json) = directory.standby_file()? else {
        return Ok(None);
    };
    api::member_list_in(&json).map(Some).map_err(|why| {
        Failure::Directory(format!(
            "the file standby in {} cannot be read ({why}): start with -force to throw it away",
            directory.path().display()
        ))
    })
}
