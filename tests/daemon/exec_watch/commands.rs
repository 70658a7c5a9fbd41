//! Start and stop of `exec-watch`, and its commands.

use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use super::{Watcher, lines, wait, wait_for_lines};
use crate::cluster::Cluster;

/// A cluster of one member, and a directory for the watcher.
pub struct Scene {
    pub cluster: Cluster,
    pub directory: tempfile::TempDir,
}

impl Scene {
    pub fn new(arguments: &[&str]) -> Self {
        Self {
            cluster: Cluster::start_with(1, arguments),
            directory: tempfile::tempdir().expect("a directory"),
        }
    }

    /// Start `exec-watch` with these arguments and wait until it watches.
    pub fn watch(&self, arguments: &[&str]) -> Watcher {
        let before = self.watchers();
        let mut all = vec!["exec-watch"];
        all.extend(arguments);
        let watcher = Watcher::start(
            self.directory.path(),
            &[self.cluster.members[0].client],
            &all,
        );
        wait(|| self.watchers() > before, || watcher.said());
        watcher
    }

    /// Number of watches that the member serves.
    pub fn watchers(&self) -> u64 {
        let stats = self.cluster.members[0]
            .get("/v2/stats/store")
            .expect("it serves");
        stats.json()["watchers"].as_u64().expect("a number")
    }

    pub fn put(&self, key: &str, value: &str) -> u64 {
        let form = format!("value={value}");
        let answer = self.cluster.members[0].put(&format!("/v2/keys{key}"), &form);
        let answer = answer.expect("it serves");
        assert!(answer.status < 300, "{answer:?}");
        answer.json()["node"]["modifiedIndex"]
            .as_u64()
            .expect("an index")
    }

    pub fn out(&self) -> std::path::PathBuf {
        self.directory.path().join("out")
    }
}

#[test]
fn commands_get_the_whole_change() {
    let scene = Scene::new(&[]);
    scene.put("/w/a", "1");
    let script = "echo $ETCD_WATCH_ACTION $ETCD_WATCH_KEY $ETCD_WATCH_VALUE $ETCD_WATCH_PREV_VALUE \
                  $ETCD_WATCH_TTL $ETCD_WATCH_DIR; cat";
    let mut watcher = scene.watch(&["--json", "--recursive", "/w", "--", "sh", "-c", script]);
    let answer = scene.cluster.members[0].put("/v2/keys/w/a", "value=2&ttl=100");
    let sent = answer.expect("it serves").body;
    wait(|| lines(&scene.out()).len() == 2, || watcher.said());
    let output = lines(&scene.out());
    assert!(
        output[0].starts_with("set /w/a 2 1 ") && output[0].ends_with(" false"),
        "{output:?}"
    );
    let event: serde_json::Value = serde_json::from_str(&output[1]).expect("JSON");
    let sent: serde_json::Value = serde_json::from_str(&sent).expect("JSON");
    assert_eq!(event["prevNode"], sent["prevNode"]);
    assert_eq!(event["node"]["value"], "2");
    watcher.stop(0);
}

#[test]
fn a_stop_waits_for_the_running_command() {
    let scene = Scene::new(&[]);
    let arguments = ["--state", "state", "/a", "--", "sh", "-c"];
    let slow = "echo begin $ETCD_WATCH_VALUE; sleep 1; echo end $ETCD_WATCH_VALUE";
    let mut watcher = scene.watch(&[&arguments[..], &[slow]].concat());
    scene.put("/a", "1");
    scene.put("/a", "2");
    wait_for_lines(&scene.out(), &["begin 1"]);
    watcher.signal("-INT");
    assert_eq!(watcher.end().code(), Some(0), "{}", watcher.said());
    wait_for_lines(&scene.out(), &["begin 1", "end 1"]);
    // The change without a command is handled after the next start.
    let mut watcher = scene.watch(&[&arguments[..], &["echo $ETCD_WATCH_VALUE"]].concat());
    wait_for_lines(&scene.out(), &["begin 1", "end 1", "2"]);
    watcher.stop(0);
}

#[test]
fn a_second_stop_kills_the_command() {
    let scene = Scene::new(&[]);
    let arguments = ["--state", "state", "/a", "--", "sh", "-c"];
    let mut watcher = scene.watch(&[&arguments[..], &["echo begin; sleep 60; echo end"]].concat());
    scene.put("/a", "1");
    wait_for_lines(&scene.out(), &["begin"]);
    watcher.signal("-TERM");
    std::thread::sleep(Duration::from_millis(200));
    watcher.stop(0);
    assert!(
        watcher.said().contains("was terminated at shutdown"),
        "{}",
        watcher.said()
    );
    let mut watcher = scene.watch(&[&arguments[..], &["echo again $ETCD_WATCH_VALUE"]].concat());
    wait_for_lines(&scene.out(), &["begin", "again 1"]);
    watcher.stop(0);
}

#[test]
fn it_stops_without_a_member() {
    let mut scene = Scene::new(&[]);
    let mut watcher = scene.watch(&["/a", "--", "true"]);
    scene.cluster.members[0].kill();
    watcher.wait_until_said("watch interrupted");
    let stopped = Instant::now();
    watcher.stop(0);
    assert!(
        stopped.elapsed() < Duration::from_secs(5),
        "{:?}",
        stopped.elapsed()
    );
}

#[test]
fn it_continues_when_the_member_is_back() {
    let mut scene = Scene::new(&[]);
    let mut watcher = scene.watch(&["/a", "--", "sh", "-c", "echo $ETCD_WATCH_VALUE"]);
    scene.put("/a", "1");
    scene.cluster.members[0].kill();
    watcher.wait_until_said("watch interrupted");
    scene.cluster.members[0].start();
    scene
        .cluster
        .wait_for(0, |member| member.get("/v2/keys/").is_ok());
    scene.put("/a", "2");
    wait_for_lines(&scene.out(), &["1", "2"]);
    watcher.stop(0);
}

#[test]
fn the_service_manager_is_notified_by_it_alone() {
    let scene = Scene::new(&[]);
    let path = scene.directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket
        .set_read_timeout(Some(super::TIMEOUT))
        .expect("a limit");
    let path = path.to_string_lossy().into_owned();
    let member = [scene.cluster.members[0].client];
    let mut watcher = Watcher::start_with(
        scene.directory.path(),
        &member,
        &[
            "exec-watch",
            "/a",
            "--",
            "sh",
            "-c",
            "echo [$NOTIFY_SOCKET]",
        ],
        &[("NOTIFY_SOCKET", &path), ("WATCHDOG_USEC", "2000000")],
    );
    let receive = || {
        let mut bytes = [0; 4096];
        let length = socket.recv(&mut bytes).expect("a notification");
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    let until = |text: &str| while !receive().contains(text) {};
    until("READY=1");
    until("WATCHDOG=1");
    let index = scene.put("/a", "1");
    until(&format!("STATUS=watching /a, handled up to index {index}"));
    watcher.signal("-TERM");
    until("STOPPING=1");
    assert_eq!(watcher.end().code(), Some(0));
    assert_eq!(lines(&scene.out()), ["[]"]);
}
