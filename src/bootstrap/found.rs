//! Founding a cluster: its first member, its settings, and a snapshot that holds both.

use tracing::info;

use super::local::{PreparedMember, RecoveredState, get_or_create_id, open_log, single_voter};
use crate::cluster::{ClusterId, Member, MemberSpec, Settings};
use crate::host::{Failure, systemd};
use crate::store::{ClusterTime, Command, HistoryLimits, Stamped, Store};
use crate::wal::{DataDir, Founding, SnapshotMeta, random_number};

/// How a cluster is founded, and its first settings.
pub(super) struct Foundation {
    pub(super) founding: Founding,
    pub(super) settings: Settings,
}

/// Found a cluster of one member.
///
/// # Errors
///
/// - [`Failure::Environment`]: the environment is not the one in the unit's files any more.
/// - [`Failure::Other`]: the directory belongs to a member of another cluster, or cannot be written.
pub(super) fn found_cluster(
    mut directory: DataDir,
    spec: MemberSpec,
    foundation: Foundation,
    limits: HistoryLimits,
) -> Result<PreparedMember, Failure> {
    systemd::check_environment()?;
    let Foundation { founding, settings } = foundation;
    // An id that claimed its token may have been stopped before it founded the cluster; any other id with a cluster
    // was admitted there.
    if let Some(identity) = directory.identity()
        && identity.founding != founding
        && (identity.cluster.is_some() || founding == Founding::Alone)
    {
        return Err(format!(
            "{} belongs to a member that was admitted to a cluster and has no data of it yet: start with \
             -peers naming a member of that cluster, or with -force to found a new one",
            directory.path().display()
        )
        .into());
    }
    let id = get_or_create_id(&mut directory, &spec.name, founding)?;
    let cluster = get_or_draw_cluster(&mut directory)?;
    let store = create_store(&spec.clone().into_member(id), &settings, limits)?;
    let snapshot = SnapshotMeta {
        index: 1,
        term: 1,
        configuration: single_voter(id),
    };
    let (wal, _) = open_log(&directory)?;
    let state = RecoveredState::restart_log(&directory, wal, store, snapshot)?;
    info!(name = %spec.name, %cluster, "cluster founded");
    PreparedMember::new(directory, state, spec)
}

/// The id of the cluster that this directory founds; drawn once.
fn get_or_draw_cluster(directory: &mut DataDir) -> Result<ClusterId, Failure> {
    if let Some(cluster) = directory.identity().and_then(|identity| identity.cluster) {
        return Ok(cluster);
    }
    let cluster = draw_cluster()?;
    directory.set_cluster(cluster)?;
    Ok(cluster)
}

/// Draw the id of a new cluster.
///
/// # Errors
///
/// [`Failure::Other`]: the system has no random numbers.
pub(super) fn draw_cluster() -> Result<ClusterId, Failure> {
    let zero = || Failure::from("the system's random numbers are all zero");
    ClusterId::new(random_number()?).ok_or_else(zero)
}

/// The first store of a cluster: its founder and its settings.
fn create_store(
    founder: &Member,
    settings: &Settings,
    limits: HistoryLimits,
) -> Result<Store, Failure> {
    let mut store = Store::new(limits);
    let settings = Command::PutSettings(bytes::Bytes::from(settings.to_string()));
    for command in [Command::PutMember(founder.clone()), settings] {
        let stamped = Stamped {
            stamp: ClusterTime::ZERO,
            id: None,
            command,
        };
        let applied = store.apply(&stamped, &mut Vec::new());
        applied.map_err(|error| Failure::Other(error.to_string()))?;
    }
    Ok(store)
}
