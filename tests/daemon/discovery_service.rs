//! The discovery service: its pages, and the requests of etcd 0.4.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use oxetcd::client::{Client, Request};
use oxetcd::cluster::Address;
use oxetcd::net::tls::Connector;

use crate::cluster::{TIMEOUT, free_ports};
use crate::http::{Answer, request};

/// A running discovery service.
pub struct Service {
    pub address: SocketAddr,
    /// The TLS connector, if it serves TLS.
    tls: Option<Connector>,
    folder: PathBuf,
    arguments: Vec<String>,
    process: Option<Child>,
}

impl Service {
    /// Start a service with a data directory in `folder`.
    pub fn start(folder: &Path) -> Self {
        let data = format!("-data-dir={}", folder.join("discovery.etcd").display());
        Self::start_with(folder, &[&data])
    }

    /// Start a service with these arguments.
    pub fn start_with(folder: &Path, arguments: &[&str]) -> Self {
        Self::prepare(folder, arguments, None)
    }

    /// Start a service with TLS.
    pub fn start_by_tls(folder: &Path, arguments: &[&str], tls: Connector) -> Self {
        Self::prepare(folder, arguments, Some(tls))
    }

    fn prepare(folder: &Path, arguments: &[&str], tls: Option<Connector>) -> Self {
        let address = free_ports(1)[0];
        let mut all = vec![format!("-addr={address}")];
        all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        let mut service = Self {
            address,
            tls,
            folder: folder.to_path_buf(),
            arguments: all,
            process: None,
        };
        service.restart();
        service
    }

