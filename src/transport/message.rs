//! Encodes and decodes the bodies of messages. All numbers are little-endian; a length or count has four
//! bytes.
//!
//! The encoding is canonical: a message always has the same bytes, and no byte is ignored. A message that no
//! member would send is refused here before it reaches Raft.

use bytes::{BufMut, Bytes, BytesMut};

use super::kind::Kind;
use super::wire::{Cursor, Malformed};
use crate::cluster::MemberId;
use crate::consensus::message::{Body, Forwarded, RaftKind, RaftMessage};
use crate::store::{ClusterTime, CommandId};
use crate::wal::{Configuration, Entry, EntryKind, SnapshotMeta};

const REJECT: u8 = 1;
const SNAPSHOT: u8 = 2;
const CLOCK: u8 = 4;

/// The bytes of an entry without its data: index, term, kind, length.
const ENTRY_BYTES_MIN: usize = 8 + 8 + 1 + 4;

/// The bytes of a forwarded command without the command: member, sequence, length.
const FORWARDED_BYTES_MIN: usize = 8 + 8 + 4;

/// The kind of frame that carries `body`.
pub(super) fn kind(body: &Body) -> Kind {
    match body {
        Body::Raft(_) => Kind::Raft,
        Body::Forward(_) => Kind::Forward,
        Body::StoreHash { .. } => Kind::StoreHash,
    }
}

/// The approximate number of bytes of `body`; never less than its payloads.
pub(super) fn weight(body: &Body) -> usize {
    match body {
        Body::Raft(raft) => {
            let entries = raft.entries.iter();
            let entries: usize = entries.map(|e| e.data.len() + ENTRY_BYTES_MIN).sum();
            entries + raft.context.len() + 64
        }
        Body::Forward(list) => list.iter().map(forwarded_weight).sum(),
        Body::StoreHash { .. } => 16,
    }
}

/// The number of bytes of a forwarded command.
pub(super) fn forwarded_weight(forwarded: &Forwarded) -> usize {
    forwarded.command.len() + FORWARDED_BYTES_MIN
}

/// Append the body of a Raft message.
pub(super) fn put_raft(raft: &RaftMessage, out: &mut BytesMut) {
    let flag = |set: bool, bit: u8| if set { bit } else { 0 };
    out.put_u8(kind_number(raft.kind));
    out.put_u8(
        flag(raft.reject, REJECT)
            | flag(raft.snapshot.is_some(), SNAPSHOT)
            | flag(raft.clock.is_some(), CLOCK),
    );
    for number in [
        raft.term,
        raft.log_term,
        raft.index,
        raft.commit,
        raft.commit_term,
        raft.reject_hint,
        raft.request_snapshot,
    ] {
        out.put_u64_le(number);
    }
    put_bytes(&raft.context, out);
    if let Some(clock) = raft.clock {
        out.put_u64_le(clock.as_nanos());
    }
    if let Some(meta) = &raft.snapshot {
        put_snapshot_meta(meta, out);
    }
    put_length(raft.entries.len(), out);
    for entry in &raft.entries {
        out.put_u64_le(entry.index);
        out.put_u64_le(entry.term);
        out.put_u8(match entry.kind {
            EntryKind::Command => 1,
            EntryKind::Membership => 2,
        });
        put_bytes(&entry.data, out);
    }
}

/// Append the body of forwarded commands.
pub(super) fn put_forward(list: &[Forwarded], out: &mut BytesMut) {
    put_length(list.len(), out);
    for forwarded in list {
        out.put_u64_le(forwarded.id.member.get());
        out.put_u64_le(forwarded.id.sequence);
        put_bytes(&forwarded.command, out);
    }
}

/// Append the body of a store's hash at an index.
pub(super) fn put_store_hash(index: u64, hash: u64, out: &mut BytesMut) {
    out.put_u64_le(index);
    out.put_u64_le(hash);
}

/// Decode the message in a frame of this kind with this body; none for kinds without a message.
///
/// # Errors
///
/// [`Malformed`]: the body is not a valid message.
pub(super) fn read(kind: Kind, body: Bytes) -> Result<Option<Body>, Malformed> {
    let mut cursor = Cursor::new(body);
    let body = match kind {
        Kind::Raft => Body::Raft(raft(&mut cursor)?),
        Kind::Forward => Body::Forward(forward(&mut cursor)?),
        Kind::StoreHash => Body::StoreHash {
            index: cursor.u64()?,
            hash: cursor.u64()?,
        },
        Kind::Ping | Kind::Pong | Kind::Chunk | Kind::End | Kind::Stored | Kind::Failed => {
            return Ok(None);
        }
    };
    cursor.end()?;
    Ok(Some(body))
}

fn raft(cursor: &mut Cursor) -> Result<RaftMessage, Malformed> {
    let kind = kind_of(cursor.u8()?)?;
    let flags = cursor.u8()?;
    if flags & !(REJECT | SNAPSHOT | CLOCK) != 0 {
        return Err(Malformed::Unknown("flags", flags.into()));
    }
    let term = cursor.u64()?;
    let log_term = cursor.u64()?;
    let index = cursor.u64()?;
    let commit = cursor.u64()?;
    let commit_term = cursor.u64()?;
    let reject_hint = cursor.u64()?;
    let request_snapshot = cursor.u64()?;
    let context = cursor.bytes()?;
    let clock = match flags & CLOCK {
        0 => None,
        _ => Some(ClusterTime::from_nanos(cursor.u64()?)),
    };
    let snapshot = match flags & SNAPSHOT {
        0 => None,
        _ => Some(meta(cursor)?),
    };
    let count = cursor.count(ENTRY_BYTES_MIN)?;
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        entries.push(entry(cursor)?);
    }
    let message = RaftMessage {
        kind,
        term,
        log_term,
        index,
        entries,
        commit,
        commit_term,
        reject: flags & REJECT != 0,
        reject_hint,
        request_snapshot,
        context,
        snapshot,
        clock,
    };
    check(&message)?;
    Ok(message)
}

