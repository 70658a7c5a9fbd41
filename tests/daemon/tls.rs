//! TLS on both ports, with certificates of a test authority.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use oxetcd::client::{Client, Get, Put};
use oxetcd::cluster::Address;
use oxetcd::config::TlsFiles;
use oxetcd::net::tls::{Connector, Trust};

use crate::authority::Authority;
use crate::cluster::{Cluster, TIMEOUT};
use crate::discovery_service::Service;

/// The flags for a certificate of `name`; `prefix` is empty for the client port.
fn flags(authority: &Authority, prefix: &str, name: &str) -> [String; 3] {
    let (cert, key) = authority.sign(name);
    let ca = authority.certificate();
    [
        format!("-{prefix}cert-file={}", cert.display()),
        format!("-{prefix}key-file={}", key.display()),
        format!("-{prefix}ca-file={}", ca.display()),
    ]
}

fn prepare(size: usize, prefix: &str) -> (Cluster, Authority) {
    let mut cluster = Cluster::prepare(size, &[]);
    let authority = Authority::new(&cluster.directory().join("tls"));
    for number in 0..size {
        for flag in flags(&authority, prefix, &format!("m{number}")) {
            cluster.members[number].add_argument(&flag);
        }
    }
    (cluster, authority)
}

#[test]
fn three_members_use_tls_and_refuse_other_authorities() {
    let (mut cluster, _authority) = prepare(3, "peer-");
    for member in &mut cluster.members {
        member.start();
    }
    cluster.wait_until_formed();
    let member = &cluster.members[2];
    let put = member.put("/v2/keys/x", "value=1").expect("an answer");
    assert_eq!(put.status, 201, "{put:?}");
    let leader = member.get("/v2/leader").expect("an answer").body;
    assert!(leader.starts_with("https://127.0.0.1:"), "{leader}");
    assert!(member.get_from_peer_port("/version").is_err(), "plain HTTP");

    let first = cluster.members[0].peer;
    let mut stranger = Cluster::prepare(1, &[]);
    let other = Authority::new(&stranger.directory().join("tls"));
    for flag in flags(&other, "peer-", "stranger") {
        stranger.members[0].add_argument(&flag);
    }
    for argument in ["-name=stranger", "-max-retry-attempts=1"] {
        stranger.members[0].add_argument(argument);
    }
    stranger.members[0].add_argument(&format!("-peers={first}"));
    let log = stranger.members[0].start_failing(1);
    assert!(log.contains("TLS handshake failed"), "{log}");
}

/// Send a request to the client port of the first member.
fn ask(cluster: &Cluster, tls: Connector) -> Result<(), String> {
    let address = Address::parse(&format!("https://{}", cluster.members[0].client));
    let client = Client::new(vec![address.expect("an address")]).with_tls(tls);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let put = Put {
            value: Some("1".into()),
            ..Put::default()
        };
        let answered = client.put("/x", &put).await;
        answered.map_err(|error| error.to_string())?;
        let read = client.get("/x", &Get::default()).await;
        read.map(|_| ()).map_err(|error| error.to_string())
    })
}

