//! The data directory at startup: what it holds, and the member or the standby that it becomes.

use tracing::{info, warn};

use super::plan::LocalState;
use crate::cluster::{Address, ClusterId, JoinAnswer, Member, MemberId, MemberList, MemberSpec};
use crate::config::Config;
use crate::consensus::core::Recovered;
use crate::host::Failure;
use crate::membership::api;
use crate::net::tls::Connector;
use crate::store::{HistoryLimits, Store, codec, image};
use crate::wal::{
    Batch, Configuration, DataDir, EntryKind, Founding, HardState, LogOptions, RealDisk, Snapshot,
    SnapshotMeta, Wal, random_number, write_snapshot,
};

/// A member or a standby that can run.
pub enum Started {
    /// A member.
    Member(Box<PreparedMember>),
    /// A standby: its cluster is full.
    Standby(Box<PreparedStandby>),
}

impl Started {
    /// Its name and addresses, and for a member its id.
    pub fn spec(&self) -> (MemberSpec, Option<MemberId>) {
        match self {
            Self::Member(prepared) => {
                let member = &prepared.member;
                (MemberSpec::from(member.clone()), Some(member.id))
            }
            Self::Standby(standby) => (standby.spec.clone(), None),
        }
    }
}

/// A member that can run.
pub struct PreparedMember {
    /// Its data directory, locked.
    pub directory: DataDir,
    /// The log.
    pub wal: Wal<RealDisk>,
    /// What the log holds.
    pub recovered: Recovered,
    /// The store as of the recovered snapshot.
    pub store: Store,
    /// Its identity.
    pub member: Member,
    /// Its cluster.
    pub cluster: ClusterId,
    /// How often the directory was opened.
    pub boot: u32,
    /// The members that the cluster named when it admitted this one; its store does not have them yet.
    pub named_members: Vec<Member>,
}

/// A standby that can run. Its data directory holds the member list of its cluster only.
pub struct PreparedStandby {
    /// Its data directory, locked.
    pub directory: DataDir,
    /// Its name and addresses.
    pub spec: MemberSpec,
    /// The latest known member list.
    pub members: MemberList,
    /// The peers from its options.
    pub contacts: Contacts,
    /// The limits of the store's history, once it is a member.
    pub limits: HistoryLimits,
}

/// The peers to ask for a seat, and how to connect to them.
#[derive(Clone)]
pub struct Contacts {
    /// For peers whose URL is `https`.
    pub tls: Connector,
    /// The peers.
    pub peers: Vec<Address>,
}

/// The log of a used data directory, and the store as of its snapshot.
pub(super) struct RecoveredState {
    pub(super) wal: Wal<RealDisk>,
    pub(super) recovered: Recovered,
    pub(super) store: Store,
}

