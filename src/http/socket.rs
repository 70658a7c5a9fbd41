//! The byte stream of a connection: notes its activity, and replaces hyper's answer to a malformed request.
//!
//! The answer is replaced here because hyper does not let a service set it, and a layer below hyper is needed
//! anyway to read request targets that hyper rejects.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::activity::Activity;
use super::{Endpoint, reply};

/// A stream that notes what happens on it.
pub(super) struct Socket<S> {
    stream: S,
    activity: Arc<Activity>,
    endpoint: Endpoint,
    /// What is left to write of the answer that replaces hyper's.
    replacement: Option<Bytes>,
}

impl<S> Socket<S> {
    /// Wrap `stream`.
    pub(super) fn new(stream: S, activity: Arc<Activity>, endpoint: Endpoint) -> Self {
        Self {
            stream,
            activity,
            endpoint,
            replacement: None,
        }
    }
}

impl<S: AsyncWrite + Unpin> Socket<S> {
    /// Write the replacement of `bytes`, if they are replaced: `Ready` with the length of `bytes` once all of the
    /// replacement is written.
    ///
    /// hyper answers a malformed request itself, without a body. That answer is the last one on its connection.
    fn write_replacement(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Option<Poll<io::Result<usize>>> {
        if self.replacement.is_none() && self.activity.has_no_request() {
            self.replacement = reply::malformed(bytes, || self.endpoint.index());
        }
        let replacement = self.replacement.as_mut()?;
        while !replacement.is_empty() {
            match Pin::new(&mut self.stream).poll_write(context, replacement) {
                Poll::Ready(Ok(written)) => replacement.advance(written.min(replacement.len())),
                Poll::Ready(Err(error)) => return Some(Poll::Ready(Err(error))),
                Poll::Pending => {
                    self.activity.note_write(true);
                    return Some(Poll::Pending);
                }
            }
        }
        self.activity.note_write(false);
        self.replacement = None;
        Some(Poll::Ready(Ok(bytes.len())))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if polled.is_ready() {
            self.activity.note_read();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(written) = self.write_replacement(context, bytes) {
            return written;
        }
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.activity.note_write(polled.is_pending());
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(first) = slices.iter().find(|slice| !slice.is_empty())
            && let Some(written) = self.write_replacement(context, first)
        {
            return written;
        }
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.activity.note_write(polled.is_pending());
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
