//! Malformed requests, and clients that are slow or disconnect.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use crate::exchange::{Exchange, Request};
use crate::server::Server;

/// Timeout, also on a busy host.
const PATIENCE: Duration = Duration::from_secs(20);

/// Send bytes and read until the server closes the connection, or until no byte arrives for `quiet`.
fn exchange_bytes(server: &Server, bytes: &[u8], quiet: Duration) -> (String, bool) {
    let mut stream = TcpStream::connect(&server.client).expect("it listens");
    stream.set_read_timeout(Some(quiet)).expect("a timeout");
    // The server may close early and still answer.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let closed = stream.read_to_end(&mut answer).is_ok();
    (String::from_utf8_lossy(&answer).into_owned(), closed)
}

fn asked(server: &Server, request: &str) -> String {
    exchange_bytes(server, request.as_bytes(), PATIENCE).0
}

fn get(server: &Server, target: &str) -> String {
    asked(
        server,
        &format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
    )
}

fn index(server: &Server) -> String {
    let answer = get(server, "/v2/keys/");
    let index = answer
        .lines()
        .find_map(|line| line.strip_prefix("X-Etcd-Index: "));
    index.expect("an index").to_owned()
}

#[test]
fn malformed_requests_are_refused_and_change_nothing() {
    let server = Server::start(&[]);
    let before = index(&server);
    for (status, request) in malformed_heads().into_iter().chain(malformed_bodies()) {
        let answer = asked(&server, &request);
        let start: String = request.chars().take(80).collect();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{start}: {answer}"
        );
        let in_our_form = status == 405
            || answer.contains(
                "\r\n\r\n{\"errorCode\":210,\"message\":\"Invalid POST form\",\"cause\":\"",
            )
            || answer.contains("{\"errorCode\":20");
        assert!(
            in_our_form && answer.contains("\r\nServer: oxetcd/"),
            "{start}: {answer}"
        );
    }
    assert_eq!(index(&server), before);
}

#[test]
fn valid_requests_of_all_forms_are_accepted() {
    let server = Server::start(&[]);
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let chunked = format!(
        "PUT /v2/keys/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{form}Transfer-Encoding: chunked\r\n\r\n\
         5\r\nvalue\r\n3\r\n=xy\r\n0\r\n\r\n"
    );
    assert!(asked(&server, &chunked).contains("\"value\":\"xy\""));
    let pipelined = "PUT /v2/keys/p?value=1 HTTP/1.1\r\nHost: x\r\n\r\nGET /v2/keys/p HTTP/1.1\r\nHost: x\r\n\r\n\
                     GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answer = asked(&server, pipelined);
    assert_eq!(answer.matches("HTTP/1.1 20").count(), 3, "{answer}");
    assert!(answer.ends_with("etcd 0.4.6"), "{answer}");
    let old = asked(&server, "GET /version HTTP/1.0\r\n\r\n");
    assert!(
        old.starts_with("HTTP/1.0 200 OK") && old.ends_with("etcd 0.4.6"),
        "{old}"
    );
    let expects = format!(
        "PUT /v2/keys/e HTTP/1.1\r\nHost: x\r\n{form}Content-Length: 7\r\nExpect: 100-continue\r\n\r\n"
    );
    let (answer, _) = exchange_bytes(&server, expects.as_bytes(), Duration::from_millis(300));
    assert_eq!(answer, "HTTP/1.1 100 Continue\r\n\r\n");
}

#[test]
fn slow_requests_time_out_and_watches_do_not() {
    let server = Server::start(&["-http-read-timeout=1", "-http-write-timeout=1"]);
    let watch = Exchange::start(&server.client, Request::get("/v2/keys/w?wait=true"));
    watch.wait_for_head(PATIENCE);
    for half in [
        "",
        "GET /v2/keys/ HT",
        "PUT /v2/keys/a HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nvalue",
    ] {
        let started = Instant::now();
        let (answer, closed) = exchange_bytes(&server, half.as_bytes(), PATIENCE);
        assert!(
            closed && started.elapsed() >= Duration::from_secs(1),
            "{half:?}: {answer}"
        );
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 408 "),
            "{half:?}: {answer}"
        );
    }
    assert!(!watch.answer().expect("a head").complete);
    asked(
        &server,
        "PUT /v2/keys/w?value=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    );
    watch.wait(PATIENCE);
    let answer = watch.answer().expect("an answer");
    assert!(
        answer.complete && answer.body.contains("\"/w\""),
        "{answer:?}"
    );
}

#[test]
fn a_disconnected_watcher_is_removed() {
    let server = Server::start(&[]);
    let watchers = || get(&server, "/v2/stats/store").contains("\"watchers\":1}");
    let mut stream = TcpStream::connect(&server.client).expect("it listens");
    stream
        .write_all(b"GET /v2/keys/w?wait=true&stream=true HTTP/1.1\r\nHost: x\r\n\r\n")
        .expect("it reads");
    let started = Instant::now();
    while !watchers() {
        assert!(started.elapsed() < PATIENCE, "it never began to watch");
    }
    stream.shutdown(Shutdown::Both).expect("it is open");
    while watchers() {
        assert!(started.elapsed() < PATIENCE, "it is still there");
    }
}

/// Requests with a malformed request line or header, and the expected status.
fn malformed_heads() -> Vec<(u16, String)> {
    let put = |target: &str| format!("PUT {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
    let many: String = (0..200)
        .map(|number| format!("X-{number}: y\r\n"))
        .collect();
    let long = "k".repeat(4096);
    let deep = "d/".repeat(129);
    let endless = "k".repeat(70_000);
    let targets = [
        (400, "/v2/keys/%zz?value=1"),
        (400, "/v2/keys/a%00b?value=1"),
        (400, "/v2/keys/%ff?value=1"),
        (400, &format!("/v2/keys/{long}?value=1")),
        (400, &format!("/v2/keys/{deep}?value=1")),
        (414, &format!("/v2/keys/{endless}?value=1")),
        (400, "/v2/keys/a?value=1&ttl=9223372037"),
        (400, "/v2/keys/a?value=1&prevIndex=18446744073709551616"),
    ];
    let mut cases: Vec<_> = targets
        .into_iter()
        .map(|(status, target)| (status, put(target) + "\r\n"))
        .collect();
    let a = put("/v2/keys/a?value=1");
    cases.extend([
        (405, a.replace("PUT", "FOO") + "\r\n"),
        (400, a.replace("PUT", "P(T") + "\r\n"),
        (431, format!("{a}{many}\r\n")),
        (431, format!("{a}X: {}\r\n\r\n", "y".repeat(200_000))),
        (400, "\u{16}\u{3}\u{1}\r\n\r\n".to_owned()),
    ]);
    cases
}

/// Requests with a malformed body, and the expected status.
fn malformed_bodies() -> Vec<(u16, String)> {
    let head = "PUT /v2/keys/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
    let form = format!("{head}Content-Type: application/x-www-form-urlencoded\r\nContent-Length:");
    let long = "v".repeat(2_999_994);
    vec![
        (413, format!("{form} 3000000\r\n\r\nvalue={long}")),
        (413, format!("{form} 99999999999\r\n\r\nvalue=")),
        (
            413,
            format!("{form} 3000000\r\nExpect: 100-continue\r\n\r\n"),
        ),
        (415, format!("{head}Content-Length: 1\r\n\r\nx")),
        (400, format!("{form} nine\r\n\r\nvalue=xyz")),
    ]
}
