//! The files of TLS, and which of them require each other.

use std::path::PathBuf;

use super::error::Error;
use super::merged::Merged;
use super::options::Key;
use super::value::{self, InvalidValue, invalid};

/// The paths of the TLS files of a port. The files are not read here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, followed by its chain.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The CA certificate for verifying clients, which then need a certificate.
    pub ca: Option<PathBuf>,
}

impl Merged {
    /// The files of one port; none if none is set.
    pub(super) fn tls(&self, cert: Key, key: Key, ca: Key) -> Result<Option<TlsFiles>, Error> {
        match (self.identity(cert, key)?, self.file(ca)?) {
            (Some(files), ca) => Ok(Some(TlsFiles { ca, ..files })),
            (None, Some(_)) => self.require_other(ca, cert),
            (None, None) => Ok(None),
        }
    }

    /// A certificate and its key, without a CA certificate; none if none is set.
    pub(super) fn identity(&self, cert: Key, key: Key) -> Result<Option<TlsFiles>, Error> {
        let ca = None;
        match (self.file(cert)?, self.file(key)?) {
            (Some(cert), Some(key)) => Ok(Some(TlsFiles { cert, key, ca })),
            (Some(_), None) => self.require_other(cert, key),
            (None, Some(_)) => self.require_other(key, cert),
            (None, None) => Ok(None),
        }
    }

    /// The path of a file; none if it is not set.
    pub(super) fn file(&self, key: Key) -> Result<Option<PathBuf>, Error> {
        Ok(self.get(key, parse_file)?.flatten())
    }

    /// The error that `given` requires `missing`, with the source of `given`.
    fn require_other<T>(&self, given: Key, missing: Key) -> Result<Option<T>, Error> {
        let what = format!("requires {}", missing.option().flag());
        let error = || invalid(what, "both a certificate and its key");
        self.get(given, |_| error()).map(|_: Option<()>| None)
    }
}

/// Parse the path of a file; an empty one counts as not set.
fn parse_file(text: &str) -> Result<Option<PathBuf>, InvalidValue> {
    match text {
        "" => Ok(None),
        _ => value::parse_path(text).map(Some),
    }
}
