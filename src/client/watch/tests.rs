//! Watches of scripted members.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::split::Split;
use super::{Watch, WatchEvent, WatchSubject};
use crate::client::{Client, Error};
use crate::cluster::Address;

/// The response of a member to one watch.
#[derive(Clone)]
enum Act {
    /// A status and a whole body.
    Whole(u16, String),
    /// A body in pieces; then the connection is closed.
    Pieces(Vec<String>),
}

/// The server that it plays.
#[derive(Clone, Copy)]
enum Kind {
    Oxetcd,
    Other,
    /// A member of this project without a quorum.
    WithoutQuorum,
}

/// A member whose store is at index 100. It responds to watches in order, does not respond after the last one, and
/// records the targets of all requests except heartbeats.
async fn member(kind: Kind, acts: Vec<Act>) -> (Address, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (noted, acts) = (Arc::clone(&seen), Arc::new(Mutex::new(acts.into_iter())));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, kind, Arc::clone(&acts), Arc::clone(&noted)));
        }
    });
    (Address::parse(&address).expect("an address"), seen)
}

type Acts = Arc<Mutex<std::vec::IntoIter<Act>>>;

async fn serve(mut stream: TcpStream, kind: Kind, acts: Acts, noted: Arc<Mutex<Vec<String>>>) {
    let server = match kind {
        Kind::Oxetcd | Kind::WithoutQuorum => "Server: oxetcd/0.1.0\r\n",
        Kind::Other => "",
    };
    let head = format!("X\r\nX-Etcd-Index: 100\r\n{server}");
    while let Some(target) = read_target(&mut stream).await {
        let answer = if target.starts_with("/v2/keys/_etcd") {
            let cut_off = matches!(kind, Kind::WithoutQuorum) && target.contains("quorum");
            let status = if cut_off { 503 } else { 200 };
            format!("HTTP/1.1 {status} {head}Content-Length: 2\r\n\r\n{{}}")
        } else {
            noted.lock().expect("unpoisoned").push(target);
            let act = acts.lock().expect("unpoisoned").next();
            match act {
                Some(Act::Whole(status, body)) => {
                    let length = body.len();
                    format!("HTTP/1.1 {status} {head}Content-Length: {length}\r\n\r\n{body}")
                }
                Some(Act::Pieces(pieces)) => {
                    let start = format!("HTTP/1.1 200 {head}Transfer-Encoding: chunked\r\n\r\n");
                    let _ = stream.write_all(start.as_bytes()).await;
                    for piece in pieces {
                        let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
                        let _ = stream.write_all(chunk.as_bytes()).await;
                        let _ = stream.flush().await;
                        tokio::task::yield_now().await;
                    }
                    return;
                }
                None => return std::future::pending().await,
            }
        };
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read_target(stream: &mut TcpStream) -> Option<String> {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut text).await.ok()? == 0 {
            return None;
        }
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    text.split(' ').nth(1).map(str::to_owned)
}

fn event(index: u64) -> String {
    format!(
        r#"{{"action":"set","node":{{"key":"/w/{index}","value":"}} {{","modifiedIndex":{index},"createdIndex":{index}}}}}"#
    )
}

fn watch(members: Vec<Address>, since: Option<u64>) -> Watch {
    let subject = WatchSubject {
        key: String::from("/w"),
        recursive: true,
        since,
    };
    Watch::start(Arc::new(Client::new(members)), subject)
}

/// The indices of the next events.
async fn indices(watch: &mut Watch, count: usize) -> Vec<u64> {
    let mut indices = Vec::new();
    while indices.len() < count {
        if let WatchEvent::Change(change) = watch.next().await.expect("it goes on") {
            assert_eq!(change.json, event(change.event.node.modified_index));
            indices.push(change.event.node.modified_index);
        }
    }
    indices
}

fn seen(notes: &Arc<Mutex<Vec<String>>>) -> Vec<String> {
    let notes = notes.lock().expect("unpoisoned");
    let index = |target: &String| {
        assert!(target.starts_with("/v2/keys/w?") && target.contains("recursive=true"));
        let index = target.split_once("waitIndex=").expect("an index").1;
        index.to_owned()
    };
    notes.iter().map(index).collect()
}

#[tokio::test]
async fn a_stream_is_resumed_after_the_last_event() {
    let whole = event(101);
    let (first, second) = whole.split_at(20);
    let acts = vec![
        // In pieces, two in one, and an incomplete one.
        Act::Pieces(vec![
            first.to_owned(),
            format!("{second}{} {}", event(105), &event(107)[..30]),
        ]),
        // A repeated event is ignored.
        Act::Pieces(vec![event(105), event(107)]),
    ];
    let (address, notes) = member(Kind::Oxetcd, acts).await;
    let mut watch = watch(vec![address.clone()], None);
    let established = WatchEvent::Established {
        member: address,
        index: 100,
        since: 101,
        raft_index: None,
        raft_term: None,
    };
    assert_eq!(watch.next().await, Ok(established));
    assert_eq!(indices(&mut watch, 3).await, [101, 105, 107]);
    assert_eq!(seen(&notes)[..2], ["101&stream=true", "106&stream=true"]);
}

#[tokio::test]
async fn other_servers_are_polled() {
    let acts = vec![
        Act::Whole(200, event(51) + "\n"),
        // A server may end a watch without an event.
        Act::Whole(200, String::new()),
        Act::Pieces(vec![event(60)[..40].to_owned()]),
        Act::Whole(200, event(60)),
    ];
    let (address, notes) = member(Kind::Other, acts).await;
    let mut watch = watch(vec![address], Some(50));
    assert_eq!(indices(&mut watch, 2).await, [51, 60]);
    assert_eq!(seen(&notes)[..4], ["50", "52", "52", "52"]);
}

#[tokio::test]
async fn another_member_resumes_the_watch() {
    let (first, _) = member(Kind::Oxetcd, vec![Act::Pieces(vec![event(101)])]).await;
    let (second, notes) = member(Kind::Other, vec![Act::Whole(200, event(102))]).await;
    let mut watch = watch(vec![first, second], Some(101));
    assert_eq!(indices(&mut watch, 2).await, [101, 102]);
    assert_eq!(seen(&notes)[0], "102");
}

#[tokio::test]
async fn a_member_without_quorum_is_skipped() {
    let (cut_off, notes) = member(Kind::WithoutQuorum, vec![Act::Pieces(vec![event(101)])]).await;
    let (good, _) = member(Kind::Oxetcd, vec![Act::Pieces(vec![event(102)])]).await;
    let mut watch = watch(vec![cut_off.clone(), good], Some(101));
    assert_eq!(indices(&mut watch, 1).await, [102]);
    assert!(seen(&notes).is_empty());
    let error = super::tests::watch(vec![cut_off], None).next().await;
    assert!(matches!(error, Err(Error::NoMember(_))), "{error:?}");
}

#[tokio::test]
async fn a_cleared_history_ends_the_watch() {
    let gone = r#"{"errorCode":401,"message":"The event in requested index is outdated and cleared","cause":"x","index":100}"#;
    for kind in [Kind::Oxetcd, Kind::Other] {
        let (address, _) = member(kind, vec![Act::Whole(400, gone.to_owned())]).await;
        let mut watch = watch(vec![address], Some(3));
        let error = loop {
            match watch.next().await {
                Ok(WatchEvent::Established { .. }) => {}
                Ok(event) => panic!("{event:?}"),
                Err(error) => break error,
            }
        };
        assert!(error.is_history_cleared(), "{error}");
        assert_eq!(watch.next().await, Err(error));
    }
}

#[tokio::test]
async fn temporary_errors_are_retried() {
    let trouble =
        r#"{"errorCode":300,"message":"Raft Internal Error","cause":"no leader","index":100}"#;
    let acts = vec![
        Act::Whole(503, trouble.to_owned()),
        Act::Pieces(vec![String::from("<html>")]),
        Act::Pieces(vec![event(101)]),
    ];
    let (address, _) = member(Kind::Oxetcd, acts).await;
    // The first error is returned, since no member could be watched yet.
    let error = watch(vec![address.clone()], Some(101)).next().await;
    assert!(matches!(error, Err(Error::NoMember(_))), "{error:?}");
    let mut watch = watch(vec![address], Some(101));
    assert_eq!(indices(&mut watch, 1).await, [101]);
}

#[test]
fn events_are_split_at_any_byte() {
    let text = format!("{}\n{}{}", event(1), event(2), event(33));
    for piece in [1, 7, 100, text.len()] {
        let mut split = Split::default();
        let mut found = Vec::new();
        for bytes in text.as_bytes().chunks(piece) {
            split.add(bytes);
            while let Some(change) = split.next().expect("events") {
                assert_eq!(change.json, event(change.event.node.modified_index));
                found.push(change.event.node.modified_index);
            }
        }
        assert_eq!(found, [1, 2, 33]);
    }
    let mut split = Split::default();
    split.add(b"{\"action\":1}");
    assert!(split.next().is_err());
}
