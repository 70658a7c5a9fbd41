//! A certificate authority for tests.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// A certificate authority with its certificates in one folder.
pub struct Authority {
    folder: PathBuf,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// Create an authority with the certificate `FOLDER/ca.crt`.
    pub fn new(folder: &Path) -> Self {
        fs::create_dir_all(folder).expect("a folder");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("signed");
        fs::write(folder.join("ca.crt"), issuer.pem()).expect("written");
        Self {
            folder: folder.to_path_buf(),
            issuer,
        }
    }

    /// Path of the certificate of the authority.
    pub fn certificate(&self) -> PathBuf {
        self.folder.join("ca.crt")
    }

    /// Sign a certificate for this host. Returns the paths of `NAME.crt` and `NAME.key`.
    pub fn sign(&self, name: &str) -> (PathBuf, PathBuf) {
        let hosts = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(hosts).expect("parameters");
        let signed = params.signed_by(&key, &self.issuer).expect("signed");
        let cert_file = self.folder.join(format!("{name}.crt"));
        let key_file = self.folder.join(format!("{name}.key"));
        fs::write(&cert_file, signed.pem()).expect("written");
        fs::write(&key_file, key.serialize_pem()).expect("written");
        (cert_file, key_file)
    }
}
