use std::convert::Infallible;

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::super::local::remembered;
use super::*;
use crate::cluster::{ClusterId, Member, Settings};
use crate::http::peer::member_list_page as roster_page;

fn member(number: u64, peer: &Address) -> Member {
    Member {
        id: MemberId::new(number).expect("not zero"),
        name: format!("m{number}"),
        client_url: "http://127.0.0.1:4001".to_owned(),
        peer_url: peer.url(),
    }
}

/// A roster of cluster `cluster` that names `size` members, all at `peer`.
fn roster(cluster: u64, size: u64, leader: Option<u64>, peer: &Address) -> MemberList {
    MemberList {
        cluster: ClusterId::new(cluster).expect("not zero"),
        members: (1..=size).map(|number| member(number, peer)).collect(),
        leader: leader.and_then(MemberId::new),
        settings: Settings::default(),
    }
}

/// A member whose page shows this roster of members at its own address.
async fn shows(cluster: u64, size: u64, leader: Option<u64>) -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    let address = peer_address(&address).expect("an address");
    let shown = roster(cluster, size, leader, &address);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let shown = shown.clone();
            let service = service_fn(move |_| {
                let page = roster_page(&shown);
                async move { Ok::<_, Infallible>(page) }
            });
            let serving = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(serving);
        }
    });
    address
}

/// A machine that knows only these peers, and that its cluster is number 7.
fn waiting(directory: &tempfile::TempDir, peers: &[&Address]) -> Waiting {
    let own = peer_address("127.0.0.1:1").expect("an address");
    let contacts = Contacts {
        tls: Connector::default(),
        peers: peers.iter().map(|peer| (*peer).clone()).collect(),
    };
    let limits = HistoryLimits {
        events: 10,
        bytes: 1 << 10,
    };
    let directory = DataDir::open(&directory.path().join("data")).expect("a directory");
    let machine = MemberSpec::from(member(9, &own));
    Waiting::new(
        directory,
        machine,
        roster(7, 0, None, &own),
        contacts,
        limits,
    )
    .expect("it waits")
}

#[tokio::test]
async fn who_knows_a_leader_is_believed_first() {
    let directory = tempfile::tempdir().expect("a directory");
    let cut_off = shows(7, 3, None).await;
    let foreign = shows(8, 5, Some(1)).await;
    let good = shows(7, 2, Some(2)).await;
    let mut waiting = waiting(&directory, &[&cut_off, &foreign, &good]);
    waiting.sync().await.expect("an answer");
    assert_eq!(waiting.roster().members.len(), 2);
    let leader = waiting.roster().leader().map(|member| member.id.get());
    assert_eq!(leader, Some(2));
    // It is remembered.
    let kept = remembered(&waiting.directory).expect("readable");
    assert_eq!(kept.as_ref(), Some(waiting.roster()));
}

#[tokio::test]
async fn who_knows_none_is_better_than_nobody() {
    let directory = tempfile::tempdir().expect("a directory");
    let cut_off = shows(7, 3, None).await;
    let foreign = shows(8, 5, Some(1)).await;
    let mut known = waiting(&directory, &[&foreign, &cut_off]);
    known.sync().await.expect("an answer");
    assert_eq!(known.roster().members.len(), 3);
    assert_eq!(known.roster().leader(), None);
    drop(known);
    let mut lost = waiting(&directory, &[&foreign]);
    let why = lost.sync().await.expect_err("nobody of ours");
    assert!(why.contains("belongs to cluster"), "{why}");
}

#[tokio::test]
async fn what_a_member_left_is_thrown_away_and_the_cluster_remembered() {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("data");
    let mut directory = DataDir::open(&path).expect("a directory");
    directory.found("m9", Founding::Alone).expect("a member");
    drop(directory);
    let waiting = waiting(&place, &[]);
    assert!(waiting.directory.identity().is_none());
    drop(waiting);
    let directory = DataDir::open(&path).expect("ours");
    assert!(remembered(&directory).expect("readable").is_some());
    directory.keep_standby_file(b"{").expect("written");
    let why = remembered(&directory).expect_err("damaged");
    assert!(why.to_string().contains("-force"), "{why}");
    assert_eq!(why.exit_status(), 65);
    directory.remove_standby_file().expect("removed");
    assert_eq!(remembered(&directory), Ok(None));
}
