//! The TLS of a server: of its two ports, and to others.

use crate::bootstrap::Registry;
use crate::config::{Config, TlsFiles};
use crate::host::Failure;
use crate::net::tls::{Acceptor, Connector, Error, Trust};

/// What TLS a server speaks, read before anything else is touched. All clones are the same.
#[derive(Clone)]
pub struct Tls {
    /// At the client port; none for plain HTTP.
    pub(super) client: Option<Acceptor>,
    /// At the peer port; none for plain HTTP.
    pub(super) peer: Option<Acceptor>,
    /// With peers whose URL is `https`.
    pub(super) to_peers: Connector,
    /// Whether there are files for that.
    has_peer_files: bool,
}

impl Tls {
    /// # Errors
    ///
    /// The first file that is of no use.
    pub(super) fn open(config: &Config) -> Result<Self, Failure> {
        let of =
            |what: &'static str| move |why: Error| Failure::Options(format!("TLS {what}: {why}"));
        let acceptor = |files: &Option<TlsFiles>| files.clone().map(Acceptor::open).transpose();
        let to_peers = match &config.peer_tls {
            Some(files) => Connector::of_member(files.clone()),
            None => Ok(Connector::default()),
        };
        Ok(Self {
            client: acceptor(&config.client_tls).map_err(of("for clients"))?,
            peer: acceptor(&config.peer_tls).map_err(of("for peers"))?,
            to_peers: to_peers.map_err(of("to peers"))?,
            has_peer_files: config.peer_tls.is_some(),
        })
    }

    /// Read certificates, keys and authorities again, for the connections made from now on. Whether there
    /// are any.
    ///
    /// # Errors
    ///
    /// The first file that is of no use; what it belongs to stays as it is.
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

/// Where machines with the same token find each other. Of its service's certificate it is enough that an
/// authority signed it whom the system trusts, or one of ours.
pub(super) fn registry(config: &Config) -> Result<Option<Registry>, Failure> {
    let Some(url) = config.discovery.clone() else {
        return Ok(None);
    };
    let files = [&config.client_tls, &config.peer_tls];
    let ours = files.into_iter().flatten();
    let ours = ours.filter_map(|files| files.ca.clone()).collect();
    let tls = match url.service.tls {
        true => Connector::open(Trust::SystemAnd(ours), None),
        false => Ok(Connector::default()),
    };
    let tls = tls.map_err(|why| Failure::Options(format!("TLS to {url}: {why}")))?;
    Ok(Some(Registry::new(url, tls)))
}
