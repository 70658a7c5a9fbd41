//! The transfer of a snapshot: on a separate connection, in chunks, acknowledged once it is durable.
//!
//! The sender sends Raft's message with the snapshot's metadata, then the image in chunks, then its length.
//! The receiver answers when the image is on disk under its final name, or with the reason why it is not.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::sleep;
use tracing::{info, warn};

use super::frame::{FrameError, TooLarge};
use super::handshake::{self, DialError, RemotePeer};
use super::kind::Kind;
use super::peer::Target;
use super::stream::{Ended, FrameStream};
use super::wire::{Cursor, Malformed};
use super::{ConnectionKind, Local};
use crate::consensus::message::{Body, Message};
use crate::wal::SnapshotMeta;

/// The size of a chunk, in bytes.
const CHUNK_BYTES: usize = 256 * 1024;

/// How many chunks are in memory between the disk and the connection.
const CHUNKS_MAX: usize = 4;

/// The timeout for receiving or sending one chunk.
pub(super) const IDLE_MAX: Duration = Duration::from_secs(15);

/// The timeout for the receiver's answer after the last chunk.
const STORE_TIMEOUT: Duration = Duration::from_secs(120);

/// How long to wait for the receiver's reason after it stopped reading.
const REASON_WAIT: Duration = Duration::from_secs(1);

/// The pause before a failure is reported, which delays the next attempt.
const FAILURE_PAUSE: Duration = Duration::from_millis(500);

/// How many bytes of the receiver's reason are logged.
const REASON_BYTES_MAX: usize = 1024;

/// A snapshot's image that is about to be sent.
pub struct SnapshotBody {
    /// Its length in bytes.
    pub length: u64,
    /// Its bytes; read on a thread that may block.
    pub bytes: Box<dyn io::Read + Send>,
}

/// Opens the snapshot with exactly this metadata; fails if there is none. May block.
pub type OpenSnapshot = Arc<dyn Fn(&SnapshotMeta) -> io::Result<SnapshotBody> + Send + Sync>;

/// Stores a snapshot: reads the bytes to their end, verifies them, and returns once they are on disk under
/// their final name. A read fails if the connection is lost; then no file may remain under a snapshot's
/// name. May block.
pub type ReceiveSnapshot =
    Arc<dyn Fn(&SnapshotMeta, &mut dyn io::Read) -> io::Result<()> + Send + Sync>;

/// Why a snapshot could not be sent.
#[derive(Debug)]
enum SendError {
    /// The message has no snapshot metadata.
    NotASnapshot,
    /// The file could not be opened or read.
    Read(io::Error),
    /// The file has another length than announced.
    Length {
        /// The number of bytes that were read.
        read: u64,
        /// The expected number.
        expected: u64,
    },
    /// No connection to the receiver could be opened.
    Dial(DialError),
    /// The message with the metadata is too large for a frame; its size in bytes.
    TooLarge(usize),
    /// The connection ended before the answer.
    Ended(Ended),
    /// The receiver could not store it, for this reason.
    Refused(String),
    /// The receiver's answer is a frame of another kind.
    UnexpectedAnswer,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotASnapshot => f.write_str("the message has no snapshot metadata"),
            Self::Read(error) => write!(f, "cannot read the snapshot: {error}"),
            Self::Length { read, expected } => {
                write!(f, "the snapshot has {read} bytes, expected {expected}")
            }
            Self::Dial(error) => error.fmt(f),
            Self::TooLarge(bytes) => write!(f, "its metadata is too large: {bytes} bytes"),
            Self::Ended(ended) => ended.fmt(f),
            Self::Refused(reason) => write!(f, "the receiver could not store it: {reason}"),
            Self::UnexpectedAnswer => f.write_str("unexpected answer of the receiver"),
        }
    }
}