impl RecoveredState {
    /// Restart the log with a snapshot of `store` at this index and in this term, all of it committed.
    ///
    /// The snapshot is on disk before the log begins with it; until then the old log is valid.
    ///
    /// # Errors
    ///
    /// [`Failure::Other`]: the snapshot or the log cannot be written.
    pub(super) fn restart_log(
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

impl PreparedMember {
    /// The member that the directory belongs to, with the data that it holds. Counts this start.
    ///
    /// # Errors
    ///
    /// [`Failure::Directory`]: the directory does not name a member and its cluster, or was opened too often;
    /// [`Failure::Other`]: it cannot be written.
    pub(super) fn new(
        mut directory: DataDir,
        state: RecoveredState,
        spec: MemberSpec,
    ) -> Result<Self, Failure> {
        let boot = count_start(&mut directory)?;
        let known = directory
            .identity()
            .and_then(|identity| Some((identity.id, identity.cluster?)));
        let (id, cluster) = known.ok_or_else(|| {
            let path = directory.path().display();
            Failure::Directory(format!("{path} does not name a cluster"))
        })?;
        Ok(Self {
            directory,
            wal: state.wal,
            recovered: state.recovered,
            store: state.store,
            member: spec.into_member(id),
            cluster,
            boot,
            named_members: Vec::new(),
        })
    }

    /// The same, for a member that restarts.
    ///
    /// # Errors
    ///
    /// Those of [`PreparedMember::new`].
    pub(super) fn restart(
        directory: DataDir,
        state: RecoveredState,
        spec: MemberSpec,
    ) -> Result<Self, Failure> {
        let member = Self::new(directory, state, spec)?;
        info!(name = %member.member.name, cluster = %member.cluster, "member restarted");
        Ok(member)
    }

    /// A member that was admitted, and has no data of the cluster yet.
    ///
    /// # Errors
    ///
    /// [`Failure`]: the data directory cannot be read or written.
    pub(super) fn admitted(
        mut directory: DataDir,
        spec: MemberSpec,
        answer: JoinAnswer,
        limits: HistoryLimits,
    ) -> Result<Self, Failure> {
        let JoinAnswer { cluster, members } = answer;
        directory.set_cluster(cluster)?;
        info!(name = %spec.name, %cluster, "cluster joined");
        let (wal, recovered) = open_log(&directory)?;
        let state = RecoveredState {
            wal,
            recovered: Recovered {
                hard_state: recovered.hard_state,
                snapshot: SnapshotMeta::default(),
                entries: recovered.entries,
            },
            store: Store::new(limits),
        };
        Ok(Self {
            named_members: members,
            ..Self::new(directory, state, spec)?
        })
    }
}

impl PreparedStandby {
    /// A standby of the cluster of `members`, which its data directory holds from now on. A member in that directory
    /// is discarded with its data.
    ///
    /// # Errors
    ///
    /// [`Failure::Other`]: the directory cannot be written.
    pub fn new(
        mut directory: DataDir,
        spec: MemberSpec,
        members: MemberList,
        contacts: Contacts,
        limits: HistoryLimits,
    ) -> Result<Self, Failure> {
        directory.keep_standby_file(&api::encode_member_list(&members))?;
        if directory.identity().is_some() {
            directory.discard_member()?;
        }
        Ok(Self {
            directory,
            spec,
            members,
            contacts,
            limits,
        })
    }
}

/// The configuration with one voter.
pub(super) fn single_voter(id: MemberId) -> Configuration {
    Configuration {
        voters: vec![id.get()],
        ..Configuration::default()
    }
}

/// The limits of the store's history.
pub fn history_limits(config: &Config) -> HistoryLimits {
    HistoryLimits {
        events: config.watch_history,
        bytes: config.watch_history_bytes,
    }
}

/// Open the directory's log.
///
/// # Errors
///
/// [`Failure::Directory`]: it is damaged or of a later version; [`Failure::Other`]: it cannot be read.
pub(super) fn open_log(
    directory: &DataDir,
) -> Result<(Wal<RealDisk>, crate::wal::Recovered), Failure> {
    let seed = random_number()?;
    Ok(Wal::open(directory.disk(), LogOptions::new(seed))?)
}

/// Read the data of the directory's member; none before its first snapshot. With `force`, or in the directory of a
/// standby, data that cannot be read is discarded.
///
/// # Errors
///
/// [`Failure::Directory`]: the data is damaged or of a later version; [`Failure::Other`]: it cannot be read.
pub(super) fn recover(
    directory: &mut DataDir,
    limits: HistoryLimits,
    force: bool,
) -> Result<Option<RecoveredState>, Failure> {
    match read_data(directory, limits) {
        Err(error) if force => {
            warn!(%error, "data that cannot be read is discarded");
            Ok(None)
        }
        Err(error) if read_standby_file(directory)?.is_some() => {
            warn!(%error, "data of a former member that cannot be read is discarded");
            directory.discard_member()?;
            Ok(None)
        }
        state => state,
    }
}

fn read_data(
    directory: &DataDir,
    limits: HistoryLimits,
) -> Result<Option<RecoveredState>, Failure> {
    if directory.identity().is_none() {
        return Ok(None);
    }
    let (wal, recovered) = open_log(directory)?;
    let Some(snapshot) = recovered.snapshot else {
        return Ok(None);
    };
    let image = Snapshot::open(&directory.disk(), &snapshot).and_then(|snapshot| snapshot.image());
    let damaged = |error: image::ImageError| Failure::Directory(error.to_string());
    let store = image::decode(&image?, limits).map_err(damaged)?;
    let recovered = Recovered {
        hard_state: recovered.hard_state,
        snapshot,
        entries: recovered.entries,
    };
    Ok(Some(RecoveredState {
        wal,
        recovered,
        store,
    }))
}

/// Describe what the directory holds, for the plan. A directory whose member has no data yet counts as empty, except
/// with `force`, and except for a standby's.
///
/// # Errors
///
/// As for [`read_standby_file`].
pub(super) fn describe(
    directory: &DataDir,
    state: Option<&RecoveredState>,
    force: bool,
) -> Result<LocalState, Failure> {
    let Some((identity, state)) = directory.identity().zip(state) else {
        let founding = directory.identity().map(|identity| identity.founding);
        return Ok(match founding {
            Some(founding) if force => LocalState::Member {
                founding,
                members: 0,
                client_keys: 0,
            },
            _ if force && directory.standby_file()?.is_some() => LocalState::Standby,
            _ if force => LocalState::Empty,
            _ if read_standby_file(directory)?.is_some() => LocalState::Standby,
            _ => LocalState::Empty,
        });
    };
    let entries = &state.recovered.entries;
    let mut store = state.store.clone();
    let mut events = Vec::new();
    // Entries that are not committed count as well: no client's key is ever set aside.
    for entry in entries.iter().filter(|e| e.kind == EntryKind::Command) {
        if let Ok(stamped) = codec::decode_stamped(&entry.data) {
            // Its result does not matter here.
            let _ = store.apply(&stamped, &mut events);
            events.clear();
        }
    }
    let has_changed = entries.iter().any(|e| e.kind == EntryKind::Membership);
    Ok(LocalState::Member {
        founding: identity.founding,
        members: store.members().count() + usize::from(has_changed),
        client_keys: store.client_keys(),
    })
}

/// Read the member list in a standby's directory; none in other directories.
///
/// # Errors
///
/// [`Failure::Directory`]: it is not a valid member list; [`Failure::Other`]: it cannot be read.
pub fn read_standby_file(directory: &DataDir) -> Result<Option<MemberList>, Failure> {
    let Some(json) = directory.standby_file()? else {
        return Ok(None);
    };
    api::decode_member_list(&json).map(Some).map_err(|error| {
        Failure::Directory(format!(
            "cannot read the file standby in {}: {error} (start with -force to discard it)",
            directory.path().display()
        ))
    })
}

/// The id in the directory, made if there is none yet.
///
/// # Errors
///
/// [`Failure::Other`]: the directory cannot be written.
pub(super) fn get_or_create_id(
    directory: &mut DataDir,
    name: &str,
    founding: Founding,
) -> Result<MemberId, Failure> {
    match directory.identity() {
        Some(identity) => Ok(identity.id),
        None => Ok(directory.found(name, founding)?),
    }
}

/// Count this start. Command ids have room for 2^24 of them: one every second for half a year.
fn count_start(directory: &mut DataDir) -> Result<u32, Failure> {
    let boot = directory.boot()?;
    u32::try_from(boot).map_err(|_| {
        let path = directory.path().display();
        Failure::Directory(format!("{path} was opened too often"))
    })
}
