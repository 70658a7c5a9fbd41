//! Connections of foreign members, and invalid bytes.

use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::super::frame::{FrameWriter, Link};
use super::super::{ConnectionKind, Local, handshake};
use super::endpoint::{Endpoint, local};
use super::{PATHS, append, heartbeat};
use crate::cluster::{MemberId, peer_address};
use crate::consensus::message::Body;
use crate::wal::SnapshotMeta;

type Raw = TokioIo<hyper::upgrade::Upgraded>;

async fn call(caller: &Local, to: &Endpoint, kind: ConnectionKind) -> Result<(Raw, Link), String> {
    let address = peer_address(&format!("127.0.0.1:{}", to.port)).expect("fits");
    let dialled = handshake::dial(caller, to.local.id, &address, kind).await;
    let connection = dialled.map_err(|error| error.to_string())?;
    Ok((connection.io, connection.link))
}

/// The other side closes the connection, whether or not it read everything.
async fn is_closed(mut raw: Raw) -> bool {
    let mut rest = Vec::new();
    let reading = timeout(Duration::from_secs(3), raw.read_to_end(&mut rest)).await;
    reading.is_ok()
}

fn frame(link: Link, body: &Body) -> Vec<u8> {
    let mut out = bytes::BytesMut::new();
    let put = FrameWriter::new(link).put_message(body, &mut out);
    put.expect("small enough");
    out.to_vec()
}

#[tokio::test]
async fn foreign_connections_are_refused_with_a_reason() {
    let end = Endpoint::new(7, 1).await;
    for (caller, expected) in [
        (local(8, 2), "cluster id mismatch: 0000000000000007"),
        (local(7, 1), "the id of the receiver"),
    ] {
        for kind in [ConnectionKind::Messages, ConnectionKind::Snapshot] {
            let Err(why) = call(&caller, &end, kind).await else {
                panic!("let in");
            };
            assert!(why.contains(expected), "{why}");
        }
    }
    let other = Endpoint::new(7, 3).await;
    let mut wrong = Endpoint::new(7, 3).await;
    wrong.port = end.port;
    drop(other);
    let Err(why) = call(&local(7, 2), &wrong, ConnectionKind::Messages).await else {
        panic!("let in");
    };
    assert!(why.contains("(m1) here"), "{why}");
}

#[tokio::test]
async fn a_plain_request_is_answered_with_an_error() {
    let end = Endpoint::new(7, 1).await;
    let mut stream = TcpStream::connect(("127.0.0.1", end.port))
        .await
        .expect("there");
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        PATHS.messages
    );
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("text");
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
}

#[tokio::test]
async fn invalid_frames_only_end_the_connection() {
    let mut end = Endpoint::new(7, 1).await;
    let mut friend = Endpoint::new(7, 3).await;
    friend.peers.set_members(&[end.member()]);
    friend.send_until_received(&mut end, heartbeat(1)).await;
    let evil = local(7, 2);
    let snapshot = Body::Raft(crate::consensus::message::RaftMessage {
        snapshot: Some(SnapshotMeta::default()),
        ..super::raft(crate::consensus::message::RaftKind::Snapshot, 0)
    });
    type Attack<'a> = &'a dyn Fn(Link) -> Vec<u8>;
    let attacks: [Attack<'_>; 9] = [
        &|_| vec![0xff; 100_000],
        &|_| vec![0; 100],
        &|_| b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        &|link| [frame(link, &heartbeat(1)), frame(link, &heartbeat(2))].concat(),
        &|link| {
            frame(
                Link {
                    connection: 1,
                    ..link
                },
                &heartbeat(1),
            )
        },
        &|link| {
            let from = MemberId::new(3).expect("not zero");
            frame(Link { from, ..link }, &heartbeat(1))
        },
        &|link| {
            let cluster = local(8, 2).cluster;
            frame(Link { cluster, ..link }, &heartbeat(1))
        },
        &|link| frame(link, &snapshot),
        &|link| {
            let mut bytes = frame(link, &append(1, 1000));
            bytes[500] ^= 1;
            bytes
        },
    ];
    for (number, attack) in attacks.iter().enumerate() {
        let (mut raw, link) = call(&evil, &end, ConnectionKind::Messages)
            .await
            .expect("let in");
        let _ = raw.write_all(&attack(link)).await;
        assert!(is_closed(raw).await, "attack {number}");
    }
    // A truncated frame has no effect.
    let (mut raw, link) = call(&evil, &end, ConnectionKind::Messages)
        .await
        .expect("let in");
    let whole = frame(link, &append(1, 1000));
    let _ = raw.write_all(&whole[..whole.len() / 2]).await;
    let _ = raw.shutdown().await;
    assert!(is_closed(raw).await);
    for bytes in [vec![0xff; 100_000], b"snapshot!".repeat(10)] {
        let (mut raw, _) = call(&evil, &end, ConnectionKind::Snapshot)
            .await
            .expect("let in");
        let _ = raw.write_all(&bytes).await;
        assert!(is_closed(raw).await);
    }
    friend.send_until_received(&mut end, heartbeat(2)).await;
    // The only message received is the valid frame that was then repeated.
    let mut heard = 0;
    while let Some(report) = end.report_soon().await {
        if let super::super::Report::Received(received) = report
            && received.message.from == evil.id
        {
            heard += 1;
        }
    }
    assert!(heard <= 1, "{heard}");
}

#[tokio::test]
async fn a_new_connection_replaces_the_old_one() {
    let mut end = Endpoint::new(7, 1).await;
    let caller = local(7, 2);
    let (first, _) = call(&caller, &end, ConnectionKind::Messages)
        .await
        .expect("let in");
    let (mut second, link) = call(&caller, &end, ConnectionKind::Messages)
        .await
        .expect("let in");
    assert!(is_closed(first).await);
    let sent = second.write_all(&frame(link, &heartbeat(4))).await;
    sent.expect("sent");
    assert_eq!(end.received().await.message.body, heartbeat(4));
}
