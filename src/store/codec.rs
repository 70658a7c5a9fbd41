//! The encoding of commands in the log and between members.
//!
//! A forwarded command is only its body. An entry is a stamp, an optional id, and that body unchanged: the
//! leader writes [`entry`] around a body without decoding it.

use std::time::Duration;

use bytes::Bytes;

pub use super::binary::Malformed;
use super::binary::{Reader, put_bytes, put_member_id, put_number, put_path};
use super::{ClusterTime, Command, CommandId, Condition, Content, Path, Stamped};
use crate::cluster::Member;

/// The first byte of a command's body.
mod kind {
    pub(super) const SET: u8 = 1;
    pub(super) const CREATE: u8 = 2;
    pub(super) const CREATE_IN_ORDER: u8 = 3;
    pub(super) const UPDATE: u8 = 4;
    pub(super) const REFRESH: u8 = 5;
    pub(super) const COMPARE_AND_SWAP: u8 = 6;
    pub(super) const DELETE: u8 = 7;
    pub(super) const COMPARE_AND_DELETE: u8 = 8;
    pub(super) const EXPIRE: u8 = 9;
    pub(super) const TICK: u8 = 10;
    pub(super) const PUT_MEMBER: u8 = 11;
    pub(super) const REMOVE_MEMBER: u8 = 12;
    pub(super) const PUT_SETTINGS: u8 = 13;
}

/// The longest stamp and id, in bytes.
const HEAD_BYTES_MAX: usize = 8 + 1 + 8 + 8;

/// Encode the body of a command.
pub fn encode_command(command: &Command) -> Bytes {
    let mut out = Vec::with_capacity(64);
    put_command(&mut out, command);
    Bytes::from(out)
}

/// Encode an entry: a stamp, an id and the body of a command.
pub fn entry(stamp: ClusterTime, id: Option<CommandId>, command: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(HEAD_BYTES_MAX + command.len());
    put_head(&mut out, stamp, id);
    out.extend_from_slice(command);
    Bytes::from(out)
}

/// Encode an entry.
pub fn encode_stamped(stamped: &Stamped) -> Bytes {
    let mut out = Vec::with_capacity(HEAD_BYTES_MAX + 64);
    put_head(&mut out, stamped.stamp, stamped.id);
    put_command(&mut out, &stamped.command);
    Bytes::from(out)
}

/// Decode the body of a command. Strings and values are copies.
///
/// # Errors
///
/// [`Malformed`]: the bytes are not the result of [`encode_command`].
pub fn decode_command(body: &[u8]) -> Result<Command, Malformed> {
    let mut reader = Reader::new(body);
    let command = command(&mut reader)?;
    reader.end()?;
    Ok(command)
}

/// Decode an entry. Strings and values are copies.
///
/// # Errors
///
/// [`Malformed`]: the bytes are not the result of [`entry`] with a valid body.
pub fn decode_stamped(bytes: &[u8]) -> Result<Stamped, Malformed> {
    let mut reader = Reader::new(bytes);
    let stamp = ClusterTime::from_nanos(reader.fixed()?);
    let id = if reader.flag()? {
        let (member, sequence) = (reader.member_id()?, reader.fixed()?);
        Some(CommandId { member, sequence })
    } else {
        None
    };
    let command = command(&mut reader)?;
    reader.end()?;
    Ok(Stamped { stamp, id, command })
}

/// The stamp of an entry; none if it is too short, like the empty entry of a new leader.
pub fn stamp_of(bytes: &[u8]) -> Option<ClusterTime> {
    let stamp = Reader::new(bytes).fixed().ok()?;
    Some(ClusterTime::from_nanos(stamp))
}

fn put_head(out: &mut Vec<u8>, stamp: ClusterTime, id: Option<CommandId>) {
    out.extend_from_slice(&stamp.as_nanos().to_le_bytes());
    out.push(u8::from(id.is_some()));
    if let Some(id) = id {
        put_member_id(out, id.member);
        out.extend_from_slice(&id.sequence.to_le_bytes());
    }
}

fn put_command(out: &mut Vec<u8>, command: &Command) {
    match command {
        Command::Set { path, content, ttl } => put_new(out, kind::SET, path, content, *ttl),
        Command::Create { path, content, ttl } => put_new(out, kind::CREATE, path, content, *ttl),
        Command::CreateInOrder {
            directory,
            content,
            ttl,
        } => put_new(out, kind::CREATE_IN_ORDER, directory, content, *ttl),
        Command::Update {
            path,
            value,
            directory,
            ttl,
        } => {
            put_at(out, kind::UPDATE, path);
            put_option(out, value.as_deref());
            out.push(u8::from(*directory));
            put_ttl(out, *ttl);
        }
        Command::Refresh {
            path,
            condition,
            ttl,
        } => {
            put_at(out, kind::REFRESH, path);
            put_condition(out, condition);
            put_ttl(out, *ttl);
        }
        Command::CompareAndSwap {
            path,
            condition,
            value,
            ttl,
        } => {
            put_at(out, kind::COMPARE_AND_SWAP, path);
            put_condition(out, condition);
            put_bytes(out, value);
            put_ttl(out, *ttl);
        }
        Command::Delete {
            path,
            directory,
            recursive,
        } => {
            put_at(out, kind::DELETE, path);
            out.extend([u8::from(*directory), u8::from(*recursive)]);
        }
        Command::CompareAndDelete { path, condition } => {
            put_at(out, kind::COMPARE_AND_DELETE, path);
            put_condition(out, condition);
        }
        Command::Expire => out.push(kind::EXPIRE),
        Command::Tick => out.push(kind::TICK),
        Command::PutMember(member) => {
            out.push(kind::PUT_MEMBER);
            put_member(out, member);
        }
        Command::RemoveMember { id, name } => {
            out.push(kind::REMOVE_MEMBER);
            put_member_id(out, *id);
            put_bytes(out, name.as_bytes());
        }
        Command::PutSettings(settings) => {
            out.push(kind::PUT_SETTINGS);
            put_bytes(out, settings);
        }
    }
}

