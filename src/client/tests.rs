//! Scripted members: the requests each receives, and its responses, per connection.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{Client, Delete, Error, Get, Put, Request, Step};
use crate::cluster::Address;

const EVENT: &str =
    r#"{"action":"set","node":{"key":"/a b","value":"v","modifiedIndex":7,"createdIndex":3}}"#;

/// The reaction of a member to one request.
#[derive(Clone)]
enum Act {
    /// Respond with this status, these headers and this body.
    Answer(u16, String, &'static str),
    /// Read it and close the connection.
    Close,
    /// Send an incomplete response and close the connection.
    Interrupt,
    /// Respond, and close the connection while it is idle.
    AnswerAndClose(&'static str),
}

/// A member that reacts to its requests in order, and records their first lines.
async fn member(acts: Vec<Act>) -> (Address, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    tokio::spawn(async move {
        let mut acts = acts.into_iter();
        'connections: while let Ok((mut stream, _)) = listener.accept().await {
            while let Some(request) = read_request(&mut stream).await {
                noted.lock().expect("unpoisoned").push(request);
                let Some(act) = acts.next() else {
                    return;
                };
                match act {
                    Act::Answer(status, headers, body) => {
                        answer(&mut stream, status, &headers, body).await;
                    }
                    Act::AnswerAndClose(body) => {
                        answer(&mut stream, 200, "", body).await;
                        continue 'connections;
                    }
                    Act::Close => continue 'connections,
                    Act::Interrupt => {
                        let head =
                            "HTTP/1.1 200 OK\r\nX-Etcd-Index: 41\r\nContent-Length: 9\r\n\r\n{";
                        stream.write_all(head.as_bytes()).await.expect("written");
                        continue 'connections;
                    }
                }
            }
        }
    });
    (
        Address::parse(&address.to_string()).expect("an address"),
        seen,
    )
}

async fn answer(stream: &mut TcpStream, status: u16, headers: &str, body: &str) {
    let length = body.len();
    let text = format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
    stream.write_all(text.as_bytes()).await.expect("written");
}

/// The request's first line and body; none when the client hung up.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut text = Vec::new();
    loop {
        if stream.read_buf(&mut text).await.ok()? == 0 {
            return None;
        }
        let read = String::from_utf8_lossy(&text).into_owned();
        let Some((head, body)) = read.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().expect("a length"));
        if body.len() >= length {
            let line = head.lines().next().expect("a line");
            return Some(format!("{line} {body}").trim_end().to_owned());
        }
    }
}

fn ok(body: &'static str) -> Act {
    Act::Answer(200, String::from("X-Etcd-Index: 7\r\n"), body)
}

/// An address without a listener.
async fn unused_address() -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    Address::parse(&address.to_string()).expect("an address")
}

fn seen(notes: &Arc<Mutex<Vec<String>>>) -> Vec<String> {
    notes.lock().expect("unpoisoned").clone()
}

#[tokio::test]
async fn requests_are_written_as_the_api_reads_them() {
    let (address, notes) = member(vec![ok(EVENT); 4]).await;
    let client = Client::new(vec![address]);
    let put = Put {
        value: Some("1 & 2".into()),
        ttl: Some(5),
        prev_exist: Some(false),
        ..Put::default()
    };
    let event = client.put("/a b/%?#", &put).await.expect("an event");
    assert_eq!(event.node.modified_index, 7);
    assert_eq!(event.node.value.as_deref(), Some("v"));
    let get = Get {
        recursive: true,
        quorum: true,
        ..Get::default()
    };
    client.get("x", &get).await.expect("an event");
    client.post("/q", &Put::default()).await.expect("an event");
    let delete = Delete {
        prev_index: Some(9),
        ..Delete::default()
    };
    client.delete("/x", &delete).await.expect("an event");
    assert_eq!(
        seen(&notes),
        [
            "PUT /v2/keys/a%20b/%25%3F%23?prevExist=false HTTP/1.1 value=1+%26+2&ttl=5",
            "GET /v2/keys/x?quorum=true&recursive=true&sorted=false HTTP/1.1",
            "POST /v2/keys/q HTTP/1.1",
            "DELETE /v2/keys/x?prevIndex=9 HTTP/1.1",
        ]
    );
}

#[tokio::test]
async fn the_next_member_is_tried_and_preferred() {
    let (second, notes) = member(vec![ok(EVENT); 2]).await;
    let client = Client::new(vec![unused_address().await, second]);
    client.put("/x", &Put::default()).await.expect("an event");
    client.put("/x", &Put::default()).await.expect("an event");
    assert_eq!(seen(&notes).len(), 2);
}

