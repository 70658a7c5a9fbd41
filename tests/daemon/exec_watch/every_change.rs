//! Each change is handled once and in order under kills, restarts and cuts. `OXETCD_WATCH_CHANGES` is the number of
//! changes (default 800).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::proxy::Proxy;
use super::{Watcher, lines, wait};
use crate::cluster::{Cluster, Member};
use crate::http::request;

const CONCURRENCY: usize = 8;

/// Timeout of a write.
const ANSWER: Duration = Duration::from_secs(5);

/// The change that a command ran for.
type Ran = (u64, String);

struct Storm {
    cluster: Cluster,
    proxy: Proxy,
    directory: tempfile::TempDir,
    /// The answered changes.
    written: Vec<Ran>,
    /// Number of failed requests, each of which may have been applied or not.
    unsure: usize,
}

/// The answered changes of a writer and its number of failed requests.
struct Written {
    done: Vec<Ran>,
    unsure: usize,
}

impl Storm {
    fn start() -> Self {
        let cluster = Cluster::start(3);
        let proxy = Proxy::start(cluster.members[0].client);
        Self {
            cluster,
            proxy,
            directory: tempfile::tempdir().expect("a directory"),
            written: Vec::new(),
            unsure: 0,
        }
    }

    fn ran_path(&self) -> PathBuf {
        self.directory.path().join("ran")
    }

    /// Start a watch that uses member 0 through the proxy first.
    fn watch(&self) -> Watcher {
        let members = [
            self.proxy.address,
            self.cluster.members[1].client,
            self.cluster.members[2].client,
        ];
        let concurrency = CONCURRENCY.to_string();
        let script = "echo $ETCD_WATCH_MODIFIED_INDEX $ETCD_WATCH_KEY >> ran; sleep 0.005";
        let watcher = Watcher::start(
            self.directory.path(),
            &members,
            &[
                "exec-watch",
                "--recursive",
                "--state",
                "state",
                "--concurrency",
                &concurrency,
                "/storm",
                "--",
                "sh",
                "-c",
                script,
            ],
        );
        let state = self.directory.path().join("state");
        wait(
            || state.exists() && self.proxy.open() > 0,
            || watcher.said(),
        );
        watcher
    }