fn command(reader: &mut Reader<'_>) -> Result<Command, Malformed> {
    Ok(match reader.byte()? {
        kind::SET => Command::Set {
            path: reader.path()?,
            content: content(reader)?,
            ttl: ttl(reader)?,
        },
        kind::CREATE => Command::Create {
            path: reader.path()?,
            content: content(reader)?,
            ttl: ttl(reader)?,
        },
        kind::CREATE_IN_ORDER => Command::CreateInOrder {
            directory: reader.path()?,
            content: content(reader)?,
            ttl: ttl(reader)?,
        },
        kind::UPDATE => Command::Update {
            path: reader.path()?,
            value: option(reader)?,
            directory: reader.flag()?,
            ttl: ttl(reader)?,
        },
        kind::REFRESH => Command::Refresh {
            path: reader.path()?,
            condition: condition(reader)?,
            ttl: ttl(reader)?,
        },
        kind::COMPARE_AND_SWAP => Command::CompareAndSwap {
            path: reader.path()?,
            condition: condition(reader)?,
            value: reader.value()?,
            ttl: ttl(reader)?,
        },
        kind::DELETE => Command::Delete {
            path: reader.path()?,
            directory: reader.flag()?,
            recursive: reader.flag()?,
        },
        kind::COMPARE_AND_DELETE => Command::CompareAndDelete {
            path: reader.path()?,
            condition: condition(reader)?,
        },
        kind::EXPIRE => Command::Expire,
        kind::TICK => Command::Tick,
        kind::PUT_MEMBER => Command::PutMember(member(reader)?),
        kind::REMOVE_MEMBER => Command::RemoveMember {
            id: reader.member_id()?,
            name: reader.text()?.to_owned(),
        },
        kind::PUT_SETTINGS => Command::PutSettings(reader.value()?),
        _ => return Err(Malformed("unknown kind of command")),
    })
}

fn put_at(out: &mut Vec<u8>, kind: u8, path: &Path) {
    out.push(kind);
    put_path(out, path);
}

fn put_new(out: &mut Vec<u8>, kind: u8, path: &Path, content: &Content, ttl: Option<Duration>) {
    put_at(out, kind, path);
    match content {
        Content::Value(value) => put_option(out, Some(value)),
        Content::Directory => put_option(out, None),
    }
    put_ttl(out, ttl);
}

fn content(reader: &mut Reader<'_>) -> Result<Content, Malformed> {
    Ok(option(reader)?.map_or(Content::Directory, Content::Value))
}

fn put_option(out: &mut Vec<u8>, value: Option<&[u8]>) {
    out.push(u8::from(value.is_some()));
    if let Some(value) = value {
        put_bytes(out, value);
    }
}

fn option(reader: &mut Reader<'_>) -> Result<Option<Bytes>, Malformed> {
    reader.flag()?.then(|| reader.value()).transpose()
}

fn put_ttl(out: &mut Vec<u8>, ttl: Option<Duration>) {
    out.push(u8::from(ttl.is_some()));
    if let Some(ttl) = ttl {
        put_number(out, ttl.as_secs());
        put_number(out, u64::from(ttl.subsec_nanos()));
    }
}

fn ttl(reader: &mut Reader<'_>) -> Result<Option<Duration>, Malformed> {
    if !reader.flag()? {
        return Ok(None);
    }
    let (seconds, nanos) = (reader.number()?, reader.number()?);
    match u32::try_from(nanos) {
        Ok(nanos) if nanos < 1_000_000_000 => Ok(Some(Duration::new(seconds, nanos))),
        Ok(_) | Err(_) => Err(Malformed("too many nanoseconds")),
    }
}

fn put_condition(out: &mut Vec<u8>, condition: &Condition) {
    put_option(out, condition.value.as_deref());
    out.push(u8::from(condition.index.is_some()));
    if let Some(index) = condition.index {
        put_number(out, index);
    }
}

fn condition(reader: &mut Reader<'_>) -> Result<Condition, Malformed> {
    let value = option(reader)?;
    let index = reader.flag()?.then(|| reader.number()).transpose()?;
    Ok(Condition { value, index })
}

/// Append a member; also used by the image.
pub(super) fn put_member(out: &mut Vec<u8>, member: &Member) {
    put_member_id(out, member.id);
    for text in [&member.name, &member.client_url, &member.peer_url] {
        put_bytes(out, text.as_bytes());
    }
}

/// Decode a member.
pub(super) fn member(reader: &mut Reader<'_>) -> Result<Member, Malformed> {
    Ok(Member {
        id: reader.member_id()?,
        name: reader.text()?.to_owned(),
        client_url: reader.text()?.to_owned(),
        peer_url: reader.text()?.to_owned(),
    })
}
