//! TLS 1.2 and 1.3: what a port answers with, and what connections of ours speak.
//!
//! An [`Acceptor`] is one port's, a [`Connector`] belongs to whoever opens connections. Both are cheap to
//! clone; all clones read their files again at once with `reload`, for the connections made from then on.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{
    self, ClientConfig, InconsistentKeys, RootCertStore, ServerConfig, SupportedProtocolVersion,
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use crate::config::TlsFiles;

/// How long both sides may take to agree; then the connection is closed.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

const VERSIONS: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

/// Turns connections that were accepted into TLS.
#[derive(Clone)]
pub struct Acceptor {
    files: Arc<TlsFiles>,
    current: Arc<RwLock<TlsAcceptor>>,
}

/// Turns connections that were opened into TLS. The default one trusts whom the system trusts.
#[derive(Clone, Default)]
pub struct Connector {
    trust: Arc<Trust>,
    identity: Option<Arc<TlsFiles>>,
    /// None until it is needed for the first time: most clients never speak TLS.
    current: Arc<RwLock<Option<TlsConnector>>>,
}

/// Whose signature on a server's certificate will do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// That of the authorities in this file.
    Only(PathBuf),
    /// That of the system's authorities, and of those in these files.
    SystemAnd(Vec<PathBuf>),
}

/// Why certificates, keys or authorities are of no use. The text says which file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// A file cannot be read.
    Unreadable(PathBuf, String),
    /// A file holds something else.
    Content(PathBuf, &'static str),
    /// The key is not that of the certificate.
    Mismatch(PathBuf, PathBuf),
    /// TLS cannot work with what the files hold.
    Unusable(PathBuf, String),
    /// The system trusts nobody.
    NoAuthorities,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, why) => write!(f, "{} cannot be read: {why}", path.display()),
            Self::Content(path, what) => write!(f, "{} holds {what}", path.display()),
            Self::Mismatch(cert, key) => write!(
                f,
                "the key in {} is not that of the certificate in {}",
                key.display(),
                cert.display()
            ),
            Self::Unusable(path, why) => write!(f, "{} is of no use: {why}", path.display()),
            Self::NoAuthorities => write!(
                f,
                "this system trusts no authority, so no https server can be believed: install its \
                 ca-certificates, or name a file of authorities"
            ),
        }
    }
}

impl std::error::Error for Error {}

impl Default for Trust {
    fn default() -> Self {
        Self::SystemAnd(Vec::new())
    }
}

impl Acceptor {
    /// Shows the certificate of `files`; with authorities in them, only those who show one that they
    /// signed are served.
    ///
    /// # Errors
    ///
    /// The first file that is of no use.
    pub fn open(files: TlsFiles) -> Result<Self, Error> {
        let current = acceptor(&files)?;
        Ok(Self {
            files: Arc::new(files),
            current: Arc::new(RwLock::new(current)),
        })
    }

    /// Read the files again.
    ///
    /// # Errors
    ///
    /// The first file that is of no use; what was read before is used on.
    pub fn reload(&self) -> Result<(), Error> {
        let fresh = acceptor(&self.files)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// Agree with who called, within [`HANDSHAKE_TIMEOUT`].
    ///
    /// # Errors
    ///
    /// Why there is no agreement.
    pub async fn accept<S>(&self, stream: S) -> io::Result<server::TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let current = {
            let current = self.current.read();
            current.unwrap_or_else(PoisonError::into_inner).clone()
        };
        in_time(current.accept(stream)).await
    }
}

impl Connector {
    /// Believes whom `trust` says, and shows the certificate of `identity` to servers that ask for one.
    ///
    /// # Errors
    ///
    /// The first file that is of no use.
    pub fn open(trust: Trust, identity: Option<TlsFiles>) -> Result<Self, Error> {
        let connector = Self {
            trust: Arc::new(trust),
            identity: identity.map(Arc::new),
            current: Arc::default(),
        };
        connector.load()?;
        Ok(connector)
    }

    /// As members talk to each other: with the certificate of `files`, and trusting their authorities if
    /// there are any, else the system's.
    ///
    /// # Errors
    ///
    /// The first file that is of no use.
    pub fn of_member(files: TlsFiles) -> Result<Self, Error> {
        let trust = files.ca.clone().map_or_else(Trust::default, Trust::Only);
        Self::open(trust, Some(files))
    }

