//! Frames on an open connection, both ways.

use std::fmt;
use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::frame::{Frame, FrameError, FrameReader, FrameWriter, Kind, Link, TooLarge};

/// A batch of frames is written once it has this many bytes, if not before.
pub(super) const BATCH_BYTES_MAX: usize = 512 * 1024;

/// An open connection, seen from one end.
pub(super) struct FrameStream<Io> {
    io: Io,
    reader: FrameReader,
    incoming: BytesMut,
    writer: FrameWriter,
    outgoing: BytesMut,
    write_max: Duration,
}

/// Why a connection is over.
#[derive(Debug)]
pub(super) enum Ended {
    /// The other side closed it, between two frames or within one.
    Closed,
    /// It broke, or nothing came or went for too long.
    Broken(io::Error),
    /// What came makes no sense here.
    Nonsense(FrameError),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => write!(f, "it closed the connection"),
            Self::Broken(error) => error.fmt(f),
            Self::Nonsense(error) => write!(f, "it sent {error}"),
        }
    }
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

impl From<FrameError> for Ended {
    fn from(error: FrameError) -> Self {
        Self::Nonsense(error)
    }
}

impl<Io: AsyncRead + AsyncWrite + Unpin> FrameStream<Io> {
    /// Frames over `io`; `link` is the direction from us to the other side, which may take as long as
    /// `write_max` to make room for what is written at once: a batch of [`BATCH_BYTES_MAX`], or one
    /// message if that is larger.
    pub(super) fn new(io: Io, link: Link, write_max: Duration) -> Self {
        Self {
            io,
            reader: FrameReader::new(link.reversed()),
            incoming: BytesMut::new(),
            writer: FrameWriter::new(link),
            outgoing: BytesMut::new(),
            write_max,
        }
    }

    /// The direction from the other side to us.
    pub(super) fn incoming_link(&self) -> Link {
        self.reader.link()
    }

    /// The next frame, if bytes keep coming at least every `idle_max`. Nothing is lost when the future
    /// is dropped.
    pub(super) async fn next(&mut self, idle_max: Duration) -> Result<Frame, Ended> {
        loop {
            if let Some(frame) = self.reader.take(&mut self.incoming)? {
                return Ok(frame);
            }
            let reading = self.io.read_buf(&mut self.incoming);
            match timeout(idle_max, reading).await {
                Ok(Ok(0)) => return Err(Ended::Closed),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => return Err(super::timed_out("the next message").into()),
            }
        }
    }

    /// Where frames are made, to be written by [`FrameStream::flush`].
    pub(super) fn batch(&mut self) -> (&mut FrameWriter, &mut BytesMut) {
        (&mut self.writer, &mut self.outgoing)
    }

    /// Write one frame of our own making, small enough by construction.
    pub(super) async fn send(&mut self, kind: Kind, body: &[u8]) -> Result<(), Ended> {
        let put = |out: &mut BytesMut| out.extend_from_slice(body);
        match self.writer.put(kind, &mut self.outgoing, put) {
            Ok(()) => self.flush().await,
            Err(TooLarge(bytes)) => Err(FrameError::Length(bytes).into()),
        }
    }

    /// Write the batch. If the future is dropped or fails the connection is of no use any more.
    pub(super) async fn flush(&mut self) -> Result<(), Ended> {
        let writing = async {
            self.io.write_all(&self.outgoing).await?;
            self.io.flush().await
        };
        timeout(self.write_max, writing)
            .await
            .map_err(|_| super::timed_out("sending"))??;
        self.outgoing.clear();
        // One large message must not keep its room for the connection's life.
        if self.outgoing.capacity() > 2 * BATCH_BYTES_MAX {
            self.outgoing = BytesMut::new();
        }
        Ok(())
    }

    /// Say that nothing more comes.
    pub(super) async fn shut_down(&mut self) -> io::Result<()> {
        timeout(self.write_max, self.io.shutdown())
            .await
            .map_err(|_| super::timed_out("closing"))?
    }
}
