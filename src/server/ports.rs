//! The two ports: reserved first, opened once there is something to serve, and kept open whatever that is.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket, lookup_host};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::{Listen, PortAddress};
use crate::http::{self, Endpoint};
use crate::net::tls::Acceptor;

/// How many connections may wait to be accepted at a port.
const BACKLOG: u32 = 1024;

/// One port.
pub(crate) struct Port {
    flag: &'static str,
    runtime: Handle,
    tls: Option<Acceptor>,
    state: State,
}

enum State {
    /// Ours, and nobody can connect.
    Reserved(TcpSocket),
    /// Opened before this process; who connects waits.
    Inherited(std::net::TcpListener),
    /// Serves what is shown.
    Open(watch::Sender<Endpoint>, JoinHandle<()>),
    /// It could not be opened.
    Lost,
}

impl Port {
    /// Take a port without opening it: nobody else gets it, and nobody can connect yet. Or take the one
    /// that was handed over. `flag` is the option that chooses it; it will be served on `runtime`, by `tls`
    /// if there is some.
    ///
    /// # Errors
    ///
    /// A sentence.
    pub(crate) async fn reserve(
        inherited: Option<std::net::TcpListener>,
        listen: &Listen,
        flag: &'static str,
        runtime: Handle,
        tls: Option<Acceptor>,
    ) -> Result<Self, String> {
        let state = match inherited {
            Some(listener) => State::Inherited(listener),
            None => State::Reserved(reserve(listen, flag).await?),
        };
        Ok(Self {
            flag,
            runtime,
            tls,
            state,
        })
    }

    /// The URL others are told, with the port the system chose where it was to choose.
    ///
    /// # Errors
    ///
    /// The system's.
    pub(crate) fn url(&self, endpoint: &PortAddress) -> Result<String, String> {
        match &self.state {
            State::Reserved(socket) => url(endpoint, socket.local_addr()),
            State::Inherited(listener) => url(endpoint, listener.local_addr()),
            State::Open(..) | State::Lost => Ok(endpoint.advertised.url()),
        }
    }

    /// Serve `site` from the next connection on; the first time opens the port.
    ///
    /// # Errors
    ///
    /// A sentence: it cannot be opened.
    pub(crate) fn show(&mut self, site: Endpoint) -> Result<(), String> {
        if let State::Open(shown, _) = &self.state {
            shown.send_replace(site);
            return Ok(());
        }
        let _on_its_runtime = self.runtime.enter();
        let listener = match std::mem::replace(&mut self.state, State::Lost) {
            State::Reserved(socket) => listen(socket, self.flag)?,
            State::Inherited(listener) => TcpListener::from_std(listener)
                .map_err(|error| format!("the socket handed over for {}: {error}", self.flag))?,
            State::Open(..) | State::Lost => return Ok(()),
        };
        let (shown, sites) = watch::channel(site);
        let serving = self
            .runtime
            .spawn(http::serve(listener, sites, self.tls.clone()));
        self.state = State::Open(shown, serving);
        Ok(())
    }

    /// Take no more connections, and wait until the last has ended.
    pub(crate) async fn close(self) {
        if let State::Open(shown, serving) = self.state {
            drop(shown);
            // It does not panic; if it did, the port is closed as well.
            let _ = serving.await;
        }
    }
}

async fn reserve(listen: &Listen, flag: &str) -> Result<TcpSocket, String> {
    let taken = |error: std::io::Error| {
        format!(
            "cannot listen on {listen}: {error}; is another etcd running? choose another {flag}"
        )
    };
    let addresses: Vec<SocketAddr> = match listen {
        Listen::Everywhere { port } => {
            vec![
                SocketAddr::from(([0_u16; 8], *port)),
                SocketAddr::from(([0_u8; 4], *port)),
            ]
        }
        Listen::At(address) => {
            let unknown =
                |error| format!("{flag}: the host {} is not known: {error}", address.host);
            lookup_host((address.host.as_str(), address.port))
                .await
                .map_err(unknown)?
                .collect()
        }
    };
    let mut last = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
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
            // Without IPv6 on this machine, IPv4 alone will do.
            Err(error) => last = error,
        }
    }
    Err(taken(last))
}

fn listen(socket: TcpSocket, flag: &str) -> Result<TcpListener, String> {
    let at = socket
        .local_addr()
        .map_or_else(|_| flag.to_owned(), |address| address.to_string());
    socket
        .listen(BACKLOG)
        .map_err(|error| format!("cannot listen on {at}: {error}"))
}

fn url(endpoint: &PortAddress, bound: io::Result<SocketAddr>) -> Result<String, String> {
    let advertised = &endpoint.advertised;
    if advertised.port != 0 {
        return Ok(advertised.url());
    }
    let port = bound.map_err(|error| error.to_string())?.port();
    Ok(advertised.with_port(port).url())
}
