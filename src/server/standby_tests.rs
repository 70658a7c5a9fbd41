use std::convert::Infallible;

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::*;
use crate::bootstrap::local::read_standby_file;
use crate::cluster::{ClusterId, Member, MemberId, MemberSpec, Settings};
use crate::http::peer::member_list_page;
use crate::net::tls::Connector;
use crate::store::HistoryLimits;
use crate::wal::{DataDir, Founding};

fn member(number: u64, peer: &Address) -> Member {
    Member {
        id: MemberId::new(number).expect("not zero"),
        name: format!("m{number}"),
        client_url: "http://127.0.0.1:4001".to_owned(),
        peer_url: peer.url(),
    }
}

/// The list of the `size` members of a cluster, all at `peer`.
fn member_list(cluster: u64, size: u64, leader: Option<u64>, peer: &Address) -> MemberList {
    MemberList {
        cluster: ClusterId::new(cluster).expect("not zero"),
        members: (1..=size).map(|number| member(number, peer)).collect(),
        leader: leader.and_then(MemberId::new),
        settings: Settings::default(),
    }
}

/// A member that serves a list of members, all at its own address.
async fn serve_list(cluster: u64, size: u64, leader: Option<u64>) -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    let address = peer_address(&address).expect("an address");
    let shown = member_list(cluster, size, leader, &address);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let shown = shown.clone();
            let service = service_fn(move |_| {
                let page = member_list_page(&shown);
                async move { Ok::<_, Infallible>(page) }
            });
            let serving = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(serving);
        }
    });
    address
}

/// A standby of cluster 7 that knows these peers only.
fn standby(directory: &tempfile::TempDir, peers: &[&Address]) -> PreparedStandby {
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
    let spec = MemberSpec::from(member(9, &own));
    let list = member_list(7, 0, None, &own);
    PreparedStandby::new(directory, spec, list, contacts, limits).expect("it stands by")
}

#[tokio::test]
async fn a_list_with_a_leader_is_preferred() {
    let directory = tempfile::tempdir().expect("a directory");
    let cut_off = serve_list(7, 3, None).await;
    let foreign = serve_list(8, 5, Some(1)).await;
    let good = serve_list(7, 2, Some(2)).await;
    let mut standby = standby(&directory, &[&cut_off, &foreign, &good]);
    sync(&mut standby).await.expect("an answer");
    assert_eq!(standby.members.members.len(), 2);
    let leader = standby.members.leader().map(|member| member.id.get());
    assert_eq!(leader, Some(2));
    let kept = read_standby_file(&standby.directory).expect("readable");
    assert_eq!(kept.as_ref(), Some(&standby.members));
}

#[tokio::test]
async fn a_list_without_a_leader_is_better_than_none() {
    let directory = tempfile::tempdir().expect("a directory");
    let cut_off = serve_list(7, 3, None).await;
    let foreign = serve_list(8, 5, Some(1)).await;
    let mut known = standby(&directory, &[&foreign, &cut_off]);
    sync(&mut known).await.expect("an answer");
    assert_eq!(known.members.members.len(), 3);
    assert_eq!(known.members.leader(), None);
    drop(known);
    let mut lost = standby(&directory, &[&foreign]);
    let why = sync(&mut lost)
        .await
        .expect_err("no member of ours")
        .to_string();
    assert!(why.contains("belongs to cluster"), "{why}");
}

#[tokio::test]
async fn the_data_of_a_member_is_discarded_and_the_member_list_kept() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("data");
    let mut directory = DataDir::open(&path).expect("a directory");
    directory.found("m9", Founding::Alone).expect("a member");
    drop(directory);
    let standby = standby(&folder, &[]);
    assert!(standby.directory.identity().is_none());
    drop(standby);
    let directory = DataDir::open(&path).expect("ours");
    assert!(read_standby_file(&directory).expect("readable").is_some());
    directory.keep_standby_file(b"{").expect("written");
    let why = read_standby_file(&directory).expect_err("damaged");
    assert!(why.to_string().contains("-force"), "{why}");
    assert_eq!(why.exit_status(), 65);
    directory.remove_standby_file().expect("removed");
    assert_eq!(read_standby_file(&directory), Ok(None));
}
