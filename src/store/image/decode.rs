//! Bytes into a store.

use std::fmt;
use std::sync::Arc;

use super::super::applied::{Applied, Runs};
use super::super::binary::{Malformed, Reader, SHORT};
use super::super::codec::member;
use super::super::history::{History, HistoryLimits};
use super::super::node::Node;
use super::super::{Action, ClusterTime, Event, NodeView, Path, Store};
use super::{MAGIC, VERSION};

/// The largest record, in bytes: a recursive delete of some ten million keys. A longer one is no image.
const RECORD_BYTES_MAX: usize = 1 << 30;

/// The highest index an image may have: far from any overflow, and out of reach by counting.
const INDEX_MAX: u64 = u64::MAX / 2;

/// Why bytes are no image that this version can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageError {
    /// They begin otherwise.
    Foreign,
    /// They are in the format of another version, this one.
    Version(u32),
    /// They are damaged.
    Malformed(Malformed),
}

/// A sentence for people.
impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => f.write_str("this is no image of a store"),
            Self::Version(version) => write!(
                f,
                "this image of a store has format {version}; this version reads format {VERSION}"
            ),
            Self::Malformed(what) => write!(f, "this image of a store is damaged: {what}"),
        }
    }
}

impl std::error::Error for ImageError {}

impl From<Malformed> for ImageError {
    fn from(what: Malformed) -> Self {
        Self::Malformed(what)
    }
}

/// Reads an image as its bytes come in, in pieces of any size; holds no more of them than one record.
pub struct Decoder {
    store: Store,
    limits: HistoryLimits,
    next: Expected,
    /// What came in and is not read yet.
    pending: Vec<u8>,
}

/// What comes next in an image.
#[derive(Clone, Copy)]
enum Expected {
    Magic,
    Head,
    /// So many nodes.
    Nodes(usize),
    History,
    /// So many events, all of higher indices than this.
    Events(usize, u64),
}

/// The store of an image that is all there, with as much of its history as `limits` allow.
///
/// # Errors
///
/// [`ImageError`], if it is none that [`encode`](super::encode) makes.
pub fn decode(image: &[u8], limits: HistoryLimits) -> Result<Store, ImageError> {
    let mut decoder = Decoder::new(limits);
    let rest = decoder.read(image)?;
    decoder.pending.extend_from_slice(rest);
    decoder.finish()
}

impl Decoder {
    /// A decoder that has read nothing.
    pub fn new(limits: HistoryLimits) -> Self {
        Self {
            store: Store::new(limits),
            limits,
            next: Expected::Magic,
            pending: Vec::new(),
        }
    }

    /// Take the next piece of the image.
    ///
    /// # Errors
    ///
    /// [`ImageError`]; then the rest need not be read.
    pub fn feed(&mut self, piece: &[u8]) -> Result<(), ImageError> {
        let mut pending = std::mem::take(&mut self.pending);
        pending.extend_from_slice(piece);
        let left = self.read(&pending)?.len();
        pending.drain(..pending.len() - left);
        self.pending = pending;
        Ok(())
    }

    /// The store, when all of the image was fed.
    ///
    /// # Errors
    ///
    /// [`ImageError::Malformed`], if it ended too soon or too late.
    pub fn finish(self) -> Result<Store, ImageError> {
        match self.next {
            Expected::Events(0, _) if self.pending.is_empty() => Ok(self.store),
            Expected::Events(0, _) => Err(Malformed("something follows its end").into()),
            Expected::Magic
            | Expected::Head
            | Expected::Nodes(_)
            | Expected::History
            | Expected::Events(..) => Err(SHORT.into()),
        }
    }

    /// Read all complete records; what is left.
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
                    return Err(Malformed("its history is ahead of it"));
                }
                self.store.history = History::new(self.limits, dropped);
                Expected::Events(events, dropped)
            }
            Expected::Events(left, above) => {
                let event = event(&mut reader)?;
                let index = event.index();
                if index <= above || index > self.store.index {
                    return Err(Malformed("its history is out of order"));
                }
                self.store.history.push(Arc::new(event));
                Expected::Events(left.saturating_sub(1), index)
            }
        };
        reader.end()
    }

    /// All but keys and events; the number of nodes that follow.
    fn head(&mut self, reader: &mut Reader<'_>) -> Result<usize, Malformed> {
        let store = &mut self.store;
        store.index = reader.number()?;
        if store.index > INDEX_MAX {
            return Err(Malformed("its index is too high"));
        }
        store.clock = ClusterTime::from_nanos(reader.number()?);
        let mut above = 0;
        for _ in 0..reader.length()? {
            let member = member(reader)?;
            if member.id.get() <= above {
                return Err(Malformed("its members are out of order"));
            }
            above = member.id.get();
            store.members.put(member, reader.number()?);
        }
        store.applied = applied(reader)?;
        match reader.length()? {
            0 => Err(Malformed("it has no root")),
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
        let placed = match path.parent() {
            None => node == Node::directory(0),
            Some(parent) => {
                let last = tree.nodes().get_max().map(|(last, _)| last);
                last.is_some_and(|last| *last < path)
                    && tree.get(&parent).is_some_and(Node::is_directory)
            }
        };
        if !placed || node.modified > self.store.index {
            return Err(Malformed("a key is out of its place"));
        }
        tree.put(path, node);
        Ok(())
    }
}

/// What follows the magic and the version; none while they are not all there.
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
                return Err(Malformed("its command ids are out of order"));
            }
            runs.insert(first, last);
        }
        if member.get() <= above || !applied.restore(member, runs) {
            return Err(Malformed("its command ids are out of order"));
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
        _ => return Err(Malformed("an event is of no known kind")),
    };
    let path = reader.path()?;
    let node = view(reader, &path)?;
    let prev_node = reader.flag()?.then(|| view(reader, &path)).transpose()?;
    let mut removed: Vec<Path> = Vec::new();
    for _ in 0..reader.length()? {
        let gone = reader.path()?;
        if !gone.is_below(&path) || removed.last().is_some_and(|last| *last >= gone) {
            return Err(Malformed("what an event took away is out of order"));
        }
        removed.push(gone);
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
        return Err(Malformed("a flag is neither set nor clear"));
    }
    let value = (flags & 1 != 0).then(|| reader.bytes()).transpose()?;
    let deadline = (flags & 2 != 0).then(|| reader.number()).transpose()?;
    Ok((value, deadline.map(ClusterTime::from_nanos)))
}