    /// Start the process and wait until it serves.
    pub fn restart(&mut self) {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.join("discovery.log"));
        let process = Command::new(env!("CARGO_BIN_EXE_etcd-discovery"))
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.expect("a log"))
            .spawn();
        self.process = Some(process.expect("the service starts"));
        let started = Instant::now();
        while self
            .try_ask("GET", "/health", "")
            .is_none_or(|answer| answer.status != 200)
        {
            assert!(started.elapsed() < TIMEOUT, "no service:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Kill the process.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may have exited already.
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("discovery.log")).unwrap_or_default()
    }

    fn try_ask(&self, method: &str, path: &str, form: &str) -> Option<Answer> {
        match &self.tls {
            None => request(self.address, method, path, form, TIMEOUT).ok(),
            Some(tls) => self.page(path, tls.clone()),
        }
    }

    /// Get a page with TLS.
    fn page(&self, path: &str, tls: Connector) -> Option<Answer> {
        let address = Address::parse(&format!("https://{}", self.address));
        let client = Client::new(vec![address.expect("an address")]).with_tls(tls);
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let answer = runtime.block_on(client.send(&Request::page(path))).ok()?;
        Some(Answer {
            status: answer.status,
            head: String::new(),
            body: String::from_utf8_lossy(&answer.body).into_owned(),
        })
    }

    fn base(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Send a request.
    pub fn ask(&self, method: &str, path: &str, form: &str) -> Answer {
        let answer = self.try_ask(method, path, form);
        answer.unwrap_or_else(|| panic!("{method} {path}: no answer:\n{}", self.log()))
    }

    /// The path of a new token, with this cluster size unless it is 0.
    pub fn token(&self, size: u32) -> String {
        let path = match size {
            0 => "/new".to_owned(),
            size => format!("/new?size={size}"),
        };
        let url = self.ask("GET", &path, "").body;
        url.strip_prefix(&self.base())
            .expect("its own URL")
            .to_owned()
    }

    /// The URL of a new token.
    pub fn url(&self, size: u32) -> String {
        format!("{}{}", self.base(), self.token(size))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.kill();
    }
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

#[test]
fn pages_of_the_service() {
    let folder = folder();
    let service = Service::start(folder.path());
    for method in ["GET", "PUT", "POST", "DELETE"] {
        let answer = service.ask(method, "/new", "");
        let token = answer.body.rsplit('/').next().expect("a token");
        assert!(answer.status == 200 && token.len() == 32, "{answer:?}");
        assert!(
            token.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{token}"
        );
    }
    for size in ["0", "-1", "three", "1.5"] {
        let answer = service.ask("GET", &format!("/new?size={size}"), "");
        assert_eq!(answer.status, 400, "{answer:?}");
    }
    let health = service.ask("GET", "/health", "");
    assert_eq!((health.status, health.body.as_str()), (200, "OK"));
    assert!(
        service
            .ask("GET", "/robots.txt", "")
            .body
            .contains("Disallow: /")
    );
    let welcome = service.ask("GET", "/", "");
    assert!(
        welcome
            .head
            .to_lowercase()
            .contains("content-type: text/html"),
        "{welcome:?}"
    );
    assert!(
        welcome
            .body
            .contains(&format!("http://{}/new", service.address))
    );
    assert_eq!(service.ask("POST", "/health", "").status, 405);
    assert_eq!(
        service.ask("GET", "/v2/keys/_etcd/registry", "").status,
        404
    );

    let none = "/00000000000000000000000000000000";
    for (method, path) in [
        ("GET", ""),
        ("PUT", "/node"),
        ("DELETE", "/node"),
        ("GET", "/_state"),
    ] {
        let answer = service.ask(method, &format!("{none}{path}"), "value=x");
        assert_eq!(answer.status, 404, "{method} {path}");
        assert_eq!(answer.json()["errorCode"], 100, "{answer:?}");
    }
}

/// As printed in the tutorial, before and after members registered.
#[test]
fn the_tree_of_a_token() {
    let folder = folder();
    let mut service = Service::start(folder.path());
    let token = service.token(0);
    let empty = service.ask("GET", &token, "").json();
    assert_eq!(empty["action"], "get");
    let node = &empty["node"];
    assert_eq!(node["key"], format!("/_etcd/registry{token}"));
    assert_eq!(node["dir"], true);
    assert!(node["nodes"].is_null(), "{node}");
    let days = node["ttl"].as_u64().expect("it expires") / 86_400;
    assert!((29..=30).contains(&days), "{days} days");
    assert_eq!(
        service
            .ask("GET", &format!("{token}/_config/size"), "")
            .status,
        404
    );

    let put = service.ask(
        "PUT",
        &format!("{token}/n1"),
        "ttl=604800&value=http://10.0.0.1:7001",
    );
    assert_eq!(put.status, 201, "{put:?}");
    service.kill();
    service.restart();
    let node = &service.ask("GET", &format!("{token}/"), "").json()["node"];
    let entry = &node["nodes"][0];
    assert_eq!(entry["key"], format!("/_etcd/registry{token}/n1"));
    assert_eq!(entry["value"], "http://10.0.0.1:7001");
    assert!(
        entry["ttl"].as_u64().is_some_and(|ttl| ttl > 604_000),
        "{entry}"
    );
    assert!(entry["expiration"].is_string());
    assert_eq!(
        service.ask("DELETE", &format!("{token}/n1"), "").status,
        200
    );

    let sized = service.token(5);
    let size = service
        .ask("GET", &format!("{sized}/_config/size"), "")
        .json();
    assert_eq!(size["node"]["value"], "5");
    // Hidden, as all names that start with an underscore.
    assert!(service.ask("GET", &sized, "").json()["node"]["nodes"].is_null());
}

/// Send a request byte for byte.
fn raw(to: SocketAddr, line: &str, body: &str) -> Answer {
    let mut stream = TcpStream::connect(to).expect("a connection");
    let length = body.len();
    let head = match body {
        "" => String::new(),
        _ => format!(
            "Content-Length: {length}\r\nContent-Type: application/x-www-form-urlencoded; param=value\r\n"
        ),
    };
    let request = format!(
        "{line} HTTP/1.1\r\nHost: {to}\r\nUser-Agent: Go 1.1 package http\r\n{head}\
         Accept-Encoding: gzip\r\nConnection: close\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("text");
    let (head, body) = text.split_once("\r\n\r\n").expect("a whole answer");
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    Answer {
        status: status.expect("a status"),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

/// The requests of etcd 0.4.6 when three members start, with each form of a token's URL.
#[test]
fn three_members_of_0_4_find_each_other() {
    let folder = folder();
    let service = Service::start(folder.path());
    for prefix in ["/", "/v2/keys/_etcd/registry", ""] {
        let path = format!("{prefix}{}", service.token(3));
        for number in 1..=3 {
            let body = format!("ttl=604800&value=http%3A%2F%2F10.0.0.{number}%3A7001");
            let put = raw(service.address, &format!("PUT {path}/node{number}"), &body);
            assert_eq!(put.status, 201, "{put:?}");
            let line = format!("PUT {path}/_state?prevExist=false");
            let state = raw(service.address, &line, "value=started");
            if number == 1 {
                assert_eq!(state.status, 201, "{state:?}");
                continue;
            }
            assert_eq!(state.status, 412, "{state:?}");
            assert_eq!(state.json()["errorCode"], 105);
            assert!(state.number("x-etcd-index").is_some(), "{state:?}");
            let line = format!("GET {path}?consistent=true&recursive=true&sorted=false");
            let nodes = raw(service.address, &line, "").json()["node"]["nodes"].clone();
            let nodes = nodes.as_array().expect("machines").clone();
            assert_eq!(nodes.len(), number, "{nodes:?}");
            assert_eq!(nodes[0]["value"], "http://10.0.0.1:7001");
        }
        // Registered again, as every 75,600 s.
        let body = "ttl=604800&value=http%3A%2F%2F10.0.0.1%3A7001";
        assert_eq!(
            raw(service.address, &format!("PUT {path}/node1"), body).status,
            200
        );
    }
}

/// The service with a cluster instead of a data directory.
#[test]
fn tokens_are_stored_in_a_cluster() {
    let mut cluster = crate::cluster::Cluster::prepare(1, &[]);
    cluster.members[0].start();
    cluster.wait_for(0, |member| {
        member
            .get("/v2/keys/")
            .is_ok_and(|answer| answer.status == 200)
    });
    let etcd = format!("-etcd=http://{}", cluster.members[0].client);
    let service = Service::start_with(cluster.directory(), &[&etcd]);
    let token = service.token(3);
    let kept = cluster.members[0].get(&format!("/v2/keys/_etcd/registry{token}"));
    let ttl = kept.expect("an answer").json()["node"]["ttl"].as_u64();
    assert!(ttl.is_some_and(|ttl| ttl > 2_500_000), "{ttl:?}");

    let path = format!("{token}/a%20b");
    let put = service.ask("PUT", &path, "value=1&ttl=100");
    assert!(
        put.status == 201 && put.number("x-etcd-index").is_some(),
        "{put:?}"
    );
    assert_eq!(service.ask("GET", &path, "").json()["node"]["value"], "1");
    assert_eq!(
        service
            .ask("PUT", &format!("{path}?prevExist=false"), "value=2")
            .status,
        412
    );
    let index = put.number("x-etcd-index").unwrap_or(0);
    let line = format!("{path}?wait=true&waitIndex={}", index + 1);
    let watched = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| service.ask("GET", &line, "").json());
        assert_eq!(service.ask("PUT", &path, "value=2").status, 200);
        watcher.join().expect("an event")
    });
    assert_eq!(watched["node"]["value"], "2");

    cluster.members[0].kill();
    let answer = service.ask("GET", &token, "");
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(service.ask("GET", "/health", "").status, 503);
}