#[tokio::test]
async fn without_a_member_the_error_has_every_cause() {
    let client = Client::new(vec![unused_address().await, unused_address().await]);
    match client.get("/x", &Get::default()).await {
        Err(Error::NoMember(tried)) => assert_eq!(tried.len(), 2),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_write_that_was_sent_is_not_sent_again_but_a_read_is() {
    let (first, _) = member(vec![Act::Close, Act::Close]).await;
    let (second, notes) = member(vec![ok(EVENT)]).await;
    let client = Client::new(vec![first, second]);
    match client.put("/x", &Put::default()).await {
        Err(Error::NoResponse { .. }) => {}
        other => panic!("{other:?}"),
    }
    assert!(seen(&notes).is_empty());
    client.get("/x", &Get::default()).await.expect("an event");
    assert_eq!(seen(&notes).len(), 1);
}

#[tokio::test]
async fn a_write_on_a_closed_idle_connection_is_sent_on_a_new_one() {
    let (address, notes) = member(vec![Act::AnswerAndClose(EVENT), ok(EVENT)]).await;
    let client = Client::new(vec![address]);
    client.put("/x", &Put::default()).await.expect("an event");
    // Wait until the closed connection is detected.
    let kept = || {
        client
            .pool
            .idle
            .lock()
            .expect("unpoisoned")
            .iter()
            .any(|(_, s)| !s.is_closed())
    };
    while kept() {
        tokio::task::yield_now().await;
    }
    client.put("/x", &Put::default()).await.expect("an event");
    assert_eq!(seen(&notes).len(), 2);
}

#[tokio::test]
async fn a_redirect_is_followed_with_method_and_body() {
    let (leader, notes) = member(vec![ok(EVENT)]).await;
    let to_leader = format!("Location: {}/v2/keys/x?z\r\n", leader.url());
    let (follower, _) = member(vec![Act::Answer(307, to_leader, "")]).await;
    let client = Client::new(vec![follower]);
    let put = Put {
        value: Some("v".into()),
        ..Put::default()
    };
    client.put("/x", &put).await.expect("an event");
    assert_eq!(seen(&notes), ["PUT /v2/keys/x?z HTTP/1.1 value=v"]);
}

#[tokio::test]
async fn a_redirect_in_a_circle_ends() {
    let circle = Act::Answer(307, String::from("Location: /v2/keys/x\r\n"), "");
    let (address, _) = member(vec![circle; 20]).await;
    let client = Client::new(vec![address]);
    let error = client.put("/x", &Put::default()).await.expect_err("no end");
    assert!(error.to_string().contains("too many redirects"), "{error}");
}

#[tokio::test]
async fn errors_have_their_kind() {
    let api = r#"{"errorCode":100,"message":"Key not found","cause":"/x","index":5}"#;
    let (address, _) = member(vec![
        Act::Answer(404, String::new(), api),
        Act::Answer(404, String::new(), "<html>"),
        ok("[]"),
        ok("etcd 0.4.6"),
    ])
    .await;
    let client = Client::new(vec![address]);
    let get = Get::default();
    let error = client.get("/x", &get).await.expect_err("the API's");
    assert_eq!(error.to_string(), "100: Key not found (/x) [5]");
    for _ in 0..2 {
        match client.get("/x", &get).await {
            Err(Error::InvalidResponse { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    let page = client
        .send(&Request::page("/version"))
        .await
        .expect("a page");
    assert_eq!((page.status, page.index), (200, Some(7)));
}

#[tokio::test]
async fn a_watch_is_resumed_at_its_index() {
    let (address, notes) = member(vec![Act::Interrupt, ok(""), ok(EVENT)]).await;
    let client = Client::new(vec![address]);
    let (_, event) = client.watch("/x", true, None).await.expect("an event");
    assert_eq!(event.action, "set");
    assert_eq!(
        seen(&notes),
        [
            "GET /v2/keys/x?recursive=true&wait=true HTTP/1.1",
            "GET /v2/keys/x?recursive=true&wait=true&waitIndex=42 HTTP/1.1",
            "GET /v2/keys/x?recursive=true&wait=true&waitIndex=42 HTTP/1.1",
        ]
    );
}

#[tokio::test]
async fn sync_uses_the_first_member_with_a_list() {
    let (silent, _) = member(vec![Act::Answer(404, String::new(), "404 page not found")]).await;
    let (with_list, notes) = member(vec![ok("http://10.1.1.1:4001, http://c:5"), ok(EVENT)]).await;
    let absent = unused_address().await;
    let mut client = Client::new(vec![absent.clone(), silent.clone(), with_list.clone()]);
    let shown =
        |members: &[Address]| -> Vec<String> { members.iter().map(ToString::to_string).collect() };
    let list = client.sync().await.expect("the members");
    assert_eq!(shown(&list), ["10.1.1.1:4001", "c:5"]);
    // The member that returned the list is reachable.
    let wanted = [with_list, list[0].clone(), list[1].clone(), absent, silent];
    assert_eq!(client.members(), wanted);
    client.get("/x", &Get::default()).await.expect("an event");
    assert_eq!(seen(&notes)[0], "GET /v2/machines HTTP/1.1");
    assert_eq!(seen(&notes).len(), 2);

    let mut client = Client::new(vec![unused_address().await]);
    match client.sync().await {
        Err(Error::NoMember(tried)) => assert_eq!(tried.len(), 1),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_timeout_ends_a_request_and_steps_are_observed() {
    static STEPS: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let note = |step: Step<'_>| {
        let line = match step {
            Step::Request(_, request) => request.target.clone(),
            Step::Failure(_, cause) => cause.to_string(),
        };
        STEPS.lock().expect("unpoisoned").push(line);
    };
    // It accepts connections and does not respond.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    let address = Address::parse(&address).expect("an address");
    let client = Client::new(vec![address])
        .with_timeout(Duration::from_millis(50))
        .with_observer(note);
    let error = client.get("/x", &Get::default()).await.expect_err("late");
    assert!(matches!(error, Error::NoMember(_)), "{error}");
    let steps = STEPS.lock().expect("unpoisoned").clone();
    assert_eq!(
        steps,
        [
            "/v2/keys/x?recursive=false&sorted=false",
            "no response within 0.05 s"
        ]
    );
}