    /// Write this many changes at full speed and run `meanwhile` in parallel.
    fn write_while<T>(&mut self, count: usize, meanwhile: impl FnOnce(&mut Self) -> T) -> T {
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let member = self.cluster.members[1 + writer % 2].client;
                thread::spawn(move || write(member, writer, count / 4))
            })
            .collect();
        let outcome = meanwhile(self);
        for writer in writers {
            let Written { done, unsure } = writer.join().expect("a writer");
            self.written.extend(done);
            self.unsure += unsure;
        }
        outcome
    }

    /// Wait until this many commands ran since the last check.
    fn wait_for_runs(&self, count: usize, watcher: &Watcher) {
        let path = self.ran_path();
        let started = Instant::now();
        // A command takes about 5 ms and eight run in parallel: ten times as long, and some time for each fault.
        let limit = Duration::from_secs(60) + Duration::from_millis(10) * count as u32;
        while lines(&path).len() < count {
            let ran = lines(&path).len();
            let said = watcher.said();
            assert!(started.elapsed() < limit, "{ran} of {count} ran: {said}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn wait_for_all(&self, watcher: &Watcher) {
        self.wait_for_runs(self.written.len(), watcher);
        let ran = || read(&self.ran_path());
        let missing = || {
            let ran = ran();
            let missing = self
                .written
                .iter()
                .filter(|change| !ran.contains_key(*change));
            missing.cloned().collect::<Vec<Ran>>()
        };
        wait(
            || missing().is_empty(),
            || format!("{:?} {}", missing(), watcher.said()),
        );
    }

    /// Check the commands that ran and clear the records. Returns how many ran twice.
    fn check(&mut self) -> usize {
        let ran = read(&self.ran_path());
        for change in &self.written {
            assert!(ran.contains_key(change), "{change:?} did not run");
        }
        let unasked = ran.len() - self.written.len();
        assert!(unasked <= self.unsure, "{unasked} ran without a change");
        let twice: Vec<_> = ran.iter().filter(|(_, places)| places.len() > 1).collect();
        assert!(
            twice.iter().all(|(_, places)| places.len() == 2),
            "{twice:?}"
        );
        // A map in the order of the indexes: the first runs for a key must be in the same order.
        let mut last: BTreeMap<&str, usize> = BTreeMap::new();
        for ((index, key), places) in &ran {
            let before = last.insert(key, places[0]);
            assert!(
                before.is_none_or(|before| before < places[0]),
                "{key} at {index}"
            );
        }
        std::fs::write(self.ran_path(), "").expect("written");
        self.written.clear();
        self.unsure = 0;
        twice.len()
    }
}

/// The positions of each change in the file.
fn read(path: &Path) -> BTreeMap<Ran, Vec<usize>> {
    let mut ran: BTreeMap<Ran, Vec<usize>> = BTreeMap::new();
    for (position, line) in lines(path).iter().enumerate() {
        let (index, key) = line.split_once(' ').expect("an index and a key");
        let change = (index.parse().expect("an index"), key.to_owned());
        ran.entry(change).or_default().push(position);
    }
    ran
}

/// Write until `count` changes are answered.
fn write(member: SocketAddr, writer: usize, count: usize) -> Written {
    let mut written = Written {
        done: Vec::new(),
        unsure: 0,
    };
    while written.done.len() < count {
        let key = format!("/storm/{writer}/{}", written.done.len() % 10);
        let form = format!("value={}", written.done.len());
        let answer = request(member, "PUT", &format!("/v2/keys{key}"), &form, ANSWER);
        match answer {
            Ok(answer) if answer.status < 300 => {
                let index = answer.json()["node"]["modifiedIndex"].as_u64();
                written.done.push((index.expect("an index"), key));
            }
            _ => written.unsure += 1,
        }
    }
    written
}

fn changes() -> usize {
    let given = std::env::var("OXETCD_WATCH_CHANGES").ok();
    given.map_or(800, |count| count.parse().expect("a number"))
}

#[test]
fn each_change_runs_once_and_in_order() {
    let part = changes() / 4;
    let mut storm = Storm::start();
    let mut watcher = storm.watch();
    let began = Instant::now();

    // Its member is killed and restarted.
    storm.write_while(part, |storm| {
        storm.wait_for_runs(part / 4, &watcher);
        storm.cluster.members[0].kill();
        thread::sleep(Duration::from_millis(500));
        storm.cluster.members[0].start();
    });
    storm.cluster.wait_for(0, |member: &Member| {
        member
            .get("/v2/keys/")
            .is_ok_and(|answer| answer.status == 200)
    });

    // It is stopped and started.
    let so_far = storm.written.len();
    storm.write_while(part, |storm| {
        storm.wait_for_runs(so_far + part / 4, &watcher);
        watcher.stop(0);
        watcher = storm.watch();
    });

    // Its connection is cut silently.
    let so_far = storm.written.len();
    storm.wait_for_runs(so_far, &watcher);
    assert!(
        storm.proxy.open() > 0,
        "it does not talk by way of the proxy"
    );
    storm.proxy.cut(true);
    storm.write_while(part, |storm| {
        let cut = Instant::now();
        storm.wait_for_runs(so_far + part / 4, &watcher);
        let noticed = cut.elapsed();
        assert!(noticed < Duration::from_secs(20), "{noticed:?}");
        if changes() >= 10_000 {
            thread::sleep(Duration::from_secs(10).saturating_sub(noticed));
        }
        println!("the cut was overcome after {noticed:?}");
    });
    storm.proxy.cut(false);
    storm.write_while(part, |_| {});
    storm.wait_for_all(&watcher);
    let count = storm.written.len();
    assert_eq!(storm.check(), 0, "some ran twice: {}", watcher.said());
    println!("{count} changes ran once each in {:?}", began.elapsed());

    // It is killed and started.
    storm.write_while(part, |storm| {
        storm.wait_for_runs(part / 4, &watcher);
        watcher.signal("-KILL");
        watcher.end();
        watcher = storm.watch();
    });
    storm.wait_for_all(&watcher);
    let twice = storm.check();
    assert!(twice <= CONCURRENCY, "{twice} ran twice");
    println!("{twice} ran twice after a kill");
    watcher.stop(0);
}
