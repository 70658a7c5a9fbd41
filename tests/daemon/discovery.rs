//! Bootstrap with a discovery token.

use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::cluster::Cluster;
use crate::discovery_service::Service;
use crate::mock_discovery::{Mock, Recorded};

/// Prepare hosts with a token and a short timeout for clusters that are not reachable.
fn prepare(size: usize, url: &str) -> Cluster {
    let url = format!("-discovery={url}");
    Cluster::prepare(size, &["-peers=", "-max-retry-attempts=2", &url])
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// A discovery service with a new token.
struct Founded {
    service: Service,
    /// The path of the token.
    token: String,
    url: String,
    cluster: Cluster,
}

impl Founded {
    /// Start a service with its data in this folder.
    fn in_folder(folder: &Path) -> Self {
        let service = Service::start(folder);
        let token = service.token(0);
        let url = format!("http://{}{token}", service.address);
        let mut cluster = prepare(1, &url);
        cluster.members[0].start();
        cluster.wait_until_formed();
        Self {
            service,
            token,
            url,
            cluster,
        }
    }
}

fn started_at_once_are_one_cluster(size: usize) {
    let folder = folder();
    let service = Service::start(folder.path());
    let token = service.token(0);
    let mut cluster = prepare(size, &format!("http://{}{token}", service.address));
    for member in &mut cluster.members {
        member.start();
    }
    cluster.wait_until_formed();
    let founded = cluster.members.iter();
    let founded = founded.filter(|member| {
        member
            .log()
            .contains("first member with its discovery token")
    });
    assert_eq!(founded.count(), 1);
    let nodes = service.ask("GET", &token, "").json()["node"]["nodes"].clone();
    assert_eq!(nodes.as_array().map(Vec::len), Some(size), "{nodes}");
}

#[test]
fn three_started_at_once_are_one_cluster() {
    started_at_once_are_one_cluster(3);
}

#[test]
fn five_started_at_once_are_one_cluster() {
    started_at_once_are_one_cluster(5);
}

#[test]
fn the_size_of_the_token_is_the_active_size() {
    let folder = folder();
    let service = Service::start(folder.path());
    let mut cluster = prepare(4, &service.url(3));
    for member in &mut cluster.members {
        member.start();
    }
    for number in 0..4 {
        cluster.wait_for(number, |member| {
            member
                .get("/v2/machines")
                .is_ok_and(|answer| answer.status == 200 || answer.status == 307)
        });
    }
    let standbys = cluster.members.iter().filter(|member| member.is_standby());
    assert_eq!(standbys.count(), 1);
    let config = cluster.members.iter().find_map(|member| {
        let answer = member.get_from_peer_port("/v2/admin/config").ok()?;
        (answer.status == 200).then(|| answer.json())
    });
    assert_eq!(config.expect("a member")["activeSize"], 3);
}

#[test]
fn a_restart_works_without_the_service() {
    let folder = folder();
    let Founded {
        mut service,
        mut cluster,
        ..
    } = Founded::in_folder(folder.path());
    cluster.members[0].kill();
    service.kill();
    cluster.members[0].start();
    cluster.wait_until_formed();
    cluster.wait_for(0, |member| member.log().contains("retry_in=1s"));
    service.restart();
    cluster.wait_for(0, |member| {
        member
            .log()
            .matches("registered with the discovery service")
            .count()
            == 2
    });
}

#[test]
fn a_used_token_is_reported() {
    let folder = folder();
    let Founded {
        service,
        token,
        url,
        mut cluster,
    } = Founded::in_folder(folder.path());
    cluster.members[0].kill();
    assert_eq!(
        service.ask("DELETE", &format!("{token}/m0"), "").status,
        200
    );

    let mut late = prepare(1, &url);
    late.members[0].add_argument("-name=late");
    late.members[0].add_argument("-retry-interval=0.2");
    let log = late.members[0].start_failing(1);
    assert!(
        log.contains("no other member is registered with it now"),
        "{log}"
    );

    // An entry of a member that is no longer there.
    let gone = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    let form = format!("ttl=1000&value=http://{}", gone.expect("a port"));
    assert_eq!(
        service.ask("PUT", &format!("{token}/old"), &form).status,
        201
    );
    let log = late.members[0].start_failing(1);
    assert!(
        log.contains("none of the members registered with it admitted this one"),
        "{log}"
    );
}

#[test]
fn the_name_of_a_running_member_is_refused() {
    let folder = folder();
    let founded = Founded::in_folder(folder.path());
    let registered = || {
        let page = format!("{}/m0", founded.token);
        founded.service.ask("GET", &page, "").json()["node"]["value"].clone()
    };
    let before = registered();

    let mut namesake = prepare(1, &founded.url);
    let log = namesake.members[0].start_failing(1);
    assert!(
        log.contains("the name m0 belongs to a living member"),
        "{log}"
    );
    assert_eq!(registered(), before, "it is found as before");
}

#[test]
fn an_unknown_token_and_invalid_answers_fail() {
    let folder = folder();
    let service = Service::start(folder.path());
    let garbage = Mock::start(|_| Some((200, "<html>".to_owned())));
    let token = "0123456789abcdef0123456789abcdef";
    for (address, said) in [
        (
            service.address,
            "is not a token known to the discovery service",
        ),
        (garbage.address, "is not a discovery token"),
    ] {
        let mut cluster = prepare(1, &format!("http://{address}/{token}"));
        let log = cluster.members[0].start_failing(1);
        assert!(log.contains(said), "{log}");
    }
}

#[test]
fn without_the_service_the_peers_are_used() {
    let folder = folder();
    let mut service = Service::start(folder.path());
    let url = service.url(0);
    service.kill();
    let mut cluster = Cluster::prepare(2, &[]);
    cluster.members[1].add_argument(&format!("-discovery={url}"));
    cluster.members[0].start();
    cluster.members[1].start();
    cluster.wait_until_formed();
    let log = cluster.members[1].log();
    assert!(log.contains("joining by -peers"), "{log}");
}

/// A mock of a discovery service with one token. It does not answer requests for `_config/size` while `mute` is
/// set.
fn forgetful(mute: &Arc<AtomicBool>) -> Mock {
    let mute = mute.clone();
    let state: Mutex<Option<String>> = Mutex::default();
    Mock::start(move |asked: &Recorded| {
        let mut state = state.lock().expect("no panic");
        let node = |value: &str| {
            format!("{{\"action\":\"get\",\"node\":{{\"key\":\"/t\",\"value\":\"{value}\"}}}}")
        };
        let none = || {
            Some((
                404,
                "{\"errorCode\":100,\"message\":\"\",\"index\":1}".to_owned(),
            ))
        };
        if asked.line.contains("/_config/size") {
            return match mute.load(Ordering::Relaxed) {
                true => None,
                false => none(),
            };
        }
        if asked.line == "PUT /t/_state?prevExist=false" {
            if state.is_some() {
                let error = "{\"errorCode\":105,\"message\":\"\",\"index\":1}";
                return Some((412, error.to_owned()));
            }
            let value = asked.body.strip_prefix("value=").expect("a value");
            *state = Some(value.replace('+', " "));
            return Some((201, node(value)));
        }
        if asked.line.starts_with("GET /t/_state") {
            return state
                .as_deref()
                .map_or_else(none, |value| Some((200, node(value))));
        }
        if asked.line.starts_with("GET ") {
            return Some((
                200,
                "{\"action\":\"get\",\"node\":{\"key\":\"/t\",\"dir\":true}}".to_owned(),
            ));
        }
        Some((201, node("")))
    })
}

/// The first member is killed after it claimed `_state` and before it founded the cluster.
#[test]
fn a_crash_between_the_steps_is_recovered() {
    let mute = Arc::new(AtomicBool::new(true));
    let mock = forgetful(&mute);
    let mut cluster = prepare(1, &format!("http://{}/t", mock.address));
    cluster.members[0].start();
    cluster.wait_for(0, |_| {
        mock.asked()
            .iter()
            .any(|asked| asked.line.contains("/_config/size"))
    });
    cluster.members[0].kill();
    mute.store(false, Ordering::Relaxed);
    cluster.members[0].start();
    cluster.wait_until_formed();
}

/// The requests of a start and of a restart are those of etcd 0.4.
#[test]
fn a_start_and_a_restart_send_the_requests_of_0_4() {
    let mock = forgetful(&Arc::new(AtomicBool::new(false)));
    let mut cluster = prepare(1, &format!("http://{}/t", mock.address));
    cluster.members[0].start();
    cluster.wait_until_formed();
    let asked = mock.asked();
    let peer = cluster.members[0].peer;
    let register = Recorded {
        line: "PUT /t/m0".to_owned(),
        body: format!("ttl=604800&value=http%3A%2F%2F127.0.0.1%3A{}", peer.port()),
    };
    assert_eq!(asked[0], register);
    assert_eq!(asked[1].line, "PUT /t/_state?prevExist=false");
    assert!(asked[1].body.starts_with("value=started"), "{:?}", asked[1]);
    assert_eq!(asked[2].line, "GET /t/_config/size");
    assert_eq!(asked.len(), 3, "{asked:?}");

    cluster.members[0].kill();
    cluster.members[0].start();
    cluster.wait_until_formed();
    cluster.wait_for(0, |_| mock.asked().len() == 6);
    let asked = mock.asked();
    assert_eq!(asked[3], register);
    assert_eq!(asked[4].line, "PUT /t/_state?prevExist=false");
    assert_eq!(
        asked[5].line,
        "GET /t?consistent=true&recursive=true&sorted=false"
    );
}
