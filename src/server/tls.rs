//! What TLS a server speaks, read before anything else is touched.

use crate::config::{Config, TlsFiles};
use crate::tls::{Acceptor, Connector};

/// The TLS of the two ports, and of the calls to peers.
pub(super) struct Tls {
    /// For clients; none for plain HTTP.
    pub(super) client: Option<Acceptor>,
    /// For peers; none for plain HTTP.
    pub(super) peer: Option<Acceptor>,
    /// Calls peers.
    pub(super) to_peers: Connector,
}

impl Tls {
    /// Read the files.
    ///
    /// # Errors
    ///
    /// A sentence: which of them is of no use, and why.
    pub(super) fn open(config: &Config) -> Result<Self, String> {
        let acceptor = |files: &Option<TlsFiles>| files.clone().map(Acceptor::open).transpose();
        let to_peers = match &config.peer_tls {
            Some(files) => Connector::of_member(files.clone()),
            None => Ok(Connector::default()),
        };
        Ok(Self {
            client: acceptor(&config.client_tls)
                .map_err(|why| format!("TLS for clients: {why}"))?,
            peer: acceptor(&config.peer_tls).map_err(|why| format!("TLS for peers: {why}"))?,
            to_peers: to_peers.map_err(|why| format!("TLS to peers: {why}"))?,
        })
    }
}
