//! The files of TLS: which belong together.

use std::path::PathBuf;

use super::value::{self, Problem};
use super::{Error, Key, Layer};

/// What a port of this member needs to speak TLS, as files. Nothing is read here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, with its chain behind it.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authorities of the other side; with them, who calls must show a certificate.
    pub ca: Option<PathBuf>,
}

impl Layer {
    /// The files of one port; none if nothing is said about them.
    pub(super) fn tls(&self, cert: Key, key: Key, ca: Key) -> Result<Option<TlsFiles>, Error> {
        match (self.identity(cert, key)?, self.file(ca)?) {
            (Some(files), ca) => Ok(Some(TlsFiles { ca, ..files })),
            (None, Some(_)) => self.without(ca, cert),
            (None, None) => Ok(None),
        }
    }

    /// A certificate and its key, and no authorities; none if nothing is said about them.
    pub(super) fn identity(&self, cert: Key, key: Key) -> Result<Option<TlsFiles>, Error> {
        let ca = None;
        match (self.file(cert)?, self.file(key)?) {
            (Some(cert), Some(key)) => Ok(Some(TlsFiles { cert, key, ca })),
            (Some(_), None) => self.without(cert, key),
            (None, Some(_)) => self.without(key, cert),
            (None, None) => Ok(None),
        }
    }

    /// A file; none if nothing is said about it.
    pub(super) fn file(&self, which: Key) -> Result<Option<PathBuf>, Error> {
        Ok(self.get(which, file)?.flatten())
    }

    /// The option that was given says where the mistake is.
    fn without<T>(&self, given: Key, missing: Key) -> Result<Option<T>, Error> {
        let what = format!("needs {} too", missing.option().flag());
        let problem = || value::problem(what, "a certificate and its key");
        self.get(given, |_| problem()).map(|_: Option<()>| None)
    }
}

/// A file's path; an empty one is as good as none.
fn file(text: &str) -> Result<Option<PathBuf>, Problem> {
    match text {
        "" => Ok(None),
        _ => value::directory(text).map(Some),
    }
}
