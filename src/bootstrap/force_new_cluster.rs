//! `-force-new-cluster`: a member of a cluster that lost its quorum becomes the only member of a new one, with all its
//! data.

use tracing::{info, warn};

use super::found::draw_cluster;
use super::local::{PreparedMember, RecoveredState, single_voter};
use crate::cluster::{ClusterId, Member, MemberId, MemberSpec};
use crate::consensus::command_of;
use crate::consensus::core::Recovered;
use crate::host::Failure;
use crate::store::{Command, Stamped, Store, codec};
use crate::wal::{DataDir, Entry, EntryKind, SnapshotMeta};

/// The member as it was until now.
struct FormerMember {
    id: MemberId,
    cluster: ClusterId,
    name: String,
}

/// Make a new cluster of the data of one member, with new ids for both, so that members of the old cluster do not
/// connect to it. All entries of its log are kept, those included that it does not know to be committed. A member that
/// is the only one already restarts.
///
/// It may be interrupted at any point: the new identity is written first, and until the new log begins the old one does
/// not name it. Repeating the start completes the cluster.
///
/// # Errors
///
/// - [`Failure::Options`]: the data directory holds no data of a cluster.
/// - [`Failure::Directory`]: an entry of the log cannot be decoded.
/// - [`Failure::Other`]: the directory cannot be written.
pub(super) fn force_new_cluster(
    mut directory: DataDir,
    state: Option<RecoveredState>,
    spec: MemberSpec,
) -> Result<PreparedMember, Failure> {
    let at = directory.path().display().to_string();
    let nothing = || {
        Failure::Options(format!(
            "-force-new-cluster: {at} holds no data of a cluster (to found a cluster, start without \
             this option)"
        ))
    };
    let state = state.ok_or_else(nothing)?;
    let identity = directory.identity().ok_or_else(nothing)?;
    let former = FormerMember {
        id: identity.id,
        cluster: identity.cluster.ok_or_else(nothing)?,
        name: identity.name.clone(),
    };
    if is_only_member(former.id, &state.recovered) {
        info!(
            "-force-new-cluster: {} is already the only member of its cluster",
            former.name
        );
        return PreparedMember::restart(directory, state, spec);
    }
    let RecoveredState {
        wal,
        recovered,
        mut store,
    } = state;
    replay(&mut store, &recovered.entries)?;
    let cluster = draw_cluster()?;
    let id = directory.restart_as_new_cluster(cluster)?;
    let member = spec.clone().into_member(id);
    let others = replace_members(&mut store, &member)?;
    let snapshot = snapshot_after(&recovered, id);
    let state = RecoveredState::restart_log(&directory, wal, store, snapshot)?;
    log_outcome(&former, &member, cluster, &recovered, &others);
    PreparedMember::new(directory, state, spec)
}

/// Whether the configuration has no other member, and no entry changes it.
fn is_only_member(id: MemberId, recovered: &Recovered) -> bool {
    let mut entries = recovered.entries.iter();
    recovered.snapshot.configuration == single_voter(id)
        && entries.all(|entry| entry.kind != EntryKind::Membership)
}

/// Apply all entries after the snapshot.
fn replay(store: &mut Store, entries: &[Entry]) -> Result<(), Failure> {
    let mut events = Vec::new();
    for entry in entries {
        let command = match entry.kind {
            EntryKind::Command => Some(entry.data.clone()),
            EntryKind::Membership => command_of(entry.data.clone()),
        };
        let unreadable =
            || Failure::Directory(format!("entry {} of the log cannot be read", entry.index));
        let command = command.ok_or_else(unreadable)?;
        // A new leader's first entry is empty.
        if !command.is_empty() {
            let stamped = codec::decode_stamped(&command).map_err(|_| unreadable())?;
            // Its result was sent to the client, if at all, before.
            let _ = store.apply(&stamped, &mut events);
            events.clear();
        }
    }
    Ok(())
}

/// Replace all members by this one; returns the names of the others.
fn replace_members(store: &mut Store, member: &Member) -> Result<Vec<String>, Failure> {
    let old: Vec<Member> = store.members().cloned().collect();
    let removals = old.iter().map(|member| Command::RemoveMember {
        id: member.id,
        name: member.name.clone(),
    });
    let stamp = store.clock();
    for command in removals.chain([Command::PutMember(member.clone())]) {
        let stamped = Stamped {
            stamp,
            id: None,
            command,
        };
        let applied = store.apply(&stamped, &mut Vec::new());
        applied.map_err(|error| Failure::Other(error.to_string()))?;
    }
    let others = old.into_iter().map(|member| member.name);
    let mut others: Vec<String> = others.filter(|name| *name != member.name).collect();
    others.sort();
    Ok(others)
}

/// The snapshot with which the new log begins: after the last entry, and in a later term.
fn snapshot_after(recovered: &Recovered, id: MemberId) -> SnapshotMeta {
    let last = recovered.entries.last().map(|entry| entry.index);
    SnapshotMeta {
        index: last.unwrap_or(recovered.snapshot.index) + 1,
        term: recovered.hard_state.term + 1,
        configuration: single_voter(id),
    }
}

/// Log what was made of the old cluster, and what may be lost.
fn log_outcome(
    former: &FormerMember,
    member: &Member,
    cluster: ClusterId,
    recovered: &Recovered,
    others: &[String],
) {
    let commit = recovered.hard_state.commit;
    let last = recovered.entries.last().map_or(commit, |entry| entry.index);
    let uncommitted = last.saturating_sub(commit);
    warn!(
        "-force-new-cluster: {} was member {} of cluster {} and is now member {} of the new cluster {cluster}",
        member.name, former.id, former.cluster, member.id
    );
    warn!(
        "-force-new-cluster: all entries up to {last} are kept, {uncommitted} of them perhaps never committed; \
         entries that other members committed and this one did not receive are lost"
    );
    if !others.is_empty() {
        warn!(
            "-force-new-cluster: do not start {} with their old data: start them with empty data directories and \
             -peers naming this member, and start this member without -force-new-cluster from now on",
            others.join(", ")
        );
    }
}
