//! `etcdctl` commands for directories, and that they leave files alone.

use std::net::SocketAddr;
use std::process::Command;

use crate::cluster::Cluster;
use crate::mock_discovery::Mock;

/// Run `etcdctl`. Returns its exit status and stderr.
fn etcdctl(member: SocketAddr, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_etcdctl"))
        .arg(format!("--peers={member}"))
        .args(arguments)
        .env_remove("ETCDCTL_PEERS")
        .output()
        .expect("etcdctl starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

#[test]
fn updatedir_leaves_a_file_alone() {
    let cluster = Cluster::start_with(1, &[]);
    let put = cluster.members[0].put("/v2/keys/f", "value=kept");
    assert_eq!(put.expect("it serves").status, 201);
    // Without a time to live there is nothing to change.
    let (code, said) = etcdctl(cluster.members[0].client, &["updatedir", "/f"]);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains(" 204: "), "{said}");
    let (code, said) = etcdctl(
        cluster.members[0].client,
        &["updatedir", "/f", "--ttl", "60"],
    );
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains(" 104: "), "{said}");
    let get = cluster.members[0].get("/v2/keys/f").expect("it serves");
    assert_eq!(get.json()["node"]["value"], "kept");
    assert!(get.json()["node"]["ttl"].is_null(), "{get:?}");
}

/// A server of etcd 2 or 3 would take the request as a write and empty the file.
#[test]
fn a_file_on_another_server_is_not_emptied() {
    let server = Mock::start(|asked| {
        let event = r#"{"action":"get","node":{"key":"/f","value":"v","modifiedIndex":7,"createdIndex":7}}"#;
        let page = r#"{"etcdserver":"3.4.23","etcdcluster":"3.4.0"}"#;
        match asked.line.starts_with("GET /version") {
            true => Some((200, page.to_owned())),
            false => Some((200, event.to_owned())),
        }
    });
    let (code, said) = etcdctl(server.address, &["--no-sync", "updatedir", "/f"]);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains(" 104: "), "{said}");
    let asked = server.asked();
    assert!(
        asked.iter().all(|asked| asked.line.starts_with("GET ")),
        "{asked:?}"
    );
}
