//! The two ports: bound first, opened once there is something to serve, and kept open when that changes.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket, lookup_host};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::{Listen, PortAddress};
use crate::host::Failure;
use crate::http::{self, Endpoint};
use crate::net::tls::Acceptor;

/// How many connections may wait at a port to be accepted.
const BACKLOG: u32 = 1024;

/// One port.
pub(crate) struct Port {
    flag: &'static str,
    runtime: Handle,
    tls: Option<Acceptor>,
    state: State,
}

enum State {
    /// Bound; no client can connect yet.
    Reserved(TcpSocket),
    /// Opened by the service manager; clients that connect wait.
    Inherited(std::net::TcpListener),
    /// Serves the current endpoint.
    Open(watch::Sender<Endpoint>, JoinHandle<()>),
    /// It could not be opened.
    Failed,
}

/// Why a port cannot be used.
#[derive(Debug)]
pub(crate) enum PortError {
    /// It cannot be bound.
    Bind {
        /// What the option asks for.
        listen: Listen,
        /// The option.
        flag: &'static str,
        /// Why.
        error: io::Error,
    },
    /// The host in the option cannot be resolved.
    UnknownHost {
        /// The host.
        host: String,
        /// The option.
        flag: &'static str,
        /// Why.
        error: io::Error,
    },
    /// It is bound and cannot be opened.
    Open {
        /// The address, or the option.
        at: String,
        /// Why.
        error: io::Error,
    },
    /// The socket from the service manager cannot be used.
    Inherited {
        /// The option.
        flag: &'static str,
        /// Why.
        error: io::Error,
    },
    /// The port that the system chose is unknown.
    UnknownPort(io::Error),
}

impl fmt::Display for PortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind {
                listen,
                flag,
                error,
            } => write!(
                f,
                "cannot listen on {listen}: {error} (is another etcd running? choose another address with {flag})"
            ),
            Self::UnknownHost { host, flag, error } => {
                write!(f, "{flag}: cannot resolve the host {host}: {error}")
            }
            Self::Open { at, error } => write!(f, "cannot listen on {at}: {error}"),
            Self::Inherited { flag, error } => {
                write!(f, "cannot use the inherited socket for {flag}: {error}")
            }
            Self::UnknownPort(error) => write!(f, "cannot read the port of a socket: {error}"),
        }
    }
}

impl std::error::Error for PortError {}

impl From<PortError> for Failure {
    fn from(error: PortError) -> Self {
        Self::Other(error.to_string())
    }
}

impl Port {
    /// Bind a port without opening it, so that no other process gets it and no client can connect yet; or take the
    /// `inherited` one. `flag` is the option that chooses it. It will be served on `runtime`, with TLS if `tls` is
    /// given.
    ///
    /// # Errors
    ///
    /// [`PortError::Bind`] or [`PortError::UnknownHost`].
    pub(crate) async fn reserve(
        inherited: Option<std::net::TcpListener>,
        listen: &Listen,
        flag: &'static str,
        runtime: Handle,
        tls: Option<Acceptor>,
    ) -> Result<Self, PortError> {
        let state = match inherited {
            Some(listener) => State::Inherited(listener),
            None => State::Reserved(bind(listen, flag).await?),
        };
        Ok(Self {
            flag,
            runtime,
            tls,
            state,
        })
    }

    /// The advertised URL, with the port that the system chose where it was left to it.
    ///
    /// # Errors
    ///
    /// [`PortError::UnknownPort`].
    pub(crate) fn url(&self, address: &PortAddress) -> Result<String, PortError> {
        match &self.state {
            State::Reserved(socket) => advertised_url(address, socket.local_addr()),
            State::Inherited(listener) => advertised_url(address, listener.local_addr()),
            State::Open(..) | State::Failed => Ok(address.advertised.url()),
        }
    }

    /// Serve `endpoint` from the next request on; the first call opens the port.
    ///
    /// # Errors
    ///
    /// [`PortError::Open`] or [`PortError::Inherited`].
    pub(crate) fn show(&mut self, endpoint: Endpoint) -> Result<(), PortError> {
        if let State::Open(shown, _) = &self.state {
            shown.send_replace(endpoint);
            return Ok(());
        }
        let _on_its_runtime = self.runtime.enter();
        let listener = match std::mem::replace(&mut self.state, State::Failed) {
            State::Reserved(socket) => open(socket, self.flag)?,
            State::Inherited(listener) => {
                let flag = self.flag;
                let inherited = |error| PortError::Inherited { flag, error };
                TcpListener::from_std(listener).map_err(inherited)?
            }
            State::Open(..) | State::Failed => return Ok(()),
        };
        let (shown, endpoints) = watch::channel(endpoint);
        let serving = self
            .runtime
            .spawn(http::serve(listener, endpoints, self.tls.clone()));
        self.state = State::Open(shown, serving);
        Ok(())
    }

    /// Accept no more connections, and wait until the last one has ended.
    pub(crate) async fn close(self) {
        if let State::Open(shown, serving) = self.state {
            drop(shown);
            // After a panic, too, the port is closed.
            let _ = serving.await;
        }
    }
}

async fn bind(listen: &Listen, flag: &'static str) -> Result<TcpSocket, PortError> {
    let addresses: Vec<SocketAddr> = match listen {
        Listen::Everywhere { port } => {
            vec![
                SocketAddr::from(([0_u16; 8], *port)),
                SocketAddr::from(([0_u8; 4], *port)),
            ]
        }
        Listen::At(address) => {
            let unknown = |error| PortError::UnknownHost {
                host: address.host.clone(),
                flag,
                error,
            };
            lookup_host((address.host.as_str(), address.port))
                .await
                .map_err(unknown)?
                .collect()
        }
    };
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        };
        let bound = socket.and_then(|socket| {
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            Ok(socket)
        });
        match bound {
            Ok(socket) => return Ok(socket),
            // On a host without IPv6, IPv4 is enough.
            Err(error) => last = error,
        }
    }
    Err(PortError::Bind {
        listen: listen.clone(),
        flag,
        error: last,
    })
}

fn open(socket: TcpSocket, flag: &str) -> Result<TcpListener, PortError> {
    let at = socket
        .local_addr()
        .map_or_else(|_| flag.to_owned(), |address| address.to_string());
    socket
        .listen(BACKLOG)
        .map_err(|error| PortError::Open { at, error })
}

fn advertised_url(
    address: &PortAddress,
    bound: io::Result<SocketAddr>,
) -> Result<String, PortError> {
    let advertised = &address.advertised;
    if advertised.port != 0 {
        return Ok(advertised.url());
    }
    let port = bound.map_err(PortError::UnknownPort)?.port();
    Ok(advertised.with_port(port).url())
}
