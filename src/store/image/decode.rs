//! Decodes a store.

use std::fmt;
use std::sync::Arc;

use super::super::applied::{Applied, Runs};
use super::super::binary::{Malformed, Reader, SHORT};
use super::super::codec::member;
use super::super::history::{History, HistoryLimits};
use super::super::node::Node;
use super::super::{Action, ClusterTime, Event, NodeView, Path, Store};
use super::{MAGIC, VERSION};

/// The largest record, in bytes: a recursive delete of about ten million keys. A longer one is not valid.
const RECORD_BYTES_MAX: usize = 1 << 30;

/// The highest valid index: far from an overflow, and not reachable in practice.
const INDEX_MAX: u64 = u64::MAX / 2;

/// Why an image cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageError {
    /// It does not start with the magic.
    Foreign,
    /// It has this other version.
    Version(u32),
    /// It is damaged.
    Malformed(Malformed),
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => f.write_str("not an image of a store"),
            Self::Version(version) => write!(
                f,
                "the image of the store has format {version}; this version reads format {VERSION}"
            ),
            Self::Malformed(what) => write!(f, "the image of the store is damaged: {what}"),
        }
    }
}

impl std::error::Error for ImageError {}

impl From<Malformed> for ImageError {
    fn from(what: Malformed) -> Self {
        Self::Malformed(what)
    }
}

/// Decodes an image from chunks of any size; buffers at most one record.
pub struct Decoder {
    store: Store,
    limits: HistoryLimits,
    next: Expected,
    /// Bytes that are not decoded yet.
    pending: Vec<u8>,
}

/// The next part of an image.
#[derive(Clone, Copy)]
enum Expected {
    Magic,
    Head,
    /// This number of nodes.
    Nodes(usize),
    History,
    /// This number of events (first), all with higher indices than the second value.
    Events(usize, u64),
}

/// Decode a complete image, with as much of its history as `limits` allow.
///
/// # Errors
///
/// - [`ImageError::Foreign`]: it does not start with the magic.
/// - [`ImageError::Version`]: it has another version.
/// - [`ImageError::Malformed`]: it is not the result of [`encode`](super::encode).
pub fn decode(image: &[u8], limits: HistoryLimits) -> Result<Store, ImageError> {
    let mut decoder = Decoder::new(limits);
    let rest = decoder.read(image)?;
    decoder.pending.extend_from_slice(rest);
    decoder.finish()
}

impl Decoder {
    /// A new decoder.
    pub fn new(limits: HistoryLimits) -> Self {
        Self {
            store: Store::new(limits),
            limits,
            next: Expected::Magic,
            pending: Vec::new(),
        }
    }

    /// Decode the next chunk of the image.
    ///
    /// # Errors
    ///
    /// As [`decode`]; the decoder must be dropped.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<(), ImageError> {
        let mut pending = std::mem::take(&mut self.pending);
        pending.extend_from_slice(chunk);
        let left = self.read(&pending)?.len();
        pending.drain(..pending.len() - left);
        self.pending = pending;
        Ok(())
    }

    /// The store, after the whole image was decoded.
    ///
    /// # Errors
    ///
    /// [`ImageError::Malformed`]: the image is truncated, or there are bytes after its end.
    pub fn finish(self) -> Result<Store, ImageError> {
        match self.next {
            Expected::Events(0, _) if self.pending.is_empty() => Ok(self.store),
            Expected::Events(0, _) => Err(Malformed("bytes after the end").into()),
            Expected::Magic
            | Expected::Head
            | Expected::Nodes(_)
            | Expected::History
            | Expected::Events(..) => Err(SHORT.into()),
        }
    }

    /// Decode all complete records. Returns the remaining bytes.
    fn read<'a>(&mut self, mut bytes: &'a [u8]) -> Result<&'a [u8], ImageError> {
        if matches!(self.next, Expected::Magic) {
            let Some(rest) = preamble(bytes)? else {
                return Ok(bytes);
            };
            bytes = rest;
            self.next = Expected::Head;
        }
        while !matches!(self.next, Expected::Events(0, _)) {
            let mut reader = Reader::new(bytes);
            let length = match reader.length() {
                Ok(length) if length <= RECORD_BYTES_MAX => length,
                Ok(_) => return Err(Malformed("a record is too long").into()),
                Err(SHORT) => break,
                Err(error) => return Err(error.into()),
            };
            let Ok(record) = reader.take(length) else {
                break;
            };
            self.record(record)?;
            bytes = &bytes[bytes.len() - reader.left()..];
        }
        Ok(bytes)
    }

    fn record(&mut self, record: &[u8]) -> Result<(), Malformed> {
        let mut reader = Reader::new(record);
        self.next = match self.next {
            Expected::Magic | Expected::Head => after_nodes(self.head(&mut reader)?),
            Expected::Nodes(left) => {
                self.node(&mut reader)?;
                after_nodes(left.saturating_sub(1))
            }
            Expected::History => {
                let (dropped, events) = (reader.number()?, reader.length()?);
                if dropped > self.store.index {
                    return Err(Malformed("the history is ahead of the index"));
                }
                self.store.history = History::new(self.limits, dropped);
                Expected::Events(events, dropped)
            }
            Expected::Events(left, above) => {
                let event = event(&mut reader)?;
                let index = event.index();
                if index <= above || index > self.store.index {
                    return Err(Malformed("the history is out of order"));
                }
                self.store.history.push(Arc::new(event));
                Expected::Events(left.saturating_sub(1), index)
            }
        };
        reader.end()
    }

    /// Decode the head. Returns the number of nodes.
    fn head(&mut self, reader: &mut Reader<'_>) -> Result<usize, Malformed> {
        let store = &mut self.store;
        store.index = reader.number()?;
        if store.index > INDEX_MAX {
            return Err(Malformed("the index is too high"));
        }
        store.clock = ClusterTime::from_nanos(reader.number()?);
        let mut above = 0;
        for _ in 0..reader.length()? {
            let member = member(reader)?;
            if member.id.get() <= above {
                return Err(Malformed("the members are out of order"));
            }
            above = member.id.get();
            store.members.put(member, reader.number()?);
        }
        store.applied = applied(reader)?;
        match reader.length()? {
            0 => Err(Malformed("there is no root")),
            nodes => Ok(nodes),
        }
    }

    fn node(&mut self, reader: &mut Reader<'_>) -> Result<(), Malformed> {
        let path = reader.path()?;
        let (value, deadline) = content(reader)?;
        let node = Node {
            value: value.map(bytes::Bytes::copy_from_slice),
            deadline,
            created: reader.number()?,
            modified: reader.number()?,
        };
        let tree = &mut self.store.tree;
        let is_in_order = match path.parent() {
            None => node == Node::directory(0),
            Some(parent) => {
                let last = tree.nodes().get_max().map(|(last, _)| last);
                last.is_some_and(|last| *last < path)
                    && tree.get(&parent).is_some_and(Node::is_directory)
            }
        };
        if !is_in_order || node.modified > self.store.index {
            return Err(Malformed("a key is out of order"));
        }
        tree.put(path, node);
        Ok(())
    }
}

