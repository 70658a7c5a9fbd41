//! The recorded behaviour of 0.4.6 (`tests/data/compat`), changed where we differ on purpose, replayed against the
//! real server and etcdctl. Scenarios run in parallel, each worker with its own server.

#![allow(unreachable_pub, reason = "a test is a crate of its own")]

mod etcdctl;
mod exchange;
mod expect;
mod malformed;
mod pattern;
mod scenario;
mod server;

use std::path::Path;
use std::sync::Mutex;

use scenario::{File, Scenario};
use server::Server;

/// Number of servers for files without needs.
const SERVERS: usize = 12;

/// The needs that a file can have, each with the option of its server.
const NEEDS: [(&str, &str); 3] = [
    ("cors-any", "-cors=*"),
    (
        "cors-list",
        "-cors=http://one.example,http://two.example:8080",
    ),
    ("history-1000", "-watch-history=1000"),
];

#[test]
fn recorded_cases_are_met() {
    let mut queues: Vec<(&str, Mutex<Vec<Scenario>>)> = Vec::new();
    let (mut plain, mut steps) = (Vec::new(), 0);
    for file in files() {
        steps += file.scenarios.iter().map(Scenario::steps).sum::<usize>();
        match file.needs.as_deref() {
            Some(need) => queues.push((option(need), Mutex::new(file.scenarios))),
            None => plain.extend(file.scenarios),
        }
    }
    // The longest ones first: a queue is emptied from its end.
    plain.sort_by(|one, other| one.waits().total_cmp(&other.waits()));
    let plain = Mutex::new(plain);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..SERVERS {
            scope.spawn(|| work(&[], &plain, &failures));
        }
        for (option, queue) in &queues {
            let failures = &failures;
            scope.spawn(move || work(&[option], queue, failures));
        }
    });
    let failures = failures.into_inner().expect("no worker died");
    assert!(steps >= 1646, "only {steps} steps were found");
    assert!(
        failures.is_empty(),
        "{} of {steps} steps failed:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

/// Play the scenarios in `queue` against a server with `options`.
fn work(options: &[&str], queue: &Mutex<Vec<Scenario>>, failures: &Mutex<Vec<String>>) {
    let server = Server::start(options);
    loop {
        let Some(scenario) = queue.lock().expect("no worker died").pop() else {
            break;
        };
        let found = scenario.play(&server);
        failures.lock().expect("no worker died").extend(found);
    }
}

/// The option of a server for a need.
fn option(need: &str) -> &'static str {
    let known = NEEDS.iter().find(|(name, _)| *name == need);
    known
        .unwrap_or_else(|| panic!("{need} is not known here"))
        .1
}

fn files() -> Vec<File> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/compat");
    let entries = std::fs::read_dir(&folder).expect("the recorded cases");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    paths.iter().map(|path| File::read(path)).collect()
}
