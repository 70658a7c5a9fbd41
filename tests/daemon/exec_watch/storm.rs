//! Every change once and in order, whatever happens. `OXETCD_WATCH_CHANGES` says how many changes there are
//! (default 800; 10,000 is the real thing).

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

/// How long a writer waits for an answer.
const ANSWER: Duration = Duration::from_secs(5);

/// What one command ran for.
type Ran = (u64, String);

struct Storm {
    cluster: Cluster,
    proxy: Proxy,
    directory: tempfile::TempDir,
    /// Every change that was answered.
    written: Vec<Ran>,
    /// How many requests had no good answer; each may have made a change or not.
    unsure: usize,
}

/// A change of a key, or how many tries had no good answer.
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

    /// First talking to member 0, by way of the proxy.
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

    /// Write this many changes at full speed, and do something meanwhile.
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

    /// Wait until this many commands have run since it was last empty.
    fn wait_for_runs(&self, count: usize, watcher: &Watcher) {
        let path = self.ran_path();
        let started = Instant::now();
        // A command takes about 5 ms and eight run at once; ten times that and some time for each fault.
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

    /// Check what ran, and begin anew. Gives how many ran twice.
    fn check(&mut self) -> usize {
        let ran = read(&self.ran_path());
        for change in &self.written {
            assert!(ran.contains_key(change), "{change:?} did not run");
        }
        let unasked = ran.len() - self.written.len();
        assert!(unasked <= self.unsure, "{unasked} ran that nobody wrote");
        let twice: Vec<_> = ran.iter().filter(|(_, places)| places.len() > 1).collect();
        assert!(
            twice.iter().all(|(_, places)| places.len() == 2),
            "{twice:?}"
        );
        // A map in order of the indices: within a key the first runs must be in order as well.
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

/// The places in the file where each change is noted.
fn read(path: &Path) -> BTreeMap<Ran, Vec<usize>> {
    let mut ran: BTreeMap<Ran, Vec<usize>> = BTreeMap::new();
    for (place, line) in lines(path).iter().enumerate() {
        let (index, key) = line.split_once(' ').expect("an index and a key");
        let change = (index.parse().expect("an index"), key.to_owned());
        ran.entry(change).or_default().push(place);
    }
    ran
}

/// Write until `count` changes were answered.
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
fn each_change_runs_once_and_in_order_whatever_happens() {
    let part = changes() / 4;
    let mut storm = Storm::start();
    let mut watcher = storm.watch();
    let began = Instant::now();

    // The member it talks to is killed and comes back.
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

    // It is stopped and started again.
    let so_far = storm.written.len();
    storm.write_while(part, |storm| {
        storm.wait_for_runs(so_far + part / 4, &watcher);
        watcher.stop(0);
        watcher = storm.watch();
    });

    // Its connection is cut without a word.
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

    // It is killed.
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
