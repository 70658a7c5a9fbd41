//! Founding a cluster: its first member, its settings, and a snapshot that holds both.

use tracing::info;

use super::beginning::{PreparedMember, identify};
use super::local::{Held, alone, open_log};
use super::text;
use crate::cluster::{ClusterId, Member, MemberSpec, Settings};
use crate::host::{Failure, systemd};
use crate::store::{ClusterTime, Command, HistoryLimits, Stamped, Store};
use crate::wal::{DataDir, Founding, SnapshotMeta, random_number};

/// How a new cluster comes to be, and how it begins.
pub(super) struct Foundation {
    pub(super) founding: Founding,
    pub(super) settings: Settings,
}

/// Make a cluster of one: its first snapshot holds the member and the settings.
pub(super) fn found(
    mut directory: DataDir,
    machine: MemberSpec,
    foundation: Foundation,
    limits: HistoryLimits,
) -> Result<PreparedMember, Failure> {
    systemd::check_environment()?;
    let Foundation { founding, settings } = foundation;
    // An id that took its token may have been stopped before anything was founded; any other that has a
    // cluster was given a place there.
    if let Some(identity) = directory.identity()
        && identity.founding != founding
        && (identity.cluster.is_some() || founding == Founding::Alone)
    {
        return Err(format!(
            "{} was given a place in a cluster and has received nothing of it yet: start again with \
             -peers naming a member of it, or with -force to found a cluster of its own",
            directory.path().display()
        )
        .into());
    }
    let id = identify(&mut directory, &machine.name, founding)?;
    let cluster = name_cluster(&mut directory)?;
    let store = first_store(&machine.clone().member(id), &settings, limits)?;
    let snapshot = SnapshotMeta {
        index: 1,
        term: 1,
        configuration: alone(id),
    };
    let (wal, _) = open_log(&directory)?;
    let held = Held::begin(&directory, wal, store, snapshot)?;
    info!("{} founds a cluster of its own, {cluster}", machine.name);
    PreparedMember::new(directory, held, machine)
}

/// The cluster this directory founds, drawn once.
fn name_cluster(directory: &mut DataDir) -> Result<ClusterId, Failure> {
    if let Some(known) = directory.identity().and_then(|identity| identity.cluster) {
        return Ok(known);
    }
    let cluster = draw_cluster()?;
    directory.set_cluster(cluster)?;
    Ok(cluster)
}

/// The id of a new cluster.
pub(super) fn draw_cluster() -> Result<ClusterId, Failure> {
    let none = || Failure::from("the system's random numbers are all zero");
    ClusterId::new(random_number()?).ok_or_else(none)
}

/// The store a cluster begins with: its founder, and the settings.
fn first_store(
    founder: &Member,
    settings: &Settings,
    limits: HistoryLimits,
) -> Result<Store, String> {
    let mut store = Store::new(limits);
    let settings = Command::PutSettings(bytes::Bytes::from(settings.to_string()));
    for command in [Command::PutMember(founder.clone()), settings] {
        let stamped = Stamped {
            stamp: ClusterTime::ZERO,
            id: None,
            command,
        };
        store.apply(&stamped, &mut Vec::new()).map_err(text)?;
    }
    Ok(store)
}
