//! Short runs against a test server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use super::load;
use super::{Limit, Plan, Workload};
use crate::cluster::Address;
use crate::net::tls::Connector;

/// How the test server responds.
#[derive(Clone, Copy)]
enum Behavior {
    /// With 200.
    Ok,
    /// With 503 to every other request.
    Flaky,
    /// It reads the request and closes the connection.
    Closes,
    /// With a redirect to this port.
    Redirects(u16),
}

/// A server on a free port that counts its requests.
fn server(behavior: Behavior) -> (Address, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    let count = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&count);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, count) = (stream.expect("a connection"), Arc::clone(&counted));
            thread::spawn(move || serve(&stream, behavior, &count));
        }
    });
    (Address::parse(&address).expect("an address"), count)
}

fn serve(stream: &TcpStream, behavior: Behavior, count: &AtomicU64) {
    let mut input = BufReader::new(stream);
    loop {
        let mut length = 0;
        let mut line = String::new();
        loop {
            line.clear();
            if input.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some(digits) = line.strip_prefix("Content-Length: ") {
                length = digits.trim().parse().expect("a length");
            }
            if line == "\r\n" {
                break;
            }
        }
        input.read_exact(&mut vec![0; length]).expect("a body");
        let number = count.fetch_add(1, Ordering::SeqCst);
        let answer = match behavior {
            Behavior::Closes => return,
            Behavior::Redirects(port) => format!(
                "HTTP/1.1 307 X\r\nLocation: http://127.0.0.1:{port}/v2/keys\r\nContent-Length: 0\r\n\r\n"
            ),
            Behavior::Flaky if number.is_multiple_of(2) => {
                String::from("HTTP/1.1 503 X\r\nContent-Length: 17\r\n\r\n{\"errorCode\":300}")
            }
            Behavior::Ok | Behavior::Flaky => String::from(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
            ),
        };
        if (&mut &*stream).write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn plan(member: Address, workload: Workload) -> Plan {
    Plan {
        members: vec![member],
        workload,
        clients: 4,
        rate: None,
        limit: Limit::Total(100),
        value_size: 10,
        keys: 7,
        directory: String::from("/bench"),
    }
}

#[test]
fn the_given_number_of_requests_is_sent() {
    let (member, count) = server(Behavior::Ok);
    let outcome =
        load::run(&plan(member, Workload::Put), &Connector::default()).expect("an outcome");
    assert_eq!(outcome.count(), 100);
    assert_eq!(count.load(Ordering::SeqCst), 100);
    assert!(outcome.failures.is_empty());
}

#[test]
fn keys_to_read_are_written_first() {
    let (member, count) = server(Behavior::Ok);
    let outcome =
        load::run(&plan(member, Workload::QuorumGet), &Connector::default()).expect("an outcome");
    assert_eq!(outcome.count(), 100);
    assert_eq!(count.load(Ordering::SeqCst), 107);
}

#[test]
fn failures_are_counted_by_kind_and_have_no_latency() {
    let (member, _) = server(Behavior::Flaky);
    let outcome =
        load::run(&plan(member, Workload::Put), &Connector::default()).expect("an outcome");
    assert_eq!(outcome.count(), 50);
    assert_eq!(outcome.failures.get("HTTP 503, error 300"), Some(&50));
    let (member, _) = server(Behavior::Closes);
    let few = Plan {
        limit: Limit::Total(8),
        ..plan(member, Workload::Put)
    };
    let outcome = load::run(&few, &Connector::default()).expect("an outcome");
    assert_eq!(outcome.count(), 0);
    assert_eq!(outcome.failures.get("connection: closed"), Some(&8));
}

#[test]
fn a_redirect_is_followed_once_and_remembered() {
    let (leader, led) = server(Behavior::Ok);
    let (follower, asked) = server(Behavior::Redirects(leader.port));
    let outcome =
        load::run(&plan(follower, Workload::Put), &Connector::default()).expect("an outcome");
    assert_eq!(outcome.count(), 100);
    assert_eq!(led.load(Ordering::SeqCst), 100);
    assert!((1..=4).contains(&asked.load(Ordering::SeqCst)));
}

#[test]
fn rate_and_duration_are_kept() {
    let (member, _) = server(Behavior::Ok);
    let paced = Plan {
        rate: Some(200.0),
        limit: Limit::Duration(Duration::from_millis(200)),
        ..plan(member, Workload::Put)
    };
    let outcome = load::run(&paced, &Connector::default()).expect("an outcome");
    assert_eq!(outcome.count(), 40);
}
