//! TLS 1.2 and 1.3, as a server and as a client.
//!
//! An [`Acceptor`] belongs to a port, a [`Connector`] to the code that opens connections. Both are cheap to clone.
//! `reload` reads the files again for all clones; it applies to new connections.

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

/// The timeout for a TLS handshake; then the connection is closed.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

const VERSIONS: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

/// Performs the handshake of accepted connections.
#[derive(Clone)]
pub struct Acceptor {
    files: Arc<TlsFiles>,
    current: Arc<RwLock<TlsAcceptor>>,
}

/// Performs the handshake of opened connections. The default one trusts the system's CA certificates.
#[derive(Clone, Default)]
pub struct Connector {
    trust: Arc<Trust>,
    identity: Option<Arc<TlsFiles>>,
    /// None until it is first needed: most clients do not use TLS.
    current: Arc<RwLock<Option<TlsConnector>>>,
}

/// The CA certificates for verifying servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Those in this file.
    Only(PathBuf),
    /// Those of the system, and those in these files.
    SystemAnd(Vec<PathBuf>),
}

/// Why certificates or keys cannot be used. The message names the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// A file cannot be read.
    Unreadable(PathBuf, String),
    /// A file has other content.
    Content(PathBuf, &'static str),
    /// The private key does not match the certificate.
    Mismatch(PathBuf, PathBuf),
    /// The TLS library does not support the content of a file.
    Unusable(PathBuf, String),
    /// The system has no CA certificates.
    NoCaCertificates,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, why) => write!(f, "cannot read {}: {why}", path.display()),
            Self::Content(path, what) => write!(f, "{}: {what}", path.display()),
            Self::Mismatch(cert, key) => write!(
                f,
                "the private key in {} does not match the certificate in {}",
                key.display(),
                cert.display()
            ),
            Self::Unusable(path, why) => write!(f, "cannot use {}: {why}", path.display()),
            Self::NoCaCertificates => write!(
                f,
                "no CA certificates on this system to verify an https server: install the package \
                 ca-certificates, or set a CA file"
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
    /// Serve with the certificate of `files`; if they have a CA file, clients without a certificate signed by it
    /// are rejected.
    ///
    /// # Errors
    ///
    /// The [`Error`] of the first file that cannot be used.
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
    /// The [`Error`] of the first file that cannot be used; the previous certificates stay in use.
    pub fn reload(&self) -> Result<(), Error> {
        let new = acceptor(&self.files)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    /// Perform the handshake with a client, within [`HANDSHAKE_TIMEOUT`].
    ///
    /// # Errors
    ///
    /// The handshake failed, or timed out.
    pub async fn accept<S>(&self, stream: S) -> io::Result<server::TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let current = {
            let current = self.current.read();
            current.unwrap_or_else(PoisonError::into_inner).clone()
        };
        with_timeout(current.accept(stream)).await
    }
}

impl Connector {
    /// Verify servers by `trust`, and send the client certificate of `identity` to servers that request one.
    ///
    /// # Errors
    ///
    /// The [`Error`] of the first file that cannot be used.
    pub fn open(trust: Trust, identity: Option<TlsFiles>) -> Result<Self, Error> {
        let connector = Self {
            trust: Arc::new(trust),
            identity: identity.map(Arc::new),
            current: Arc::default(),
        };
        connector.load()?;
        Ok(connector)
    }

    /// The connector of a member: with the certificate of `files`, and their CA certificates, or those of the
    /// system without a CA file.
    ///
    /// # Errors
    ///
    /// The [`Error`] of the first file that cannot be used.
    pub fn of_member(files: TlsFiles) -> Result<Self, Error> {
        let trust = files.ca.clone().map_or_else(Trust::default, Trust::Only);
        Self::open(trust, Some(files))
    }

    /// The connector of a client with an optional CA file and client certificate. Without both it reads no file
    /// until it is used.
    ///
    /// # Errors
    ///
    /// The [`Error`] of the first file that cannot be used.
    pub fn of_client(ca: Option<PathBuf>, identity: Option<TlsFiles>) -> Result<Self, Error> {
        match (ca, identity) {
            (None, None) => Ok(Self::default()),
            (ca, identity) => Self::open(ca.map_or_else(Trust::default, Trust::Only), identity),
        }
    }

    /// Read the files, or those of the system, again, if they were read before.
    ///
    /// # Errors
    ///
    /// The [`Error`] of the first file that cannot be used; the previous certificates stay in use.
    pub fn reload(&self) -> Result<(), Error> {
        let current = self.current.read();
        let is_read = current.unwrap_or_else(PoisonError::into_inner).is_some();
        if is_read {
            self.load()?;
        }
        Ok(())
    }

    /// Perform the handshake with the server `host`, within [`HANDSHAKE_TIMEOUT`].
    ///
    /// # Errors
    ///
    /// The handshake failed or timed out; `host` is not a valid name; there are no CA certificates.
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
        with_timeout(connector.connect(name, stream)).await
    }

    fn load(&self) -> Result<TlsConnector, Error> {
        let new = connector(&self.trust, self.identity.as_deref())?;
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = Some(new.clone());
        Ok(new)
    }
}

async fn with_timeout<T>(handshake: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(HANDSHAKE_TIMEOUT, handshake)
        .await
        .unwrap_or_else(|_| {
            let what = "TLS handshake timed out";
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
            add_ca_certificates(&mut roots, ca)?;
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
        Trust::Only(path) => add_ca_certificates(&mut roots, path)?,
        Trust::SystemAnd(paths) => {
            // Damaged certificates are skipped, as by other programs of the system.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            for path in paths {
                add_ca_certificates(&mut roots, path)?;
            }
        }
    }
    if roots.is_empty() {
        return Err(Error::NoCaCertificates);
    }
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(VERSIONS)
        .map_err(|_| Error::NoCaCertificates)?
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

/// The certificate with its chain, and the private key.
fn identity(files: &TlsFiles) -> Result<Identity, Error> {
    let chain = certificates(&files.cert)?;
    let pem = read(&files.key)?;
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| {
        let what = "not a private key in PEM format without a passphrase";
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

fn add_ca_certificates(roots: &mut RootCertStore, path: &Path) -> Result<(), Error> {
    for certificate in certificates(path)? {
        let added = roots.add(certificate);
        added.map_err(|error| Error::Unusable(path.to_path_buf(), error.to_string()))?;
    }
    Ok(())
}

/// The certificates in a file: at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let pem = read(path)?;
    let damaged = |_| Error::Content(path.to_path_buf(), "damaged PEM");
    let found: Result<Vec<_>, Error> = CertificateDer::pem_slice_iter(&pem)
        .map(|certificate| certificate.map_err(damaged))
        .collect();
    match found? {
        none if none.is_empty() => Err(Error::Content(
            path.to_path_buf(),
            "no certificate in PEM format",
        )),
        some => Ok(some),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|error| Error::Unreadable(path.to_path_buf(), error.to_string()))
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
