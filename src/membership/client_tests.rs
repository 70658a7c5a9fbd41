use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::cluster::{ClusterId, Member, MemberId};
use crate::http::peer::join_page;

/// Joins without TLS.
async fn join(
    peers: &[Address],
    request: &JoinRequest,
    retry: RetryPolicy,
) -> Result<JoinAnswer, JoinFailure> {
    super::join(&Connector::default(), peers, request, retry).await
}

const ONCE: RetryPolicy = RetryPolicy {
    attempts: 1,
    interval: Duration::ZERO,
};

fn request() -> JoinRequest {
    JoinRequest {
        member: Member {
            id: MemberId::new(3).expect("not zero"),
            name: "three".to_owned(),
            client_url: "http://127.0.0.1:4001".to_owned(),
            peer_url: "http://127.0.0.1:7001".to_owned(),
        },
        cluster: None,
    }
}

fn answer() -> JoinAnswer {
    JoinAnswer {
        cluster: ClusterId::new(9).expect("not zero"),
        members: vec![request().member],
    }
}

/// A member whose page gives the answer of `says` to the nth request.
async fn member(
    says: impl Fn(usize) -> Result<JoinAnswer, Refusal> + Send + Sync + 'static,
) -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    let asked = Arc::new(AtomicUsize::new(0));
    let says = Arc::new(says);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (asked, says) = (asked.clone(), says.clone());
            let service = service_fn(move |request| {
                let (asked, says) = (asked.clone(), says.clone());
                async move {
                    let answer = |_| async move { says(asked.fetch_add(1, Ordering::Relaxed)) };
                    Ok::<_, std::convert::Infallible>(join_page(request, answer).await)
                }
            });
            let serving = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(serving);
        }
    });
    peer_address(&address).expect("an address")
}

/// A server that answers every connection with these bytes.
async fn stranger(bytes: &'static [u8]) -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(bytes).await;
        }
    });
    peer_address(&address).expect("an address")
}

async fn nobody() -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    peer_address(&address).expect("an address")
}

#[tokio::test]
async fn the_first_peer_that_can_admits_the_member() {
    let peers = [nobody().await, member(|_| Ok(answer())).await];
    assert_eq!(join(&peers, &request(), ONCE).await, Ok(answer()));
}

/// Peers that accept connections and never answer, as hosts do whose disk hangs.
#[tokio::test]
async fn silent_peers_are_not_waited_for() {
    let mut listeners = Vec::new();
    let mut peers = Vec::new();
    for _ in 0..4 {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        peers.push(peer_address(&address).expect("an address"));
        listeners.push(listener);
    }
    peers.push(member(|_| Ok(answer())).await);
    let started = std::time::Instant::now();
    assert_eq!(join(&peers, &request(), ONCE).await, Ok(answer()));
    assert!(started.elapsed() < JOIN_TIMEOUT, "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_follower_redirects_to_the_leader() {
    let leader = member(|_| Ok(answer())).await;
    let leader = format!("http://{leader}");
    let follower = member(move |_| {
        let leader = leader.clone();
        Err(Refusal::NotLeader {
            leader: Some(leader),
        })
    });
    let peers = [follower.await];
    assert_eq!(join(&peers, &request(), ONCE).await, Ok(answer()));
}

#[tokio::test]
async fn attempts_are_limited() {
    let no_leader = || Err(Refusal::Unavailable("there is no leader".to_owned()));
    let twice = RetryPolicy {
        attempts: 2,
        ..ONCE
    };
    let slow = |ready| {
        member(move |asked| {
            if asked < ready {
                no_leader()
            } else {
                Ok(answer())
            }
        })
    };
    let peers = [slow(1).await];
    assert_eq!(join(&peers, &request(), twice).await, Ok(answer()));
    let peers = [slow(2).await];
    let failure = join(&peers, &request(), twice).await.expect_err("failed");
    assert!(failure.to_string().contains("there is no leader"));
    assert!(failure.to_string().contains("start one member without it"));
}

#[tokio::test]
async fn a_conflict_is_final() {
    let taken = |asked| {
        assert_eq!(asked, 0, "asked again");
        let holder = MemberId::new(2).expect("not zero");
        let name = "three".to_owned();
        Err(Refusal::NameTaken { name, holder })
    };
    let peers = [member(taken).await, member(|_| Ok(answer())).await];
    let often = RetryPolicy {
        attempts: 9,
        ..ONCE
    };
    let failure = join(&peers, &request(), often).await.expect_err("failed");
    assert!(
        failure.to_string().contains("0000000000000002"),
        "{failure}"
    );
}

#[tokio::test]
async fn peers_that_are_not_members() {
    for bytes in [
        &b"220 mail.example ESMTP\r\n"[..],
        b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nhello\n",
        b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 307 Away\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n{\"oxetcd\":1,",
        b"HTTP/1.1 200 OK\r\ncontent-length: 43\r\n\r\n{\"oxetcd\":1,\"cluster\":\"1\",\"members\":[]}    ",
        b"\x00\x00\x00\x00\xff\xff\xff\xff",
    ] {
        let at = stranger(bytes).await;
        let peers = [nobody().await, at.clone()];
        let often = RetryPolicy { attempts: 9, ..ONCE };
        let failure = join(&peers, &request(), often).await;
        let text = String::from_utf8_lossy(bytes);
        match failure {
            Err(JoinFailure::NotAMember { at: named, .. }) => assert_eq!(named, at, "{text}"),
            // Cut off in the middle of the answer.
            Err(JoinFailure::Unavailable(_)) if text.contains("99999999") => {}
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn redirects_in_a_circle_end() {
    let asked = Arc::new(AtomicUsize::new(0));
    let itself = Arc::new(std::sync::OnceLock::<Address>::new());
    let (count, leader) = (asked.clone(), itself.clone());
    let lost = member(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        let leader = leader.get().map(|at| format!("http://{at}"));
        let leader = leader.unwrap_or_default();
        Err(Refusal::NotLeader {
            leader: Some(leader),
        })
    });
    let lost = itself.get_or_init({
        let lost = lost.await;
        || lost
    });
    let failure = join(std::slice::from_ref(lost), &request(), ONCE).await;
    assert!(matches!(failure, Err(JoinFailure::Unavailable(_))));
    assert_eq!(asked.load(Ordering::Relaxed), REDIRECTS_MAX + 1);
}