#[test]
fn a_client_without_a_certificate_is_refused() {
    let (mut cluster, authority) = prepare(1, "");
    cluster.members[0].start();
    let (cert, key) = authority.sign("client");
    let ca = authority.certificate();
    let own = TlsFiles {
        cert,
        key,
        ca: Some(ca.clone()),
    };
    let connector = |trust: &Path, own| Connector::open(Trust::Only(trust.to_path_buf()), own);
    let good = connector(&ca, Some(own.clone())).expect("good files");
    let started = std::time::Instant::now();
    while let Err(why) = ask(&cluster, good.clone()) {
        assert!(
            started.elapsed() < TIMEOUT,
            "{why}\n{}",
            cluster.members[0].log()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    let nobody = connector(&ca, None).expect("good files");
    let why = ask(&cluster, nobody).expect_err("refused");
    assert!(why.to_lowercase().contains("certificate"), "{why}");
    cluster.wait_for(0, |member| member.log().contains("TLS handshake failed"));

    let other = Authority::new(&cluster.directory().join("other"));
    let wrong = connector(&other.certificate(), Some(own)).expect("good files");
    let why = ask(&cluster, wrong).expect_err("not believed");
    assert!(why.contains("TLS handshake failed"), "{why}");
}

#[test]
fn etcdctl_uses_its_certificate_and_authority() {
    let (mut cluster, authority) = prepare(1, "");
    cluster.members[0].start();
    let (cert, key) = authority.sign("ctl");
    let url = format!("https://{}", cluster.members[0].client);
    let etcdctl = |files: &[(&str, &Path)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_etcdctl"));
        command.env_clear().args(["-C", &url]);
        for (flag, file) in files {
            command.arg(flag).arg(file);
        }
        let output = command.args(["set", "/x", "1"]).output();
        let output = output.expect("etcdctl starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.code(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };
    let ca = authority.certificate();
    let believes = ("--ca-file", ca.as_path());
    let shows = [
        ("--cert-file", cert.as_path()),
        ("--key-file", key.as_path()),
    ];
    cluster.wait_for(0, |_| {
        etcdctl(&[believes, shows[0], shows[1]]) == (Some(0), "1\n".into(), String::new())
    });
    let (nobody, _, said) = etcdctl(&[believes]);
    assert_ne!(nobody, Some(0), "{said}");
    let (strange, _, said) = etcdctl(&shows);
    assert_ne!(strange, Some(0), "{said}");
}

#[test]
fn unusable_files_fail_at_start() {
    for (flags, said) in [
        (
            &["-cert-file=/nowhere/x.crt", "-key-file=/nowhere/x.key"][..],
            "cannot read /nowhere/x.crt",
        ),
        (
            &["-peer-cert-file=x.crt"],
            "-peer-cert-file: \"x.crt\" requires -peer-key-file",
        ),
        (&["-ca-file=x.crt"], "requires -cert-file"),
    ] {
        let mut cluster = Cluster::prepare(1, flags);
        let log = cluster.members[0].start_failing(78);
        assert!(log.contains(said), "{log}");
        assert!(!cluster.directory().join("m0.etcd/member").exists());
    }
}

#[test]
fn a_new_certificate_is_used_after_sighup() {
    let (mut cluster, authority) = prepare(1, "");
    // Clients need no certificate.
    cluster.members[0].add_argument("-ca-file=");
    cluster.members[0].start();
    let trusting = |authority: &Authority| {
        let trust = Trust::Only(authority.certificate());
        Connector::open(trust, None).expect("an authority")
    };
    let old = trusting(&authority);
    cluster.wait_for(0, |_| ask(&cluster, old.clone()).is_ok());
    let newer = Authority::new(&cluster.directory().join("tls"));
    newer.sign("m0");
    let new = trusting(&newer);
    ask(&cluster, new.clone()).expect_err("not read yet");
    cluster.members[0].signal("-HUP");
    cluster.wait_for(0, |_| ask(&cluster, new.clone()).is_ok());
}

/// A discovery service with a certificate of the members' authority.
#[test]
fn discovery_works_with_tls() {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new(&folder.path().join("tls"));
    let (cert, key) = authority.sign("service");
    let (cert, key) = (cert.display(), key.display());
    let data = folder.path().join("discovery.etcd");
    let data = format!("-data-dir={}", data.display());
    let tls = [format!("-cert-file={cert}"), format!("-key-file={key}")];
    let trust = Trust::Only(authority.certificate());
    let connector = Connector::open(trust, None).expect("an authority");
    let service = Service::start_by_tls(folder.path(), &[&data, &tls[0], &tls[1]], connector);
    let mut cluster = Cluster::prepare(3, &["-peers=", &format!("-discovery={}", service.url(0))]);
    for (number, member) in cluster.members.iter_mut().enumerate() {
        for flag in flags(&authority, "peer-", &format!("m{number}")) {
            member.add_argument(&flag);
        }
        member.start();
    }
    cluster.wait_until_formed();
}

/// A discovery service that stores its tokens on a member with client certificates.
#[test]
fn tokens_are_stored_in_a_cluster_with_tls() {
    let (mut cluster, authority) = prepare(1, "");
    cluster.members[0].start();
    let (cert, key) = authority.sign("discovery");
    let ca = authority.certificate();
    let identity = TlsFiles {
        cert,
        key,
        ca: None,
    };
    let trust = Trust::Only(ca.clone());
    let connector = Connector::open(trust, Some(identity.clone())).expect("good files");
    cluster.wait_for(0, |_| ask(&cluster, connector.clone()).is_ok());
    let arguments = [
        format!("-etcd=https://{}", cluster.members[0].client),
        format!("-etcd-ca-file={}", ca.display()),
        format!("-etcd-cert-file={}", identity.cert.display()),
        format!("-etcd-key-file={}", identity.key.display()),
    ];
    let arguments = arguments.each_ref().map(String::as_str);
    // It is healthy only if the cluster answers.
    let service = Service::start_with(cluster.directory(), &arguments);
    let token = service.url(0);
    assert!(token.starts_with("http://"), "{token}");
}

/// `bench` uses the TLS options of all commands.
#[test]
fn bench_works_with_tls() {
    let (mut cluster, authority) = prepare(1, "");
    cluster.members[0].start();
    let (cert, key) = authority.sign("client");
    let ca = authority.certificate();
    let connector = |ca: &Path| {
        let (cert, key) = (cert.clone(), key.clone());
        let own = TlsFiles {
            cert,
            key,
            ca: None,
        };
        Connector::open(Trust::Only(ca.to_path_buf()), Some(own)).expect("good files")
    };
    let good = connector(&ca);
    cluster.wait_for(0, |_| ask(&cluster, good.clone()).is_ok());
    let bench = |ca: &Path| {
        Command::new(env!("CARGO_BIN_EXE_etcdctl"))
            .arg(format!("--peers=https://{}", cluster.members[0].client))
            .arg(format!("--ca-file={}", ca.display()))
            .arg(format!("--cert-file={}", cert.display()))
            .arg(format!("--key-file={}", key.display()))
            .args(["bench", "--workload=mixed", "--clients=3", "--total=30"])
            .output()
            .expect("etcdctl runs")
    };
    let output = bench(&ca);
    assert!(output.status.success(), "{output:?}");
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("30"),
        "{output:?}"
    );
    let other = Authority::new(&cluster.directory().join("other"));
    let output = bench(&other.certificate());
    assert!(!output.status.success(), "{output:?}");
}
