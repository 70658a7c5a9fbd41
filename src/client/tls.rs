//! How to show who one is, and whom to believe.

use std::path::PathBuf;

/// The files for connections by TLS, as their options name them; they are read when it connects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Whose signature on a server's certificate counts; none for those the system trusts.
    pub ca: Option<PathBuf>,
    /// The certificate to show.
    pub cert: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
}
