//! Socket activation: sockets that the service manager opened and this process inherited.

use std::fmt;
use std::io;
use std::net::TcpListener;

use listenfd::ListenFd;
use tracing::warn;

use crate::host::Failure;

/// The inherited sockets, by their names in the socket unit; each is in non-blocking mode.
#[derive(Debug, Default)]
pub struct Sockets {
    /// `FileDescriptorName=client`: the client port.
    pub client: Option<TcpListener>,
    /// `FileDescriptorName=peer`: the peer port.
    pub peer: Option<TcpListener>,
}

/// Why an inherited socket cannot be used.
#[derive(Debug)]
pub enum SocketError {
    /// It is not a listening TCP socket.
    NotListening(String, io::Error),
    /// There are two sockets of this name.
    Duplicate(String),
}

impl fmt::Display for SocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotListening(name, error) => {
                write!(f, "cannot use the inherited socket {name}: {error}")
            }
            Self::Duplicate(name) => write!(
                f,
                "two inherited sockets are named {name}; the socket units must define one"
            ),
        }
    }
}

impl std::error::Error for SocketError {}

impl From<SocketError> for Failure {
    fn from(error: SocketError) -> Self {
        Self::Other(error.to_string())
    }
}

impl Sockets {
    /// The inherited sockets. Must be called once, before other threads are started, since it removes the
    /// variables `LISTEN_*`.
    ///
    /// # Errors
    ///
    /// - [`SocketError::NotListening`]: a socket is not a listening TCP socket.
    /// - [`SocketError::Duplicate`]: two sockets have the same name.
    pub fn inherited() -> Result<Self, SocketError> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let names: Vec<&str> = names.split(':').collect();
        let mut inherited = ListenFd::from_env();
        let mut sockets = Self::default();
        for index in 0..inherited.len() {
            let name = names.get(index).copied().unwrap_or_default();
            let slot = match name {
                "client" => &mut sockets.client,
                "peer" => &mut sockets.peer,
                _ => {
                    warn!(
                        name,
                        "inherited socket ignored, its name is neither client nor peer"
                    );
                    continue;
                }
            };
            let unusable = |error| SocketError::NotListening(name.to_owned(), error);
            let Some(listener) = inherited.take_tcp_listener(index).map_err(unusable)? else {
                continue;
            };
            listener.set_nonblocking(true).map_err(unusable)?;
            if slot.replace(listener).is_some() {
                return Err(SocketError::Duplicate(name.to_owned()));
            }
        }
        Ok(sockets)
    }
}
