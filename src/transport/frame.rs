//! Frames: what a connection carries once it has been opened.
//!
//! ```text
//! length u32   of all that follows the checksum
//! checksum u32 CRC-32C of the connection's number and of all that follows
//! version u8 · kind u8 · cluster u64 · from u64 · to u64 · sequence u64 · body
//! ```
//!
//! TCP's own checksum misses what a bad network card or memory does to one packet in millions. The
//! sequence counts the frames of a connection, and the connection's number is drawn by whoever accepts
//! it: so a frame recorded elsewhere, or twice on one connection, is noticed.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use super::message;
use super::wire::{Cursor, Malformed};
use super::{Local, PROTOCOL_VERSION};
use crate::cluster::{ClusterId, MemberId};
use crate::consensus::message::{Body, Forwarded, Message};

/// The largest frame, from version to body. A message that would make a larger one is not sent, and a
/// frame that claims to be larger ends the connection. Entries are at most a few MiB, and a batch of
/// them is bounded by Raft's settings far below this.
pub(super) const FRAME_BYTES_MAX: usize = 64 << 20;

/// Forwarded commands that take more bytes than this are spread over several frames.
const FORWARD_BYTES_MAX: usize = 4 << 20;

/// How much the read buffer grows at a time, whatever length a frame claims.
const READ_STEP: usize = 64 * 1024;

const PREFIX_BYTES: usize = 8;
const HEAD_BYTES: usize = 1 + 1 + 4 * 8;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Are you there?
    Ping,
    /// Yes.
    Pong,
    /// A message of the Raft protocol.
    Raft,
    /// Commands for the leader.
    Forward,
    /// A store's hash.
    StoreHash,
    /// A piece of a snapshot.
    Chunk,
    /// The end of a snapshot, with its length.
    End,
    /// The snapshot is on disk.
    Stored,
    /// The snapshot could not be taken; the body says why.
    Failed,
}

const KINDS: [Kind; 9] = [
    Kind::Ping,
    Kind::Pong,
    Kind::Raft,
    Kind::Forward,
    Kind::StoreHash,
    Kind::Chunk,
    Kind::End,
    Kind::Stored,
    Kind::Failed,
];

impl Kind {
    fn number(self) -> u8 {
        match self {
            Self::Ping => 1,
            Self::Pong => 2,
            Self::Raft => 3,
            Self::Forward => 4,
            Self::StoreHash => 5,
            Self::Chunk => 6,
            Self::End => 7,
            Self::Stored => 8,
            Self::Failed => 9,
        }
    }

    fn of(number: u8) -> Option<Self> {
        KINDS.into_iter().find(|kind| kind.number() == number)
    }
}

/// One direction of a connection: what each frame on it must say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// Whose cluster.
    pub(super) cluster: ClusterId,
    /// Who writes.
    pub(super) from: MemberId,
    /// Who reads.
    pub(super) to: MemberId,
    /// The number of the connection.
    pub(super) connection: u64,
}

impl Link {
    /// The direction from `local` to `to`.
    pub(super) fn outgoing(local: &Local, to: MemberId, connection: u64) -> Self {
        Self {
            cluster: local.cluster,
            from: local.id,
            to,
            connection,
        }
    }

    /// The other direction of the same connection.
    pub(super) fn reversed(self) -> Self {
        Self {
            from: self.to,
            to: self.from,
            ..self
        }
    }

    fn seed(self) -> u32 {
        crc32c::crc32c(&self.connection.to_le_bytes())
    }
}

/// A frame that would be larger than [`FRAME_BYTES_MAX`]: its size. Nothing of it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLarge(pub(super) usize);

/// Makes the frames of one direction of a connection.
pub(super) struct FrameWriter {
    link: Link,
    sequence: u64,
}

impl FrameWriter {
    /// For a new connection.
    pub(super) fn new(link: Link) -> Self {
        Self { link, sequence: 0 }
    }

    /// Append a frame whose body is what `body` appends.
    pub(super) fn put(
        &mut self,
        kind: Kind,
        out: &mut BytesMut,
        body: impl FnOnce(&mut BytesMut),
    ) -> Result<(), TooLarge> {
        let start = out.len();
        out.put_bytes(0, PREFIX_BYTES);
        out.put_u8(PROTOCOL_VERSION);
        out.put_u8(kind.number());
        out.put_u64_le(self.link.cluster.get());
        out.put_u64_le(self.link.from.get());
        out.put_u64_le(self.link.to.get());
        out.put_u64_le(self.sequence);
        body(out);
        let bytes = out.len() - start - PREFIX_BYTES;
        let length = match u32::try_from(bytes) {
            Ok(length) if bytes <= FRAME_BYTES_MAX => length,
            Ok(_) | Err(_) => {
                out.truncate(start);
                return Err(TooLarge(bytes));
            }
        };
        let checksum = crc32c::crc32c_append(self.link.seed(), &out[start + PREFIX_BYTES..]);
        out[start..start + 4].copy_from_slice(&length.to_le_bytes());
        out[start + 4..start + PREFIX_BYTES].copy_from_slice(&checksum.to_le_bytes());
        self.sequence += 1;
        Ok(())
    }