impl From<io::Error> for SendError {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

/// The index of the snapshot in `message`; 0 if there is none.
pub(super) fn index(message: &Message) -> u64 {
    snapshot_meta(message).map_or(0, |meta| meta.index)
}

fn snapshot_meta(message: &Message) -> Option<&SnapshotMeta> {
    match &message.body {
        Body::Raft(raft) => raft.snapshot.as_ref(),
        Body::Forward(_) | Body::StoreHash { .. } => None,
    }
}

/// Send a snapshot. Returns true once the receiver has it on disk.
pub(super) async fn deliver(
    local: &Local,
    target: &Target,
    message: Message,
    open: OpenSnapshot,
) -> bool {
    let (index, started) = (index(&message), Instant::now());
    let (name, address) = (&target.name, &target.address);
    info!(index, peer = %name, %address, "sending snapshot");
    match send(local, target, &message, open).await {
        Ok(bytes) => {
            let seconds = format_args!("{:.1}", started.elapsed().as_secs_f64());
            info!(index, peer = %name, bytes, seconds, "snapshot sent");
            true
        }
        Err(error) => {
            warn!(index, peer = %name, %address, %error, "snapshot not sent");
            sleep(FAILURE_PAUSE).await;
            false
        }
    }
}

async fn send(
    local: &Local,
    target: &Target,
    message: &Message,
    open: OpenSnapshot,
) -> Result<u64, SendError> {
    let meta = snapshot_meta(message)
        .ok_or(SendError::NotASnapshot)?
        .clone();
    let opening = spawn_blocking(move || open(&meta)).await;
    let SnapshotBody { length, bytes } = opening.map_err(io::Error::from)??;
    let kind = ConnectionKind::Snapshot;
    let connection = handshake::dial(local, message.to, &target.address, kind)
        .await
        .map_err(SendError::Dial)?;
    let mut stream = FrameStream::new(connection.io, connection.link, IDLE_MAX);
    let (writer, out) = stream.batch();
    writer
        .put_message(&message.body, out)
        .map_err(|TooLarge(bytes)| SendError::TooLarge(bytes))?;
    let (chunks, mut read) = mpsc::channel(CHUNKS_MAX);
    let reading = spawn_blocking(move || read_chunks(bytes, &chunks));
    let mut sent = 0;
    while let Some(chunk) = read.recv().await {
        sent += chunk.len() as u64;
        // The receiver may have sent a reason before it closed the connection.
        if let Err(ended) = stream.send(Kind::Chunk, &chunk).await {
            let reason = read_answer(&mut stream, REASON_WAIT).await.err();
            return Err(reason.unwrap_or(SendError::Ended(ended)));
        }
    }
    reading.await.map_err(io::Error::from)??;
    if sent != length {
        return Err(SendError::Length {
            read: sent,
            expected: length,
        });
    }
    let ended = stream.send(Kind::End, &length.to_le_bytes()).await;
    read_answer(&mut stream, STORE_TIMEOUT).await?;
    ended.map(|()| length).map_err(SendError::Ended)
}

/// Wait for the receiver's answer.
///
/// # Errors
///
/// - [`SendError::Refused`]: the receiver could not store the snapshot.
/// - [`SendError::UnexpectedAnswer`]: it sent another frame.
/// - [`SendError::Ended`]: the connection ended, or the answer did not come in time.
async fn read_answer<Io>(stream: &mut FrameStream<Io>, wait: Duration) -> Result<(), SendError>
where
    Io: AsyncRead + AsyncWrite + Unpin,
{
    match stream.next(wait).await {
        Ok(frame) if frame.kind == Kind::Stored => Ok(()),
        Ok(frame) if frame.kind == Kind::Failed => {
            let body = Cursor::new(frame.body).rest();
            let reason = body.get(..REASON_BYTES_MAX).unwrap_or(&body);
            let reason = String::from_utf8_lossy(reason).escape_debug().to_string();
            Err(SendError::Refused(reason))
        }
        Ok(_) => Err(SendError::UnexpectedAnswer),
        Err(ended) => Err(SendError::Ended(ended)),
    }
}

fn read_chunks(mut bytes: Box<dyn io::Read + Send>, to: &mpsc::Sender<Bytes>) -> io::Result<()> {
    loop {
        let mut chunk = BytesMut::zeroed(CHUNK_BYTES);
        let length = match bytes.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        chunk.truncate(length);
        if to.blocking_send(chunk.freeze()).is_err() {
            // The connection was lost; the sending side reports its error.
            return Ok(());
        }
    }
}

/// Receive a snapshot from a new connection and store it. Returns Raft's message.
///
/// # Errors
///
/// - [`Ended::Closed`]: the sender closed the connection.
/// - [`Ended::Broken`]: the connection was lost or timed out, or the snapshot could not be stored.
/// - [`Ended::ProtocolError`]: the sender sent something else than a snapshot.
pub(super) async fn receive<Io>(
    stream: &mut FrameStream<Io>,
    peer: &RemotePeer,
    store: ReceiveSnapshot,
) -> Result<Message, Ended>
where
    Io: AsyncRead + AsyncWrite + Unpin,
{
    let link = stream.incoming_link();
    let frame = stream.next(IDLE_MAX).await?;
    let message = frame.message(link).map_err(FrameError::from)?;
    let Some((message, meta)) =
        message.and_then(|m| snapshot_meta(&m).cloned().map(|meta| (m, meta)))
    else {
        return Err(protocol_error("a snapshot without metadata"));
    };
    info!(index = meta.index, peer = %peer.name, "receiving snapshot");
    let (parts, incoming) = mpsc::channel(CHUNKS_MAX);
    let storing = spawn_blocking(move || {
        let mut bytes = Incoming {
            parts: incoming,
            current: Bytes::new(),
            complete: false,
        };
        store(&meta, &mut bytes)?;
        // A snapshot that was stored without its end is not the one that was sent.
        match io::copy(&mut bytes, &mut io::sink())? {
            0 => Ok(()),
            more => Err(io::Error::other(format!("{more} bytes after its end"))),
        }
    });
    // `parts` is passed by value: if this fails, the storing thread ends before it is waited for.
    let received = receive_parts(stream, parts).await;
    let stored = join(storing).await;
    match (received, stored) {
        (Ok(()), Ok(())) => Ok(message),
        (Ok(()), Err(error)) => {
            let _ = stream
                .send(Kind::Failed, error.to_string().as_bytes())
                .await;
            Err(error.into())
        }
        (Err(ended), _) => Err(ended),
    }
}

/// Pass the received chunks to the storing thread. Returns early, without an error, if that thread has ended:
/// its result is the error.
async fn receive_parts<Io>(
    stream: &mut FrameStream<Io>,
    parts: mpsc::Sender<Part>,
) -> Result<(), Ended>
where
    Io: AsyncRead + AsyncWrite + Unpin,
{
    let mut received: u64 = 0;
    loop {
        let frame = stream.next(IDLE_MAX).await?;
        let (part, last) = match frame.kind {
            Kind::Chunk => {
                received += frame.body.len() as u64;
                (Part::Bytes(frame.body), false)
            }
            Kind::End => {
                let mut cursor = Cursor::new(frame.body);
                let length = cursor.u64().map_err(FrameError::from)?;
                cursor.end().map_err(FrameError::from)?;
                if length != received {
                    return Err(protocol_error("a snapshot with a wrong length"));
                }
                (Part::End, true)
            }
            Kind::Ping
            | Kind::Pong
            | Kind::Raft
            | Kind::Forward
            | Kind::StoreHash
            | Kind::Stored
            | Kind::Failed => return Err(protocol_error("another frame within a snapshot")),
        };
        if parts.send(part).await.is_err() || last {
            return Ok(());
        }
    }
}

async fn join(storing: JoinHandle<io::Result<()>>) -> io::Result<()> {
    storing.await.unwrap_or_else(|error| Err(error.into()))
}

fn protocol_error(what: &'static str) -> Ended {
    FrameError::from(Malformed::Impossible(what)).into()
}

enum Part {
    Bytes(Bytes),
    End,
}

/// The received bytes, as a blocking reader. It ends without an error only after the sender's end frame.
struct Incoming {
    parts: mpsc::Receiver<Part>,
    current: Bytes,
    complete: bool,
}

impl io::Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !self.complete {
            match self.parts.blocking_recv() {
                Some(Part::Bytes(bytes)) => self.current = bytes,
                Some(Part::End) => self.complete = true,
                None => {
                    let what = "the connection was lost before the end of the snapshot";
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
                }
            }
        }
        let length = buffer.len().min(self.current.len());
        if let (Some(target), Some(source)) = (buffer.get_mut(..length), self.current.get(..length))
        {
            target.copy_from_slice(source);
        }
        self.current.advance(length);
        Ok(length)
    }
}
