//! Frames in both directions of an open connection.

use std::fmt;
use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::frame::{Frame, FrameError, FrameReader, FrameWriter, Link, TooLarge};
use super::kind::Kind;

/// A batch of frames is written when it reaches this number of bytes, if not before.
pub(super) const BATCH_BYTES_MAX: usize = 512 * 1024;

/// One end of an open connection.
pub(super) struct FrameStream<Io> {
    io: Io,
    reader: FrameReader,
    incoming: BytesMut,
    writer: FrameWriter,
    outgoing: BytesMut,
    write_max: Duration,
}

/// Why a connection ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The peer closed it.
    Closed,
    /// Reading or writing failed, or timed out.
    Broken(io::Error),
    /// The peer sent something that is not valid.
    ProtocolError(FrameError),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => write!(f, "connection closed by the peer"),
            Self::Broken(error) => error.fmt(f),
            Self::ProtocolError(error) => write!(f, "protocol error: {error}"),
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
        Self::ProtocolError(error)
    }
}

impl<Io: AsyncRead + AsyncWrite + Unpin> FrameStream<Io> {
    /// Frames over `io`; `link` is the direction from this member to the peer. Writing a batch of
    /// [`BATCH_BYTES_MAX`], or a single larger message, times out after `write_max`.
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

    /// The direction from the peer to this member.
    pub(super) fn incoming_link(&self) -> Link {
        self.reader.link()
    }

    /// The next frame. Cancel safe.
    ///
    /// # Errors
    ///
    /// - [`Ended::Closed`]: the peer closed the connection.
    /// - [`Ended::Broken`]: reading failed, or no byte arrived for `idle_max`.
    /// - [`Ended::ProtocolError`]: the bytes are not a valid frame.
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
                Err(_) => return Err(super::timed_out("waiting for the next message").into()),
            }
        }
    }

    /// The writer and the buffer for frames, which [`FrameStream::flush`] then sends.
    pub(super) fn batch(&mut self) -> (&mut FrameWriter, &mut BytesMut) {
        (&mut self.writer, &mut self.outgoing)
    }

    /// Send one frame, which is small by construction.
    ///
    /// # Errors
    ///
    /// As [`FrameStream::flush`]; [`Ended::ProtocolError`] if the frame is too large.
    pub(super) async fn send(&mut self, kind: Kind, body: &[u8]) -> Result<(), Ended> {
        let put = |out: &mut BytesMut| out.extend_from_slice(body);
        match self.writer.put(kind, &mut self.outgoing, put) {
            Ok(()) => self.flush().await,
            Err(TooLarge(bytes)) => Err(FrameError::Length(bytes).into()),
        }
    }

    /// Send the batch. If the future fails or is dropped, the connection must be closed.
    ///
    /// # Errors
    ///
    /// [`Ended::Broken`]: writing failed, or took longer than `write_max`.
    pub(super) async fn flush(&mut self) -> Result<(), Ended> {
        let writing = async {
            self.io.write_all(&self.outgoing).await?;
            self.io.flush().await
        };
        timeout(self.write_max, writing)
            .await
            .map_err(|_| super::timed_out("sending"))??;
        self.outgoing.clear();
        // Release the memory of a large message.
        if self.outgoing.capacity() > 2 * BATCH_BYTES_MAX {
            self.outgoing = BytesMut::new();
        }
        Ok(())
    }

    /// Close the sending direction.
    ///
    /// # Errors
    ///
    /// The operating system's error, or a timeout.
    pub(super) async fn shut_down(&mut self) -> io::Result<()> {
        timeout(self.write_max, self.io.shutdown())
            .await
            .map_err(|_| super::timed_out("closing the connection"))?
    }
}