    /// Append the frames that carry `body`: one, or more for many forwarded commands.
    pub(super) fn put_message(&mut self, body: &Body, out: &mut BytesMut) -> Result<(), TooLarge> {
        let kind = message::kind(body);
        match body {
            Body::Raft(raft) => self.put(kind, out, |out| message::put_raft(raft, out)),
            Body::Forward(list) => parts(list)
                .try_for_each(|part| self.put(kind, out, |out| message::put_forward(part, out))),
            Body::StoreHash { index, hash } => self.put(kind, out, |out| {
                message::put_store_hash(*index, *hash, out);
            }),
        }
    }
}

/// The list in parts that fit a frame, as long as each command does.
fn parts(list: &[Forwarded]) -> impl Iterator<Item = &[Forwarded]> {
    let mut rest = list;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fitting = rest
            .iter()
            .take_while(|forwarded| {
                bytes += message::forwarded_weight(forwarded);
                bytes <= FORWARD_BYTES_MAX
            })
            .count();
        let (part, after) = rest.split_at(fitting.max(1).min(rest.len()));
        rest = after;
        (!part.is_empty()).then_some(part)
    })
}

/// A frame that was whole and in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// What it is.
    pub(super) kind: Kind,
    /// What it carries.
    pub(super) body: Bytes,
    /// How many bytes it took on the connection.
    pub(super) bytes: usize,
}

impl Frame {
    /// The message it carries; none if it carries none.
    pub(super) fn message(self, link: Link) -> Result<Option<Message>, Malformed> {
        let body = message::read(self.kind, self.body)?;
        Ok(body.map(|body| Message {
            from: link.from,
            to: link.to,
            body,
        }))
    }
}

/// Why a connection's bytes are no frames of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FrameError {
    /// Its length is impossible.
    Length(usize),
    /// The checksum does not match.
    Checksum,
    /// It speaks another version.
    Version(u8),
    /// It belongs to another cluster.
    Cluster(u64),
    /// It is from or to someone else.
    Sender(u64, u64),
    /// It is not the next one.
    Sequence(u64, u64),
    /// Its body makes no sense.
    Body(Malformed),
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(bytes) => write!(f, "a frame of {bytes} bytes"),
            Self::Checksum => write!(f, "a frame whose checksum does not match"),
            Self::Version(version) => write!(f, "a frame of version {version}"),
            Self::Cluster(id) => write!(f, "a frame of cluster {id:016x}"),
            Self::Sender(from, to) => write!(f, "a frame from {from:016x} to {to:016x}"),
            Self::Sequence(got, due) => write!(f, "frame number {got} where {due} was due"),
            Self::Body(malformed) => malformed.fmt(f),
        }
    }
}

impl From<Malformed> for FrameError {
    fn from(malformed: Malformed) -> Self {
        Self::Body(malformed)
    }
}

/// Takes the frames of one direction of a connection out of its bytes.
pub(super) struct FrameReader {
    link: Link,
    sequence: u64,
}

impl FrameReader {
    /// For a new connection; `link` is the direction from the other side to us.
    pub(super) fn new(link: Link) -> Self {
        Self { link, sequence: 0 }
    }

    /// The direction it reads.
    pub(super) fn link(&self) -> Link {
        self.link
    }

    /// Take the next frame off the front of `buffer`; none if it is not all there, and then the buffer
    /// has room to read more. After an error the connection is of no use.
    pub(super) fn take(&mut self, buffer: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
        let Some((prefix, rest)) = buffer.split_first_chunk::<PREFIX_BYTES>() else {
            buffer.reserve(READ_STEP);
            return Ok(None);
        };
        let [l0, l1, l2, l3, c0, c1, c2, c3] = *prefix;
        let checksum = u32::from_le_bytes([c0, c1, c2, c3]);
        let bytes = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
        if !(HEAD_BYTES..=FRAME_BYTES_MAX).contains(&bytes) {
            return Err(FrameError::Length(bytes));
        }
        let Some(frame) = rest.get(..bytes) else {
            let missing = bytes - rest.len();
            buffer.reserve(missing.min(READ_STEP));
            return Ok(None);
        };
        if crc32c::crc32c_append(self.link.seed(), frame) != checksum {
            return Err(FrameError::Checksum);
        }
        let frame = buffer.split_to(PREFIX_BYTES + bytes).freeze();
        self.check(frame.slice(PREFIX_BYTES..)).map(Some)
    }

    fn check(&mut self, frame: Bytes) -> Result<Frame, FrameError> {
        let bytes = frame.len() + PREFIX_BYTES;
        let mut cursor = Cursor::new(frame);
        let version = cursor.u8()?;
        if version != PROTOCOL_VERSION {
            return Err(FrameError::Version(version));
        }
        let kind = cursor.u8()?;
        let kind = Kind::of(kind).ok_or(Malformed::Unknown("kind of frame", kind.into()))?;
        let (cluster, from, to) = (cursor.u64()?, cursor.u64()?, cursor.u64()?);
        if cluster != self.link.cluster.get() {
            return Err(FrameError::Cluster(cluster));
        }
        if (from, to) != (self.link.from.get(), self.link.to.get()) {
            return Err(FrameError::Sender(from, to));
        }
        let sequence = cursor.u64()?;
        if sequence != self.sequence {
            return Err(FrameError::Sequence(sequence, self.sequence));
        }
        self.sequence += 1;
        Ok(Frame {
            kind,
            body: cursor.rest(),
            bytes,
        })
    }
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
