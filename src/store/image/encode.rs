//! Encodes a store.

use bytes::Bytes;

use super::super::binary::{put_bytes, put_length, put_member_id, put_number, put_path};
use super::super::codec::put_member;
use super::super::node::Node;
use super::super::{Action, ClusterTime, Event, NodeView, Path, Store};
use super::{MAGIC, VERSION};

/// The approximate size of a chunk, in bytes; a large value at its end makes it larger.
pub const CHUNK_BYTES: usize = 64 << 10;

/// The records of an image.
pub(super) enum Record<'a> {
    /// Everything except keys and events.
    Head(&'a Store),
    /// A key.
    Node(&'a Path, &'a Node),
    /// The head of the history.
    History(&'a Store),
    /// An event.
    Event(&'a Event),
}

/// Encode a store, in chunks of about [`CHUNK_BYTES`]. Equal stores have equal images.
///
/// Use a clone of the store, outside its lock.
pub fn encode(store: &Store) -> impl Iterator<Item = Bytes> + Send {
    let mut records = replicated(store).chain(history(store));
    let mut first = true;
    let mut scratch = Vec::new();
    std::iter::from_fn(move || {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 8);
        if std::mem::take(&mut first) {
            chunk.extend_from_slice(MAGIC);
            chunk.extend_from_slice(&VERSION.to_le_bytes());
        }
        while chunk.len() < CHUNK_BYTES {
            let Some(record) = records.next() else {
                break;
            };
            scratch.clear();
            record.put(&mut scratch);
            put_bytes(&mut chunk, &scratch);
        }
        (!chunk.is_empty()).then(|| Bytes::from(chunk))
    })
}

/// The records of the replicated state.
pub(super) fn replicated(store: &Store) -> impl Iterator<Item = Record<'_>> + Send {
    let nodes = store.tree.nodes().iter();
    std::iter::once(Record::Head(store)).chain(nodes.map(|(path, node)| Record::Node(path, node)))
}

/// The records of the history, whose limits may differ between members.
fn history(store: &Store) -> impl Iterator<Item = Record<'_>> + Send {
    let events = store.history.events().map(|event| Record::Event(event));
    std::iter::once(Record::History(store)).chain(events)
}

impl Record<'_> {
    /// Append the record.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Head(store) => put_head(out, store),
            Self::Node(path, node) => {
                put_path(out, path);
                put_content(out, node.value.as_deref(), node.deadline);
                put_number(out, node.created);
                put_number(out, node.modified);
            }
            Self::History(store) => {
                put_number(out, store.history.dropped());
                put_length(out, store.history.len());
            }
            Self::Event(event) => put_event(out, event),
        }
    }
}

fn put_head(out: &mut Vec<u8>, store: &Store) {
    put_number(out, store.index);
    put_number(out, store.clock.as_nanos());
    put_length(out, store.members.entries().count());
    for entry in store.members.entries() {
        put_member(out, &entry.member);
        put_number(out, entry.written);
    }
    put_length(out, store.applied.members().len());
    for (member, runs) in store.applied.members() {
        put_member_id(out, *member);
        put_length(out, runs.len());
        for (first, last) in runs {
            put_number(out, *first);
            put_number(out, *last);
        }
    }
    put_length(out, store.tree.nodes().len());
}

fn put_event(out: &mut Vec<u8>, event: &Event) {
    out.push(match event.action {
        Action::Get => 0,
        Action::Set => 1,
        Action::Create => 2,
        Action::Update => 3,
        Action::Delete => 4,
        Action::CompareAndSwap => 5,
        Action::CompareAndDelete => 6,
        Action::Expire => 7,
    });
    put_path(out, &event.node.path);
    put_view(out, &event.node);
    out.push(u8::from(event.prev_node.is_some()));
    if let Some(prev_node) = &event.prev_node {
        put_view(out, prev_node);
    }
    put_length(out, event.removed.len());
    for path in &event.removed {
        put_path(out, path);
    }
}

/// Append a view without its key, which is the same for both views of an event.
fn put_view(out: &mut Vec<u8>, view: &NodeView) {
    put_content(out, view.value.as_deref(), view.deadline);
    out.push(u8::from(view.directory));
    put_number(out, view.ttl);
    put_number(out, view.created);
    put_number(out, view.modified);
}

fn put_content(out: &mut Vec<u8>, value: Option<&[u8]>, deadline: Option<ClusterTime>) {
    out.push(u8::from(value.is_some()) | u8::from(deadline.is_some()) << 1);
    if let Some(value) = value {
        put_bytes(out, value);
    }
    if let Some(deadline) = deadline {
        put_number(out, deadline.as_nanos());
    }
}
