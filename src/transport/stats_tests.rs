use super::super::tests::{append, heartbeat, raft};
use super::*;

fn peer() -> MemberId {
    MemberId::new(2).expect("not zero")
}

fn append_response(index: u64, reject: bool) -> Body {
    Body::Raft(RaftMessage {
        reject,
        ..raft(RaftKind::AppendResponse, index)
    })
}

fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}

#[test]
fn latency_is_from_an_append_to_the_answer_that_covers_it() {
    let (stats, start) = (Stats::default(), Instant::now());
    let at = |ms| start + milliseconds(ms);
    stats.sent(peer(), &append(1, 10), 100, at(0));
    stats.sent(peer(), &append(2, 10), 100, at(5));
    stats.sent(peer(), &append(3, 10), 100, at(6));
    stats.received(peer(), &append_response(2, false), 50, at(15));
    let follower = |now| stats.read(now).followers[&peer()];
    let first = follower(at(15));
    assert_eq!(first.success, 1);
    assert!((first.latency.current - 10.0).abs() < 1e-9);
    assert!((first.latency.minimum - 10.0).abs() < 1e-9);
    stats.received(peer(), &append_response(3, false), 50, at(26));
    let latency = follower(at(26)).latency;
    assert!((latency.average - 15.0).abs() < 1e-9);
    assert!((latency.standard_deviation - 5.0).abs() < 1e-6);
    assert!((latency.minimum - 10.0).abs() < 1e-9);
    assert!((latency.maximum - 20.0).abs() < 1e-9);
    // Answered again, or long after: not measured.
    stats.received(peer(), &append_response(3, false), 50, at(30));
    stats.sent(peer(), &append(4, 10), 100, at(40));
    let much_later = at(40) + LATENCY_MAX + milliseconds(1);
    stats.received(peer(), &append_response(4, false), 50, much_later);
    assert_eq!(follower(much_later).success, 2);
}

#[test]
fn heartbeats_and_refusals_are_answers_too() {
    let (stats, start) = (Stats::default(), Instant::now());
    stats.sent(peer(), &heartbeat(1), 100, start);
    stats.sent(peer(), &heartbeat(1), 100, start + milliseconds(50));
    let answer = Body::Raft(raft(RaftKind::HeartbeatResponse, 0));
    stats.received(peer(), &answer, 50, start + milliseconds(60));
    stats.received(peer(), &answer, 50, start + milliseconds(61));
    let follower = stats.read(start).followers[&peer()];
    assert_eq!(follower.success, 1);
    assert!((follower.latency.current - 60.0).abs() < 1e-9);

    stats.sent(peer(), &append(9, 10), 100, start + milliseconds(70));
    let no = append_response(4, true);
    stats.received(peer(), &no, 50, start + milliseconds(72));
    assert_eq!(stats.read(start).followers[&peer()].success, 2);
}

#[test]
fn failures_are_counted_and_lost_messages_are_not_measured() {
    let (stats, start) = (Stats::default(), Instant::now());
    stats.sent(peer(), &append(1, 10), 100, start);
    stats.failed(peer(), 3);
    stats.received(peer(), &append_response(1, false), 50, start);
    let follower = stats.read(start).followers[&peer()];
    assert_eq!((follower.fail, follower.success), (3, 0));
    stats.forget(peer());
    assert!(stats.read(start).followers.is_empty());
}

#[test]
fn rates_cover_the_last_packages_and_become_zero() {
    let (stats, start) = (Stats::default(), Instant::now());
    let none = stats.read(start);
    assert_eq!(none, Reading::default());
    stats.received(peer(), &heartbeat(1), 100, start);
    assert!(stats.read(start).received.package_rate.abs() < 1e-9);
    for count in 1..=1000 {
        stats.received(peer(), &heartbeat(1), 100, start + milliseconds(10 * count));
    }
    let vote = Body::Raft(raft(RaftKind::Vote, 0));
    stats.received(peer(), &vote, 100, start);
    let now = start + milliseconds(10_000);
    let received = stats.read(now).received;
    assert_eq!((received.count, received.bytes), (1001, 100_100));
    let expected = 200.0 / 1.99;
    assert!((received.package_rate - expected).abs() < 1e-6);
    assert!((received.byte_rate - expected * 100.0).abs() < 1e-4);
    let later = stats.read(now + milliseconds(1001)).received;
    assert!(later.package_rate.abs() < 1e-9);
    assert_eq!(later.count, 1001);
}