/// The raft crate panics if its log would become inconsistent; a peer's bytes must not cause that.
fn check(message: &RaftMessage) -> Result<(), Malformed> {
    if (message.kind == RaftKind::Snapshot) != message.snapshot.is_some() {
        return Err(Malformed::Impossible(
            "a snapshot message without snapshot metadata, or another message with it",
        ));
    }
    if message.kind != RaftKind::Append {
        return Ok(());
    }
    let (mut index, mut term) = (message.index, message.log_term);
    for entry in &message.entries {
        if index.checked_add(1) != Some(entry.index) {
            return Err(Malformed::Impossible("entries with a gap"));
        }
        if entry.term < term || entry.term > message.term {
            return Err(Malformed::Impossible("entries with decreasing terms"));
        }
        (index, term) = (entry.index, entry.term);
    }
    Ok(())
}

fn entry(cursor: &mut Cursor) -> Result<Entry, Malformed> {
    Ok(Entry {
        index: cursor.u64()?,
        term: cursor.u64()?,
        kind: match cursor.u8()? {
            1 => EntryKind::Command,
            2 => EntryKind::Membership,
            other => return Err(Malformed::Unknown("entry kind", other.into())),
        },
        data: cursor.bytes()?,
    })
}

fn forward(cursor: &mut Cursor) -> Result<Vec<Forwarded>, Malformed> {
    let count = cursor.count(FORWARDED_BYTES_MIN)?;
    let mut list = Vec::with_capacity(count);
    for _ in 0..count {
        let member = MemberId::new(cursor.u64()?)
            .ok_or(Malformed::Impossible("a command without a member id"))?;
        let sequence = cursor.u64()?;
        list.push(Forwarded {
            id: CommandId { member, sequence },
            command: cursor.bytes()?,
        });
    }
    Ok(list)
}

fn put_snapshot_meta(meta: &SnapshotMeta, out: &mut BytesMut) {
    out.put_u64_le(meta.index);
    out.put_u64_le(meta.term);
    let configuration = &meta.configuration;
    for ids in [
        &configuration.voters,
        &configuration.learners,
        &configuration.voters_outgoing,
        &configuration.learners_next,
    ] {
        put_length(ids.len(), out);
        for id in ids {
            out.put_u64_le(*id);
        }
    }
    out.put_u8(configuration.auto_leave.into());
}

fn meta(cursor: &mut Cursor) -> Result<SnapshotMeta, Malformed> {
    Ok(SnapshotMeta {
        index: cursor.u64()?,
        term: cursor.u64()?,
        configuration: Configuration {
            voters: ids(cursor)?,
            learners: ids(cursor)?,
            voters_outgoing: ids(cursor)?,
            learners_next: ids(cursor)?,
            auto_leave: match cursor.u8()? {
                0 => false,
                1 => true,
                other => return Err(Malformed::Unknown("flag", other.into())),
            },
        },
    })
}

fn ids(cursor: &mut Cursor) -> Result<Vec<u64>, Malformed> {
    let count = cursor.count(8)?;
    (0..count).map(|_| cursor.u64()).collect()
}

fn put_bytes(bytes: &[u8], out: &mut BytesMut) {
    put_length(bytes.len(), out);
    out.put_slice(bytes);
}

/// A length that does not fit in four bytes makes a frame that is too large, which is refused when sending.
fn put_length(length: usize, out: &mut BytesMut) {
    out.put_u32_le(u32::try_from(length).unwrap_or(u32::MAX));
}

/// The number of each kind; a number is never reused.
const KINDS: [(RaftKind, u8); 13] = [
    (RaftKind::Append, 1),
    (RaftKind::AppendResponse, 2),
    (RaftKind::Vote, 3),
    (RaftKind::VoteResponse, 4),
    (RaftKind::Snapshot, 5),
    (RaftKind::Heartbeat, 6),
    (RaftKind::HeartbeatResponse, 7),
    (RaftKind::TransferLeader, 8),
    (RaftKind::TimeoutNow, 9),
    (RaftKind::ReadIndex, 10),
    (RaftKind::ReadIndexResponse, 11),
    (RaftKind::PreVote, 12),
    (RaftKind::PreVoteResponse, 13),
];

fn kind_number(kind: RaftKind) -> u8 {
    // 0 is not the number of a kind; a test checks that the table is complete.
    KINDS
        .iter()
        .find(|(known, _)| *known == kind)
        .map_or(0, |(_, number)| *number)
}

fn kind_of(number: u8) -> Result<RaftKind, Malformed> {
    KINDS
        .iter()
        .find(|(_, known)| *known == number)
        .map(|(kind, _)| *kind)
        .ok_or(Malformed::Unknown("Raft message kind", number.into()))
}

#[cfg(test)]
#[path = "message_tests.rs"]
pub(super) mod tests;
