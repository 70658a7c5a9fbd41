//! `-force-new-cluster`: one member of a cluster that lost its quorum goes on alone, with all it holds.

use tracing::{info, warn};

use super::beginning::{PreparedMember, restart};
use super::found::draw_cluster;
use super::local::{Held, alone};
use super::text;
use crate::cluster::{ClusterId, Member, MemberId, MemberSpec};
use crate::consensus::command_of;
use crate::consensus::core::Recovered;
use crate::host::Failure;
use crate::store::{Command, Stamped, Store, codec};
use crate::wal::{DataDir, Entry, EntryKind, SnapshotMeta};

/// What the member was until now.
struct Before {
    id: MemberId,
    cluster: ClusterId,
    name: String,
}

/// Make a cluster of one of what a member holds, with a new id for both: the old cluster, should any of it
/// come back, is another one. All entries of its log count, those too that it does not know to be agreed
/// on. A member that is alone already just goes on.
///
/// It may be cut off at any point: the new identity comes first, and with it a log that does not name it,
/// which is nobody's; done again, this makes a whole cluster of it.
///
/// # Errors
///
/// There is nothing to go on with; or the disk's.
pub(super) fn force_new_cluster(
    mut directory: DataDir,
    held: Option<Held>,
    machine: MemberSpec,
) -> Result<PreparedMember, Failure> {
    let at = directory.path().display().to_string();
    let nothing = || {
        Failure::Options(format!(
            "-force-new-cluster: {at} holds nothing of a cluster to go on with; to found a new one, \
             start without it"
        ))
    };
    let held = held.ok_or_else(nothing)?;
    let identity = directory.identity().ok_or_else(nothing)?;
    let before = Before {
        id: identity.id,
        cluster: identity.cluster.ok_or_else(nothing)?,
        name: identity.name.clone(),
    };
    if is_alone(before.id, &held.recovered) {
        info!(
            "-force-new-cluster: {} is a cluster of its own already",
            before.name
        );
        return restart(directory, held, machine);
    }
    let Held {
        wal,
        recovered,
        mut store,
    } = held;
    replay(&mut store, &recovered.entries)?;
    let cluster = draw_cluster()?;
    let id = directory.restart_as_new_cluster(cluster)?;
    let member = machine.clone().member(id);
    let others = change_members(&mut store, &member)?;
    let held = Held::begin(&directory, wal, store, after(&recovered, id))?;
    tell(&before, &member, cluster, &recovered, &others);
    PreparedMember::new(directory, held, machine)
}

/// Whether nobody else votes or learns, and no entry says that anyone may.
fn is_alone(id: MemberId, recovered: &Recovered) -> bool {
    let mut entries = recovered.entries.iter();
    recovered.snapshot.configuration == alone(id)
        && entries.all(|entry| entry.kind != EntryKind::Membership)
}

/// Apply all that the log holds after the snapshot.
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
            // What it answered then is of no interest now.
            let _ = store.apply(&stamped, &mut events);
            events.clear();
        }
    }
    Ok(())
}

/// All members leave, and this one comes; who the others were.
fn change_members(store: &mut Store, member: &Member) -> Result<Vec<String>, String> {
    let old: Vec<Member> = store.members().cloned().collect();
    let leave = old.iter().map(|member| Command::RemoveMember {
        id: member.id,
        name: member.name.clone(),
    });
    let stamp = store.clock();
    for command in leave.chain([Command::PutMember(member.clone())]) {
        let stamped = Stamped {
            stamp,
            id: None,
            command,
        };
        store.apply(&stamped, &mut Vec::new()).map_err(text)?;
    }
    let others = old.into_iter().map(|member| member.name);
    let mut others: Vec<String> = others.filter(|name| *name != member.name).collect();
    others.sort();
    Ok(others)
}

/// Where the new log begins: after all that was, and in a later term.
fn after(recovered: &Recovered, id: MemberId) -> SnapshotMeta {
    let last = recovered.entries.last().map(|entry| entry.index);
    SnapshotMeta {
        index: last.unwrap_or(recovered.snapshot.index) + 1,
        term: recovered.hard_state.term + 1,
        configuration: alone(id),
    }
}

/// Say what became of what, and what may be lost.
fn tell(
    before: &Before,
    member: &Member,
    cluster: ClusterId,
    recovered: &Recovered,
    others: &[String],
) {
    let commit = recovered.hard_state.commit;
    let last = recovered.entries.last().map_or(commit, |entry| entry.index);
    let unsure = last.saturating_sub(commit);
    warn!(
        "-force-new-cluster: {} was {} of cluster {}; it is {} of the new cluster {cluster} from now on",
        member.name, before.id, before.cluster, member.id
    );
    warn!(
        "-force-new-cluster: it keeps all it has, up to entry {last}; what others had agreed on and this \
         member never received is lost; entries that it does not know to have been agreed on are kept \
         ({unsure} of them)"
    );
    if !others.is_empty() {
        warn!(
            "-force-new-cluster: {} must not go on with what they have: start them with empty data \
             directories and -peers naming this member; and start this member without -force-new-cluster \
             from now on",
            others.join(", ")
        );
    }
}
