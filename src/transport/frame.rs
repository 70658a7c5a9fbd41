//! Frames: the content of a connection between members after the handshake.
//!
//! ```text
//! length u32   of all that follows the checksum
//! checksum u32 CRC-32C of the connection's number and of all that follows
//! version u8 · kind u8 · cluster u64 · from u64 · to u64 · sequence u64 · body
//! ```
//!
//! The checksum of TCP misses corruption by a faulty network card or memory in about one of millions of
//! packets. The sequence counts the frames of a connection, and the accepting member draws the connection's
//! number: a frame that was recorded on another connection, or is repeated on the same, is detected.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use super::kind::Kind;
use super::message;
use super::wire::{Cursor, Malformed};
use super::{Local, PROTOCOL_VERSION};
use crate::cluster::{ClusterId, MemberId};
use crate::consensus::message::{Body, Forwarded, Message};

/// The largest frame in bytes, from version to body. A message that would need a larger frame is not sent,
/// and a larger length in a frame ends the connection. Entries are at most a few MiB, and a batch of them is
/// limited by the settings of Raft to far less.
pub(super) const FRAME_BYTES_MAX: usize = 64 << 20;

/// Forwarded commands of more bytes than this are sent in several frames.
const FORWARD_BYTES_MAX: usize = 4 << 20;

/// How many bytes the read buffer grows by at a time, independent of the length in a frame.
const READ_STEP: usize = 64 * 1024;

const PREFIX_BYTES: usize = 8;
const HEAD_BYTES: usize = 1 + 1 + 4 * 8;

/// One direction of a connection: the values that every frame on it must carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// The cluster.
    pub(super) cluster: ClusterId,
    /// The sender.
    pub(super) from: MemberId,
    /// The receiver.
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

/// A frame would be larger than [`FRAME_BYTES_MAX`]; its size in bytes. Nothing of it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLarge(pub(super) usize);

/// Encodes the frames of one direction of a connection.
pub(super) struct FrameWriter {
    link: Link,
    sequence: u64,
}

impl FrameWriter {
    /// A writer for a new connection.
    pub(super) fn new(link: Link) -> Self {
        Self { link, sequence: 0 }
    }

    /// Append a frame to `out`; `body` appends its body.
    ///
    /// # Errors
    ///
    /// [`TooLarge`]: the frame would be larger than [`FRAME_BYTES_MAX`].
    pub(super) fn put(
        &mut self,
        kind: Kind,
        out: &mut BytesMut,
        body: impl FnOnce(&mut BytesMut),
    ) -> Result<(), TooLarge> {
        let start = out.len();
        out.put_bytes(0, PREFIX_BYTES);
        out.put_u8(PROTOCOL_VERSION);
        out.put_u8(kind.to_number());
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

    /// Append the frames of a message: one, or several for many forwarded commands.
    ///
    /// # Errors
    ///
    /// [`TooLarge`]: a frame would be larger than [`FRAME_BYTES_MAX`].
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

/// Split the list into parts that fit a frame each, if every single command does.
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

/// A frame that passed all checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// Its kind.
    pub(super) kind: Kind,
    /// Its body.
    pub(super) body: Bytes,
    /// Its size on the connection, in bytes.
    pub(super) bytes: usize,
}

impl Frame {
    /// Decode the message in the frame; none if it is not of a kind that carries one.
    ///
    /// # Errors
    ///
    /// [`Malformed`]: the body is not a valid message.
    pub(super) fn message(self, link: Link) -> Result<Option<Message>, Malformed> {
        let body = message::read(self.kind, self.body)?;
        Ok(body.map(|body| Message {
            from: link.from,
            to: link.to,
            body,
        }))
    }
}

/// Why received bytes are not a valid frame of the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FrameError {
    /// The length is out of range.
    Length(usize),
    /// The checksum does not match.
    Checksum,
    /// The protocol version is a different one.
    Version(u8),
    /// The frame is of another cluster.
    Cluster(u64),
    /// The sender or the receiver (given in this order) is another member.
    Members(u64, u64),
    /// The sequence number (first) is not the expected one (second).
    Sequence(u64, u64),
    /// The body is not valid.
    Body(Malformed),
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(bytes) => write!(f, "invalid frame length: {bytes} bytes"),
            Self::Checksum => write!(f, "checksum mismatch in a frame"),
            Self::Version(version) => write!(f, "frame of protocol version {version}"),
            Self::Cluster(id) => write!(f, "frame of cluster {id:016x}"),
            Self::Members(from, to) => write!(f, "frame from {from:016x} to {to:016x}"),
            Self::Sequence(got, expected) => {
                write!(f, "frame number {got}, expected {expected}")
            }
            Self::Body(malformed) => malformed.fmt(f),
        }
    }
}

impl From<Malformed> for FrameError {
    fn from(malformed: Malformed) -> Self {
        Self::Body(malformed)
    }
}

/// Decodes the frames of one direction of a connection.
pub(super) struct FrameReader {
    link: Link,
    sequence: u64,
}

impl FrameReader {
    /// A reader for a new connection; `link` is the direction from the peer to this member.
    pub(super) fn new(link: Link) -> Self {
        Self { link, sequence: 0 }
    }

    /// The direction it reads.
    pub(super) fn link(&self) -> Link {
        self.link
    }

    /// Take the next frame from the front of `buffer`; none if it is incomplete, and then the buffer has
    /// capacity to read more.
    ///
    /// # Errors
    ///
    /// [`FrameError`]: the bytes are not a valid frame. The connection must be closed.
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
        let kind = Kind::from_number(kind).ok_or(Malformed::Unknown("frame kind", kind.into()))?;
        let (cluster, from, to) = (cursor.u64()?, cursor.u64()?, cursor.u64()?);
        if cluster != self.link.cluster.get() {
            return Err(FrameError::Cluster(cluster));
        }
        if (from, to) != (self.link.from.get(), self.link.to.get()) {
            return Err(FrameError::Members(from, to));
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
