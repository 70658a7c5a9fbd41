//! One client's connection: writes a request and reads the response, with as little work as possible.

use std::io::{Error, ErrorKind};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::parse::{self, BODY_MAX, Body, Head};
use crate::cluster::Address;
use crate::net::tls::Connector;
use crate::net::{ConnectOptions, Stream, connect};

/// How a connection is opened.
const OPTIONS: ConnectOptions = ConnectOptions {
    timeout: Duration::from_secs(5),
    keepalive: None,
};

/// A connection to a member, with its input buffer.
pub(super) struct Connection {
    stream: Stream,
    input: Vec<u8>,
    chunks: Vec<u8>,
    /// Whether it can be used for another request.
    pub(super) alive: bool,
}

/// The parts of a response that are used.
pub(super) struct Reply<'a> {
    pub(super) status: u16,
    pub(super) index: Option<u64>,
    pub(super) location: Option<String>,
    pub(super) body: &'a [u8],
}

impl Connection {
    /// Connect, with TLS if the member's URL is `https`.
    ///
    /// # Errors
    ///
    /// The error of [`connect`].
    pub(super) async fn open(member: &Address, tls: &Connector) -> Result<Self, Error> {
        Ok(Self {
            stream: connect(member, tls, OPTIONS).await?,
            input: Vec::with_capacity(4096),
            chunks: Vec::new(),
            alive: true,
        })
    }

    /// Send one request and read the whole response. After an error the connection cannot be used any more.
    ///
    /// # Errors
    ///
    /// The connection failed, was closed (`UnexpectedEof`), or the response is not valid HTTP (`InvalidData`).
    pub(super) async fn exchange(&mut self, request: &[u8]) -> Result<Reply<'_>, Error> {
        self.alive = false;
        self.input.clear();
        self.stream.write_all(request).await?;
        self.stream.flush().await?;
        let head = self.read_head().await?;
        let whole = self.read_body(&head).await?;
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

    async fn read_head(&mut self) -> Result<Head, Error> {
        loop {
            self.read_more().await?;
            if let Some(head) = parse::head(&self.input)? {
                return Ok(head);
            }
        }
    }

    /// Read the body; returns its end in the input.
    async fn read_body(&mut self, head: &Head) -> Result<usize, Error> {
        match head.body {
            Body::Fixed(length) => {
                let whole = head.length + length;
                while self.input.len() < whole {
                    self.read_more().await?;
                }
                Ok(whole)
            }
            Body::Chunked => loop {
                let rest = self.input.get(head.length..).unwrap_or_default();
                if let Some(length) = parse::chunked(rest, &mut self.chunks)? {
                    return Ok(head.length + length);
                }
                self.read_more().await?;
            },
            Body::UntilEnd => loop {
                match self.read_more().await {
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

    async fn read_more(&mut self) -> Result<(), Error> {
        match self.stream.read_buf(&mut self.input).await? {
            0 => Err(Error::from(ErrorKind::UnexpectedEof)),
            _ => Ok(()),
        }
    }
}
