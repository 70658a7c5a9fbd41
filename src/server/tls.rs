//! The TLS of a server: at its two ports, and to other servers.

use crate::bootstrap::TokenDirectory;
use crate::config::{Config, TlsFiles};
use crate::host::Failure;
use crate::net::tls::{Acceptor, Connector, Error, Trust};

/// The TLS of a server, read before anything is changed. Clones share their state.
#[derive(Clone)]
pub struct Tls {
    /// For the client port; none for plain HTTP.
    pub(super) client: Option<Acceptor>,
    /// For the peer port; none for plain HTTP.
    pub(super) peer: Option<Acceptor>,
    /// For connections to peers whose URL is `https`.
    pub(super) to_peers: Connector,
    /// Whether files are configured for that.
    has_peer_files: bool,
}

impl Tls {
    /// Read the files named in the options.
    ///
    /// # Errors
    ///
    /// [`Failure::Options`]: the first file that cannot be read or is not valid.
    pub(super) fn open(config: &Config) -> Result<Self, Failure> {
        let invalid = |what: &'static str| {
            move |error: Error| Failure::Options(format!("TLS {what}: {error}"))
        };
        let acceptor = |files: &Option<TlsFiles>| files.clone().map(Acceptor::open).transpose();
        let to_peers = match &config.peer_tls {
            Some(files) => Connector::of_member(files.clone()),
            None => Ok(Connector::default()),
        };
        Ok(Self {
            client: acceptor(&config.client_tls).map_err(invalid("for clients"))?,
            peer: acceptor(&config.peer_tls).map_err(invalid("for peers"))?,
            to_peers: to_peers.map_err(invalid("to peers"))?,
            has_peer_files: config.peer_tls.is_some(),
        })
    }

    /// Reload certificates, keys and CAs for new connections; returns whether any are configured.
    ///
    /// # Errors
    ///
    /// The first file that cannot be read or is not valid; the port or the connector it belongs to keeps the old one.
    pub fn reload(&self) -> Result<bool, Error> {
        let acceptors = [&self.client, &self.peer];
        for acceptor in acceptors.into_iter().flatten() {
            acceptor.reload()?;
        }
        if self.has_peer_files {
            self.to_peers.reload()?;
        }
        Ok(self.client.is_some() || self.peer.is_some())
    }
}

/// The directory of the configured discovery token. The service's certificate must be signed by a CA of the system or
/// one from the options.
///
/// # Errors
///
/// [`Failure::Options`]: a CA file cannot be read or is not valid.
pub(super) fn token_directory(config: &Config) -> Result<Option<TokenDirectory>, Failure> {
    let Some(url) = config.discovery.clone() else {
        return Ok(None);
    };
    let files = [&config.client_tls, &config.peer_tls];
    let files = files.into_iter().flatten();
    let cas = files.filter_map(|files| files.ca.clone()).collect();
    let tls = match url.service.tls {
        true => Connector::open(Trust::SystemAnd(cas), None),
        false => Ok(Connector::default()),
    };
    let tls = tls.map_err(|error| Failure::Options(format!("TLS to {url}: {error}")))?;
    Ok(Some(TokenDirectory::new(url, tls)))
}