/// Check magic and version. Returns the bytes after them; none if they are incomplete.
fn preamble(bytes: &[u8]) -> Result<Option<&[u8]>, ImageError> {
    let seen = bytes.len().min(MAGIC.len());
    if bytes[..seen] != MAGIC[..seen] {
        return Err(ImageError::Foreign);
    }
    let version = bytes.get(MAGIC.len()..).and_then(<[u8]>::split_first_chunk);
    match version.map(|(version, rest)| (u32::from_le_bytes(*version), rest)) {
        None => Ok(None),
        Some((VERSION, rest)) => Ok(Some(rest)),
        Some((version, _)) => Err(ImageError::Version(version)),
    }
}

fn after_nodes(left: usize) -> Expected {
    match left {
        0 => Expected::History,
        left => Expected::Nodes(left),
    }
}

fn applied(reader: &mut Reader<'_>) -> Result<Applied, Malformed> {
    let mut applied = Applied::default();
    let mut above = 0;
    for _ in 0..reader.length()? {
        let member = reader.member_id()?;
        let mut runs = Runs::new();
        for _ in 0..reader.length()? {
            let (first, last) = (reader.number()?, reader.number()?);
            if runs.get_max().is_some_and(|(before, _)| *before >= first) {
                return Err(Malformed("the command ids are out of order"));
            }
            runs.insert(first, last);
        }
        if member.get() <= above || !applied.restore(member, runs) {
            return Err(Malformed("the command ids are out of order"));
        }
        above = member.get();
    }
    Ok(applied)
}

fn event(reader: &mut Reader<'_>) -> Result<Event, Malformed> {
    let action = match reader.byte()? {
        0 => Action::Get,
        1 => Action::Set,
        2 => Action::Create,
        3 => Action::Update,
        4 => Action::Delete,
        5 => Action::CompareAndSwap,
        6 => Action::CompareAndDelete,
        7 => Action::Expire,
        _ => return Err(Malformed("unknown kind of event")),
    };
    let path = reader.path()?;
    let node = view(reader, &path)?;
    let prev_node = reader.flag()?.then(|| view(reader, &path)).transpose()?;
    let mut removed: Vec<Path> = Vec::new();
    for _ in 0..reader.length()? {
        let key = reader.path()?;
        if !key.is_below(&path) || removed.last().is_some_and(|last| *last >= key) {
            return Err(Malformed("the removed keys of an event are out of order"));
        }
        removed.push(key);
    }
    Ok(Event {
        action,
        node,
        prev_node,
        removed: removed.into(),
    })
}

fn view(reader: &mut Reader<'_>, path: &Path) -> Result<NodeView, Malformed> {
    let (value, deadline) = content(reader)?;
    Ok(NodeView {
        path: path.clone(),
        value: value.map(bytes::Bytes::copy_from_slice),
        deadline,
        directory: reader.flag()?,
        ttl: reader.number()?,
        created: reader.number()?,
        modified: reader.number()?,
    })
}

type Content<'a> = (Option<&'a [u8]>, Option<ClusterTime>);

fn content<'a>(reader: &mut Reader<'a>) -> Result<Content<'a>, Malformed> {
    let flags = reader.byte()?;
    if flags > 3 {
        return Err(Malformed("a flag is neither 0 nor 1"));
    }
    let value = (flags & 1 != 0).then(|| reader.bytes()).transpose()?;
    let deadline = (flags & 2 != 0).then(|| reader.number()).transpose()?;
    Ok((value, deadline.map(ClusterTime::from_nanos)))
}