    /// As a client that may be told whom to trust and what to show; that of nothing reads nothing until it
    /// is used.
    ///
    /// # Errors
    ///
    /// The first file that is of no use.
    pub fn of_client(ca: Option<PathBuf>, identity: Option<TlsFiles>) -> Result<Self, Error> {
        match (ca, identity) {
            (None, None) => Ok(Self::default()),
            (ca, identity) => Self::open(ca.map_or_else(Trust::default, Trust::Only), identity),
        }
    }

    /// Read the files, or those of the system, again; what was never needed is not read now.
    ///
    /// # Errors
    ///
    /// The first file that is of no use; what was read before is used on.
    pub fn reload(&self) -> Result<(), Error> {
        let current = self.current.read();
        let is_read = current.unwrap_or_else(PoisonError::into_inner).is_some();
        if is_read {
            self.load()?;
        }
        Ok(())
    }

    /// Agree with the server that was called as `host`, within [`HANDSHAKE_TIMEOUT`].
    ///
    /// # Errors
    ///
    /// Why there is no agreement, or that there is nobody to trust.
    pub async fn connect<S>(&self, host: &str, stream: S) -> io::Result<client::TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let loaded = {
            let current = self.current.read();
            current.unwrap_or_else(PoisonError::into_inner).clone()
        };
        let connector = match loaded {
            Some(connector) => connector,
            None => self.load().map_err(io::Error::other)?,
        };
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        in_time(connector.connect(name, stream)).await
    }

    fn load(&self) -> Result<TlsConnector, Error> {
        let fresh = connector(&self.trust, self.identity.as_deref())?;
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = Some(fresh.clone());
        Ok(fresh)
    }
}

async fn in_time<T>(agreeing: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(HANDSHAKE_TIMEOUT, agreeing)
        .await
        .unwrap_or_else(|_| {
            let what = "nobody answered the TLS handshake in time";
            Err(io::Error::new(io::ErrorKind::TimedOut, what))
        })
}

fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, Error> {
    let provider = provider();
    let unusable =
        |path: &Path, why: &dyn fmt::Display| Error::Unusable(path.to_path_buf(), why.to_string());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(VERSIONS)
        .map_err(|error| unusable(&files.cert, &error))?;
    let builder = match &files.ca {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            add_authorities(&mut roots, ca)?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().map_err(|e| unusable(ca, &e))?)
        }
    };
    let (chain, key) = identity(files)?;
    let config = builder
        .with_single_cert(chain, key)
        .map_err(|error| mismatch(files, &error))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn connector(trust: &Trust, own: Option<&TlsFiles>) -> Result<TlsConnector, Error> {
    let mut roots = RootCertStore::empty();
    match trust {
        Trust::Only(path) => add_authorities(&mut roots, path)?,
        Trust::SystemAnd(paths) => {
            // One that is damaged is passed over, as every program on the system does.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            for path in paths {
                add_authorities(&mut roots, path)?;
            }
        }
    }
    if roots.is_empty() {
        return Err(Error::NoAuthorities);
    }
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(VERSIONS)
        .map_err(|_| Error::NoAuthorities)?
        .with_root_certificates(roots);
    let config = match own {
        None => builder.with_no_client_auth(),
        Some(files) => {
            let (chain, key) = identity(files)?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| mismatch(files, &error))?
        }
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// The certificate with its chain, and its key.
fn identity(files: &TlsFiles) -> Result<Identity, Error> {
    let chain = certificates(&files.cert)?;
    let pem = read(&files.key)?;
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| {
        let what = "no private key in PEM that can be used without a passphrase";
        Error::Content(files.key.clone(), what)
    })?;
    Ok((chain, key))
}

fn mismatch(files: &TlsFiles, error: &rustls::Error) -> Error {
    if matches!(
        error,
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)
    ) {
        return Error::Mismatch(files.cert.clone(), files.key.clone());
    }
    Error::Unusable(files.cert.clone(), error.to_string())
}

fn add_authorities(roots: &mut RootCertStore, path: &Path) -> Result<(), Error> {
    for certificate in certificates(path)? {
        let added = roots.add(certificate);
        added.map_err(|error| Error::Unusable(path.to_path_buf(), error.to_string()))?;
    }
    Ok(())
}

/// The certificates in a file, at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let pem = read(path)?;
    let damaged = |_| Error::Content(path.to_path_buf(), "PEM that is damaged");
    let found: Result<Vec<_>, Error> = CertificateDer::pem_slice_iter(&pem)
        .map(|certificate| certificate.map_err(damaged))
        .collect();
    match found? {
        none if none.is_empty() => Err(Error::Content(path.to_path_buf(), "no certificate in PEM")),
        some => Ok(some),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|error| Error::Unreadable(path.to_path_buf(), error.to_string()))
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
