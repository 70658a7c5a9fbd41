use std::io;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;

#[path = "../../tests/daemon/authority.rs"]
#[allow(unreachable_pub, reason = "the daemon's tests use it too")]
mod authority;
use authority::Authority;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// Files signed by `authority` for `name`; with `strict`, clients need a certificate too.
fn files(authority: &Authority, name: &str, strict: bool) -> TlsFiles {
    let (cert, key) = authority.sign(name);
    let ca = strict.then(|| authority.certificate());
    TlsFiles { cert, key, ca }
}

fn trusting(authority: &Authority) -> Connector {
    Connector::open(Trust::Only(authority.certificate()), None).expect("an authority")
}

/// Send a word from the client to the server and back; the result of each side.
async fn exchange(from: &Connector, to: &Acceptor, host: &str) -> (io::Result<()>, io::Result<()>) {
    let (near, far): (DuplexStream, DuplexStream) = duplex(4096);
    let serving = async {
        let mut stream = to.accept(far).await?;
        let mut word = [0; 4];
        stream.read_exact(&mut word).await?;
        stream.write_all(&word).await?;
        stream.flush().await
    };
    let calling = async {
        let mut stream = from.connect(host, near).await?;
        stream.write_all(b"word").await?;
        stream.flush().await?;
        let mut word = [0; 4];
        stream.read_exact(&mut word).await.map(|_| ())
    };
    tokio::join!(calling, serving)
}

#[tokio::test]
async fn a_trusted_server_is_accepted() {
    let folder = folder();
    let authority = Authority::new(folder.path());
    let port = Acceptor::open(files(&authority, "server", false)).expect("good files");
    for host in ["127.0.0.1", "localhost"] {
        let (called, served) = exchange(&trusting(&authority), &port, host).await;
        called.and(served).expect(host);
    }
    let (called, _) = exchange(&trusting(&authority), &port, "127.0.0.2").await;
    assert!(called.is_err(), "the certificate is not for that host");
    let stranger = Authority::new(&folder.path().join("other"));
    let (called, served) = exchange(&trusting(&stranger), &port, "localhost").await;
    assert!(called.is_err() && served.is_err());
}

#[tokio::test]
async fn with_a_ca_file_clients_need_a_certificate() {
    let folder = folder();
    let authority = Authority::new(folder.path());
    let member = files(&authority, "member", true);
    let port = Acceptor::open(member.clone()).expect("good files");
    let peer = Connector::of_member(member).expect("good files");
    let (called, served) = exchange(&peer, &port, "localhost").await;
    called.and(served).expect("members trust each other");

    let (called, served) = exchange(&trusting(&authority), &port, "localhost").await;
    assert!(called.is_err(), "without a certificate");
    let why = served.expect_err("refused").to_string();
    assert!(why.contains("no certificates"), "{why}");

    let stranger = Authority::new(&folder.path().join("other"));
    let own = files(&stranger, "stranger", false);
    let trust = Trust::Only(authority.certificate());
    let stranger = Connector::open(trust, Some(own)).expect("good files");
    let (called, served) = exchange(&stranger, &port, "localhost").await;
    assert!(called.is_err() && served.is_err(), "of another authority");
}

#[tokio::test]
async fn tls_1_2_is_supported() {
    let folder = folder();
    let authority = Authority::new(folder.path());
    let port = Acceptor::open(files(&authority, "server", false)).expect("good files");
    let mut roots = RootCertStore::empty();
    add_ca_certificates(&mut roots, &authority.certificate()).expect("an authority");
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS12])
        .expect("a version")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let old = Connector::default();
    *old.current.write().expect("no panic") = Some(TlsConnector::from(Arc::new(config)));
    let (called, served) = exchange(&old, &port, "localhost").await;
    called.and(served).expect("TLS 1.2");
}

#[tokio::test]
async fn reload_applies_to_all_clones() {
    let folder = folder();
    let first = Authority::new(folder.path());
    let served_files = files(&first, "server", false);
    let port = Acceptor::open(served_files.clone()).expect("good files");
    let clone = port.clone();
    // A second authority in the same directory: old and new files have the same names.
    let second = Authority::new(folder.path());
    let caller = trusting(&second);
    assert!(exchange(&caller, &clone, "localhost").await.0.is_err());

    std::fs::write(&served_files.cert, "no certificate").expect("written");
    assert!(port.reload().is_err());
    second.sign("server");
    port.reload().expect("good files");
    let (called, served) = exchange(&caller, &clone, "localhost").await;
    called
        .and(served)
        .expect("all clones have the new certificate");
}

#[test]
fn errors_name_the_file() {
    let folder = folder();
    let authority = Authority::new(folder.path());
    let good = files(&authority, "good", true);
    let (_, other_key) = authority.sign("other");
    let missing = folder.path().join("missing");
    let garbage = folder.path().join("garbage");
    std::fs::write(&garbage, "-----BEGIN CERTIFICATE-----\n!\n").expect("written");
    let with = |change: &dyn Fn(&mut TlsFiles)| {
        let mut files = good.clone();
        change(&mut files);
        let error = Acceptor::open(files.clone()).err().expect("refused");
        assert_eq!(Connector::of_member(files).err(), Some(error.clone()));
        error
    };
    for (at, path) in [(0, &missing), (1, &garbage), (2, &good.key)] {
        let cert = with(&|files| files.cert.clone_from(path));
        let ca = with(&|files| files.ca = Some(path.clone()));
        for error in [cert, ca] {
            let kind = match error {
                Error::Unreadable(..) => 0,
                Error::Content(_, "damaged PEM") => 1,
                Error::Content(..) => 2,
                Error::Mismatch(..) | Error::Unusable(..) | Error::NoCaCertificates => 3,
            };
            assert_eq!(kind, at, "{error}");
            assert!(error.to_string().contains(&path.display().to_string()));
        }
    }
    let error = with(&|files| files.key.clone_from(&good.cert));
    assert!(matches!(error, Error::Content(..)), "{error}");
    let error = with(&|files| files.key.clone_from(&other_key));
    assert!(matches!(error, Error::Mismatch(..)), "{error}");
}
