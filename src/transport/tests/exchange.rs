//! Connections between well-behaved members.

use super::super::Report;
use super::endpoint::Endpoint;
use super::{append, heartbeat};
use crate::consensus::message::Body;

#[tokio::test]
async fn three_members_receive_from_each_other() {
    let mut ends = [
        Endpoint::new(7, 1).await,
        Endpoint::new(7, 2).await,
        Endpoint::new(7, 3).await,
    ];
    let members: Vec<_> = ends.iter().map(Endpoint::member).collect();
    for end in &mut ends {
        end.peers.set_members(&members);
    }
    for (from, to) in [(0, 1), (1, 2), (2, 0)] {
        let [from, to] = ends.get_disjoint_mut([from, to]).expect("two of three");
        let message = from.send_until_received(to, append(5, 3000)).await;
        assert_eq!(message.from, from.local.id);
        assert_eq!(message.to, to.local.id);
        assert_eq!(message.body, append(5, 3000));
    }
}

#[tokio::test]
async fn appends_arrive_in_order_and_complete() {
    let (mut one, mut two) = (Endpoint::new(7, 1).await, Endpoint::new(7, 2).await);
    one.peers.set_members(&[one.member(), two.member()]);
    one.send_until_received(&mut two, heartbeat(0)).await;
    let sizes = [10, 2 << 20, 0, 700_000, 1, 64 * 1024, 3 << 20];
    for (bytes, index) in sizes.into_iter().zip(1..) {
        one.send(&two, append(index, bytes));
    }
    let mut next = (1..).zip(sizes);
    while let Some((index, bytes)) = next.next().filter(|(index, _)| *index <= 7) {
        let (message, _room) = two.received().await.into_parts();
        assert_eq!(message.body, append(index, bytes));
    }
    let sent = one.stats.read(std::time::Instant::now()).sent;
    let received = two.stats.read(std::time::Instant::now()).received;
    assert!(sent.count >= 8);
    assert_eq!((sent.count, sent.bytes), (received.count, received.bytes));
}

#[tokio::test]
async fn a_restarted_peer_is_reconnected() {
    let (mut one, mut two) = (Endpoint::new(7, 1).await, Endpoint::new(7, 2).await);
    one.peers.set_members(&[two.member()]);
    one.send_until_received(&mut two, heartbeat(1)).await;
    two.restart();
    one.send_until_received(&mut two, heartbeat(2)).await;
    let mut told = false;
    while let Some(report) = one.report_soon().await {
        told |= matches!(report, Report::Unreachable(id) if id == two.local.id);
    }
    assert!(told, "the driver hears of lost connections");
}

#[tokio::test]
async fn a_peer_that_moves_is_followed() {
    let mut one = Endpoint::new(7, 1).await;
    let (mut old, mut new) = (Endpoint::new(7, 2).await, Endpoint::new(7, 2).await);
    one.peers.set_members(&[old.member()]);
    one.send_until_received(&mut old, heartbeat(1)).await;
    one.peers.set_members(&[new.member()]);
    one.send_until_received(&mut new, heartbeat(2)).await;
}

#[tokio::test]
async fn queued_messages_reach_a_removed_peer() {
    let (mut one, mut two) = (Endpoint::new(7, 1).await, Endpoint::new(7, 2).await);
    one.peers.set_members(&[two.member()]);
    one.send_until_received(&mut two, heartbeat(1)).await;
    one.send(&two, append(9, 100));
    one.peers.set_members(&[]);
    one.send(&two, append(10, 100));
    // More heartbeats may have been under way.
    loop {
        let (message, _room) = two.received().await.into_parts();
        if message.body != heartbeat(1) {
            assert_eq!(message.body, append(9, 100));
            break;
        }
    }
    assert!(two.report_soon().await.is_none());
}

#[tokio::test]
async fn a_removed_member_learns_of_its_removal() {
    let (mut one, mut two) = (Endpoint::new(7, 1).await, Endpoint::new(7, 2).await);
    one.peers.set_members(&[two.member()]);
    one.send_until_received(&mut two, heartbeat(1)).await;
    two.forget(&one);
    loop {
        match one.report().await {
            Report::Removed(by) => break assert_eq!(by, two.local.id),
            Report::Unreachable(_)
            | Report::AddressChanged { .. }
            | Report::Received(_)
            | Report::SnapshotSent { .. } => {}
        }
    }
    // Its messages are no longer received.
    while two.report_soon().await.is_some() {}
    one.send(&two, heartbeat(2));
    assert!(two.report_soon().await.is_none());
}

#[tokio::test]
async fn an_unreachable_peer_is_reported() {
    let (mut one, two) = (Endpoint::new(7, 1).await, Endpoint::new(7, 2).await);
    let mut gone = two.member();
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let closed = closed.and_then(|socket| socket.local_addr());
    gone.peer_url = format!("http://{}", closed.expect("a port"));
    let mut nonsense = two.member();
    nonsense.peer_url = "not a url".to_owned();
    one.peers.set_members(&[gone]);
    assert!(matches!(one.report().await, Report::Unreachable(id) if id == two.local.id));
    for index in 1..5000 {
        one.send(&two, append(index, 100_000));
    }
    one.peers.set_members(&[nonsense]);
    let reading = one.stats.read(std::time::Instant::now());
    assert!(reading.followers[&two.local.id].fail > 1000);
    assert_eq!(reading.sent.count, 0);
}

/// A driver that is stuck stops its peers from filling the memory, and no message is lost.
#[tokio::test]
async fn a_slow_driver_limits_its_peers() {
    use super::super::{ConnectionKind, handshake, stream::FrameStream};
    use super::endpoint::{Stored, local};
    use std::time::Duration;

    let store = Stored::default();
    let none: super::super::OpenSnapshot =
        std::sync::Arc::new(|_| Err(std::io::Error::other("none")));
    let mut slow = Endpoint::with(7, 1, none, store.receive(), 64).await;
    let address = crate::cluster::peer_address(&format!("127.0.0.1:{}", slow.port)).expect("fits");
    let caller = local(7, 2);
    let kind = ConnectionKind::Messages;
    let connection = handshake::dial(&caller, slow.local.id, &address, kind).await;
    let connection = connection.expect("let in");
    let mut stream = FrameStream::new(connection.io, connection.link, Duration::from_secs(5));
    let bodies: Vec<Body> = (1..=10).map(|index| append(index, 40 * 1024)).collect();
    for body in &bodies {
        let (writer, out) = stream.batch();
        writer.put_message(body, out).expect("small enough");
        stream.flush().await.expect("the socket takes it");
    }
    let mut held = slow.received().await;
    for body in &bodies[1..] {
        assert!(slow.report_soon().await.is_none(), "there is no room");
        drop(held);
        held = slow.received().await;
        assert_eq!(held.message.body, *body);
    }
}
