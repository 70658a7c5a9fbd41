//! A snapshot on its way: a connection of its own, a piece at a time, stored before it is acknowledged.
//!
//! The sender says which snapshot it is by Raft's own message, then sends its bytes in pieces, then how
//! many there were; the receiver answers when they are on disk under their real name, or why not.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::sleep;
use tracing::{info, warn};

use super::dial::{self, Caller};
use super::frame::{FrameError, Kind, TooLarge};
use super::peer::Target;
use super::stream::{Ended, FrameStream};
use super::wire::{Cursor, Malformed};
use super::{ConnectionKind, Local};
use crate::consensus::message::{Body, Message};
use crate::wal::SnapshotMeta;

/// A piece of a snapshot.
const CHUNK_BYTES: usize = 256 * 1024;

/// Pieces in memory between the disk and the connection.
const CHUNKS_MAX: usize = 4;

/// How long no piece may come before the sender is given up, or find no room before the receiver is.
pub(super) const IDLE_MAX: Duration = Duration::from_secs(15);

/// How long the receiver may take to bring the last pieces to its disk.
const STORE_TIMEOUT: Duration = Duration::from_secs(120);

/// How long to look for the receiver's reason once it takes no more.
const REASON_WAIT: Duration = Duration::from_secs(1);

/// A pause before a failure is told, so that the next attempt doesn't follow at once.
const FAILURE_PAUSE: Duration = Duration::from_millis(500);

/// How much of the receiver's reason is shown.
const REASON_BYTES_MAX: usize = 1024;

/// The bytes of a snapshot that is about to be sent.
pub struct SnapshotBody {
    /// How many there are.
    pub length: u64,
    /// They themselves; read on a thread that may block.
    pub bytes: Box<dyn io::Read + Send>,
}

/// Finds the snapshot with exactly this mark; an error if it is gone. May block.
pub type OpenSnapshot = Arc<dyn Fn(&SnapshotMeta) -> io::Result<SnapshotBody> + Send + Sync>;

/// Stores a snapshot: reads the bytes to their end, verifies them, and returns once they are on disk
/// under their real name. A read fails when the sender is cut off, and then nothing must remain that
/// looks like a snapshot. May block.
pub type ReceiveSnapshot =
    Arc<dyn Fn(&SnapshotMeta, &mut dyn io::Read) -> io::Result<()> + Send + Sync>;

/// The index of the snapshot that `message` is about; 0 if it is about none.
pub(super) fn index(message: &Message) -> u64 {
    mark(message).map_or(0, |mark| mark.index)
}

fn mark(message: &Message) -> Option<&SnapshotMeta> {
    match &message.body {
        Body::Raft(raft) => raft.snapshot.as_ref(),
        Body::Forward(_) | Body::StoreHash { .. } => None,
    }
}

