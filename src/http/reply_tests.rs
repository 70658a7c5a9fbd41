use std::time::Duration;

use http_body_util::BodyExt;

use super::*;
use crate::store::Path;

fn node(key: &str, value: Option<&'static str>) -> NodeView {
    NodeView {
        path: Path::parse(key).expect("a path"),
        value: value.map(Bytes::from),
        directory: value.is_none(),
        deadline: None,
        ttl: 0,
        modified: 7,
        created: 5,
    }
}

fn clock() -> Clock {
    let wall: Timestamp = "2014-01-01T15:26:24.5Z".parse().expect("a time");
    Clock::at(ClusterTime::from_nanos(10_000_000_000), Some(wall))
}

async fn text(reply: Reply) -> (u16, String) {
    let status = reply.status().as_u16();
    let body = reply
        .into_body()
        .collect()
        .await
        .expect("no error")
        .to_bytes();
    (status, String::from_utf8(body.to_vec()).expect("UTF-8"))
}

#[test]
fn fields_stand_in_their_order_and_empty_ones_are_left_out() {
    let lease = NodeView {
        deadline: Some(ClusterTime::from_nanos(70_250_000_000)),
        ttl: 61,
        ..node("/a", Some(""))
    };
    let event = Event {
        action: Action::CompareAndSwap,
        node: lease,
        prev_node: Some(node("/a", Some("<"))),
        removed: Box::default(),
    };
    let wanted = "{\"action\":\"compareAndSwap\",\"node\":{\"key\":\"/a\",\"value\":\"\",\
        \"expiration\":\"2014-01-01T15:27:24.75Z\",\"ttl\":61,\"modifiedIndex\":7,\"createdIndex\":5},\
        \"prevNode\":{\"key\":\"/a\",\"value\":\"\\u003c\",\"modifiedIndex\":7,\"createdIndex\":5}}";
    assert_eq!(event_json(&event, &clock()), wanted);
}

#[tokio::test]
async fn listings_nest() {
    let leaf = |key| Listing {
        node: node(key, Some("1")),
        nodes: Vec::new(),
    };
    let root = NodeView {
        modified: 0,
        created: 0,
        ..node("/", None)
    };
    let below = Listing {
        node: node("/d", None),
        nodes: vec![leaf("/d/a"), leaf("/d/b")],
    };
    let tree = Listing {
        node: root,
        nodes: vec![below],
    };
    let position = Position {
        index: 9,
        raft_index: 12,
        raft_term: 3,
    };
    let reply = listing(&tree, position, &clock());
    for (header, value) in [
        ("x-etcd-index", "9"),
        ("x-raft-index", "12"),
        ("x-raft-term", "3"),
    ] {
        assert_eq!(reply.headers()[header], value);
    }
    let wanted = "{\"action\":\"get\",\"node\":{\"key\":\"/\",\"dir\":true,\"nodes\":[{\"key\":\"/d\",\"dir\":true,\
        \"nodes\":[{\"key\":\"/d/a\",\"value\":\"1\",\"modifiedIndex\":7,\"createdIndex\":5},\
        {\"key\":\"/d/b\",\"value\":\"1\",\"modifiedIndex\":7,\"createdIndex\":5}],\
        \"modifiedIndex\":7,\"createdIndex\":5}]}}";
    assert_eq!(text(reply).await, (200, wanted.to_owned()));
}

#[test]
fn deadlines_become_wall_time_on_either_side_of_now() {
    for (nanos, wall) in [
        (10_000_000_000, "2014-01-01T15:26:24.5Z"),
        (10_500_000_000, "2014-01-01T15:26:25Z"),
        (9_000_000_001, "2014-01-01T15:26:23.500000001Z"),
    ] {
        let mut out = BytesMut::new();
        time(&mut out, clock().wall(ClusterTime::from_nanos(nanos)));
        assert_eq!(out, format!("\"{wall}\""));
    }
    let far = ClusterTime::ZERO.plus(Duration::MAX);
    assert!(clock().wall(far) > clock().wall(ClusterTime::ZERO));
}

#[tokio::test]
async fn refusals_say_whether_the_write_may_still_be_applied() {
    for (why, may) in [
        (Refused::NoLeader, false),
        (Refused::Unanswered, true),
        (Refused::Busy, false),
        (Refused::Stopping, true),
    ] {
        let reply = refused(why, 4);
        assert_eq!(reply.headers()["retry-after"], "1");
        let (status, body) = text(reply).await;
        assert_eq!(status, 503);
        assert!(
            body.starts_with("{\"errorCode\":300,\"message\":\"Raft Internal Error\",\"cause\":\""),
            "{body}"
        );
        assert_eq!(body.contains("may still be applied"), may, "{body}");
        assert!(body.ends_with(",\"index\":4}\n"), "{body}");
    }
    let (status, body) = text(leaderless(4)).await;
    assert_eq!(
        (status, body.as_str()),
        (
            503,
            "{\"errorCode\":301,\"message\":\"During Leader Election\",\"index\":4}\n"
        )
    );
}

#[test]
fn only_an_answer_of_hypers_own_is_replaced() {
    let own = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let instead = malformed(own, || 5).expect("it is replaced");
    let instead = std::str::from_utf8(&instead).expect("text");
    assert!(
        instead.starts_with("HTTP/1.1 431 Request Header Fields Too Large\r\n"),
        "{instead}"
    );
    assert!(instead.contains("\r\nX-Etcd-Index: 5\r\n"), "{instead}");
    assert!(instead.ends_with(",\"index\":5}\n"), "{instead}");
    for other in [
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 400 Bad Request\r\nServer: oxetcd/1\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 400 in the middle of a value\"}}",
        "HTTP/1.1 4",
        "",
    ] {
        assert_eq!(malformed(other.as_bytes(), || 5), None, "{other}");
    }
}
