//! One client's connection: a request out, an answer in, and no more than that.

use std::io::{Error, ErrorKind};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::parse::{self, BODY_MAX, Body, Head};
use crate::cluster::Address;
use crate::net::tls::Connector;

/// How long a member may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection to a member, with what came in on it.
pub(super) struct Connection {
    stream: Stream,
    input: Vec<u8>,
    chunks: Vec<u8>,
    /// Whether it can take one more request.
    pub(super) alive: bool,
}

/// What goes over the wire. Most servers are measured without TLS, which is to cost them nothing.
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// An answer, as far as it matters.
pub(super) struct Reply<'a> {
    pub(super) status: u16,
    pub(super) index: Option<u64>,
    pub(super) location: Option<String>,
    pub(super) body: &'a [u8],
}

impl Connection {
    /// Connect, by TLS if the member's URL says so.
    pub(super) async fn open(member: &Address, tls: &Connector) -> Result<Self, Error> {
        let connecting = TcpStream::connect((member.host.as_str(), member.port));
        let stream = tokio::time::timeout(CONNECT_TIMEOUT, connecting)
            .await
            .map_err(|_| Error::from(ErrorKind::TimedOut))??;
        stream.set_nodelay(true)?;
        let stream = match member.tls {
            false => Stream::Plain(stream),
            true => Stream::Tls(Box::new(tls.connect(&member.host, stream).await?)),
        };
        Ok(Self {
            stream,
            input: Vec::with_capacity(4096),
            chunks: Vec::new(),
            alive: true,
        })
    }

    /// Send one request and read its whole answer. After an error the connection is of no more use.
    pub(super) async fn exchange(&mut self, request: &[u8]) -> Result<Reply<'_>, Error> {
        self.alive = false;
        self.input.clear();
        match &mut self.stream {
            Stream::Plain(stream) => stream.write_all(request).await?,
            Stream::Tls(stream) => {
                stream.write_all(request).await?;
                stream.flush().await?;
            }
        }
        let head = self.head().await?;
        let whole = self.body(&head).await?;
        self.alive = head.keep_alive && whole == self.input.len();
        let body = match head.body {
            Body::Chunked => &self.chunks,
            Body::Fixed(_) | Body::UntilEnd => {
                self.input.get(head.length..whole).unwrap_or_default()
            }
        };
        Ok(Reply {
            status: head.status,
            index: head.index,
            location: head.location,
            body,
        })
    }

    async fn head(&mut self) -> Result<Head, Error> {
        loop {
            self.more().await?;
            if let Some(head) = parse::head(&self.input)? {
                return Ok(head);
            }
        }
    }

    /// Read the body; gives where it ends in the input.
    async fn body(&mut self, head: &Head) -> Result<usize, Error> {
        match head.body {
            Body::Fixed(length) => {
                let whole = head.length + length;
                while self.input.len() < whole {
                    self.more().await?;
                }
                Ok(whole)
            }
            Body::Chunked => loop {
                let rest = self.input.get(head.length..).unwrap_or_default();
                if let Some(length) = parse::chunked(rest, &mut self.chunks)? {
                    return Ok(head.length + length);
                }
                self.more().await?;
            },
            Body::UntilEnd => loop {
                match self.more().await {
                    Ok(()) if self.input.len() <= BODY_MAX => {}
                    Ok(()) => return Err(Error::from(ErrorKind::InvalidData)),
                    Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                        return Ok(self.input.len());
                    }
                    Err(error) => return Err(error),
                }
            },
        }
    }

    async fn more(&mut self) -> Result<(), Error> {
        let read = match &mut self.stream {
            Stream::Plain(stream) => stream.read_buf(&mut self.input).await?,
            Stream::Tls(stream) => stream.read_buf(&mut self.input).await?,
        };
        match read {
            0 => Err(Error::from(ErrorKind::UnexpectedEof)),
            _ => Ok(()),
        }
    }
}