/// Send a snapshot; true once the receiver has it on disk.
pub(super) async fn deliver(
    local: &Local,
    target: &Target,
    message: Message,
    open: OpenSnapshot,
) -> bool {
    let (index, started) = (index(&message), Instant::now());
    let (name, address) = (&target.name, &target.address);
    info!("snapshot {index} goes to {name} at {address}");
    match send(local, target, &message, open).await {
        Ok(length) => {
            let seconds = started.elapsed().as_secs_f64();
            info!("snapshot {index} is at {name}: {length} bytes in {seconds:.1} s");
            true
        }
        Err(why) => {
            warn!("snapshot {index} did not get to {name} at {address}: {why}");
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
) -> Result<u64, String> {
    let says = |error: &dyn std::fmt::Display| error.to_string();
    let mark = mark(message).ok_or("the message is about none")?.clone();
    let opening = spawn_blocking(move || open(&mark)).await;
    let SnapshotBody { length, bytes } = opening
        .map_err(|error| says(&error))?
        .map_err(|error| says(&error))?;
    let kind = ConnectionKind::Snapshot;
    let connection = dial::dial(local, message.to, &target.address, kind)
        .await
        .map_err(|error| says(&error))?;
    let mut stream = FrameStream::new(connection.io, connection.link, IDLE_MAX);
    let (writer, out) = stream.batch();
    writer
        .put_message(&message.body, out)
        .map_err(|TooLarge(bytes)| format!("its description has {bytes} bytes"))?;
    let (pieces, mut read) = mpsc::channel(CHUNKS_MAX);
    let reading = spawn_blocking(move || read_pieces(bytes, &pieces));
    let mut sent = 0;
    while let Some(piece) = read.recv().await {
        sent += piece.len() as u64;
        // The receiver may have said meanwhile why it takes no more.
        if let Err(ended) = stream.send(Kind::Chunk, &piece).await {
            let why = verdict(&mut stream, REASON_WAIT).await;
            return Err(why.unwrap_or(ended.to_string()));
        }
    }
    reading
        .await
        .map_err(|error| says(&error))?
        .map_err(|error| says(&error))?;
    if sent != length {
        return Err(format!("{sent} bytes were read where {length} were due"));
    }
    let ended = stream.send(Kind::End, &length.to_le_bytes()).await;
    match verdict(&mut stream, STORE_TIMEOUT).await {
        Some(why) => Err(why),
        None => ended.map(|()| length).map_err(|error| says(&error)),
    }
}

/// What the receiver says in the end: none if it has stored the snapshot, else why not.
async fn verdict<Io>(stream: &mut FrameStream<Io>, wait: Duration) -> Option<String>
where
    Io: AsyncRead + AsyncWrite + Unpin,
{
    match stream.next(wait).await {
        Ok(frame) if frame.kind == Kind::Stored => None,
        Ok(frame) if frame.kind == Kind::Failed => {
            let body = Cursor::new(frame.body).rest();
            let reason = body.get(..REASON_BYTES_MAX).unwrap_or(&body);
            let reason = String::from_utf8_lossy(reason).escape_debug().to_string();
            Some(format!("it says: {reason}"))
        }
        Ok(_) => Some("it answers with something else".to_owned()),
        Err(ended) => Some(ended.to_string()),
    }
}

fn read_pieces(mut bytes: Box<dyn io::Read + Send>, to: &mpsc::Sender<Bytes>) -> io::Result<()> {
    loop {
        let mut piece = BytesMut::zeroed(CHUNK_BYTES);
        let length = match bytes.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        piece.truncate(length);
        if to.blocking_send(piece.freeze()).is_err() {
            // The connection is gone; its error is the one to tell.
            return Ok(());
        }
    }
}

/// Take a snapshot off a new connection and store it: the message that came before it, for Raft.
pub(super) async fn take<Io>(
    stream: &mut FrameStream<Io>,
    caller: &Caller,
    receive: ReceiveSnapshot,
) -> Result<Message, Ended>
where
    Io: AsyncRead + AsyncWrite + Unpin,
{
    let link = stream.incoming_link();
    let frame = stream.next(IDLE_MAX).await?;
    let message = frame.message(link).map_err(FrameError::from)?;
    let Some((message, mark)) = message.and_then(|m| mark(&m).cloned().map(|mark| (m, mark)))
    else {
        return Err(nonsense("a snapshot without a description"));
    };
    info!("snapshot {} comes from {}", mark.index, caller.name);
    let (parts, incoming) = mpsc::channel(CHUNKS_MAX);
    let storing = spawn_blocking(move || {
        let mut bytes = Incoming {
            parts: incoming,
            current: Bytes::new(),
            complete: false,
        };
        receive(&mark, &mut bytes)?;
        // Whoever stored it without having seen its end has stored something else.
        match io::copy(&mut bytes, &mut io::sink())? {
            0 => Ok(()),
            more => Err(io::Error::other(format!("{more} bytes were left over"))),
        }
    });
    // Taken by value: if this fails, the storing end learns of it before it is waited for.
    let pumped = pump(stream, parts).await;
    let stored = finish(storing).await;
    match (pumped, stored) {
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

/// Hand the pieces that come to whom stores them. Returns early, and well, when that one is gone: it
/// knows why.
async fn pump<Io>(stream: &mut FrameStream<Io>, parts: mpsc::Sender<Part>) -> Result<(), Ended>
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
                    return Err(nonsense("a snapshot of another length than it said"));
                }
                (Part::End, true)
            }
            Kind::Ping
            | Kind::Pong
            | Kind::Raft
            | Kind::Forward
            | Kind::StoreHash
            | Kind::Stored
            | Kind::Failed => return Err(nonsense("something else in a snapshot")),
        };
        if parts.send(part).await.is_err() || last {
            return Ok(());
        }
    }
}

async fn finish(storing: JoinHandle<io::Result<()>>) -> io::Result<()> {
    storing.await.unwrap_or_else(|error| {
        let why = format!("storing the snapshot failed: {error}");
        Err(io::Error::other(why))
    })
}

fn nonsense(what: &'static str) -> Ended {
    FrameError::from(Malformed::Impossible(what)).into()
}

enum Part {
    Bytes(Bytes),
    End,
}

/// The bytes that come, as a blocking reader. It ends well only if the sender said that it was the end.
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
                    let why = "the snapshot was cut off";
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, why));
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
