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
        let file = |which| Ok(self.get(which, file)?.flatten());
        let files = (file(cert)?, file(key)?, file(ca)?);
        let without = |given: Key, missing: Key| {
            let what = format!("needs {} too", missing.option().flag());
            let problem = || value::problem(what, "a certificate and its key");
            // The option that was given says where the mistake is.
            self.get(given, |_| problem()).map(|_: Option<()>| None)
        };
        match files {
            (Some(cert), Some(key), ca) => Ok(Some(TlsFiles { cert, key, ca })),
            (Some(_), None, _) => without(cert, key),
            (None, Some(_), _) => without(key, cert),
            (None, None, Some(_)) => without(ca, cert),
            (None, None, None) => Ok(None),
        }
    }
}

/// A file's path; an empty one is as good as none.
fn file(text: &str) -> Result<Option<PathBuf>, Problem> {
    match text {
        "" => Ok(None),
        _ => value::directory(text).map(Some),
    }
}
