//! The recorded behaviour of 0.4.6, with our decisions in it (`tests/data/compat`), replayed against the
//! real server and the real etcdctl. Scenarios that wait run side by side, each worker with a server of its own.

#![allow(unreachable_pub, reason = "a test is a crate of its own")]

mod command;
mod expect;
mod hostile;
mod pattern;
mod play;
mod server;
mod wire;

use std::path::Path;
use std::sync::Mutex;

use play::Scenario;
use server::Server;

/// How many servers the scenarios of the plain files are spread over.
const SERVERS: usize = 12;

/// Files that want a server of their own, and what it is started with.
const STARTED_WITH: [(&str, &str); 4] = [
    ("cors_any", "-cors=*"),
    (
        "cors_list",
        "-cors=http://one.example,http://two.example:8080",
    ),
    ("watch_forgotten", "-watch-history=1000"),
    ("ctl_forgotten", "-watch-history=1000"),
];

#[test]
fn recorded_cases_are_met() {
    let mut queues: Vec<(Option<&str>, Mutex<Vec<Scenario>>)> = Vec::new();
    let (mut plain, mut steps) = (Vec::new(), 0);
    for (file, scenarios) in files() {
        steps += scenarios.iter().map(Scenario::steps).sum::<usize>();
        match STARTED_WITH.iter().find(|(name, _)| *name == file) {
            Some((_, option)) => queues.push((Some(option), Mutex::new(scenarios))),
            None => plain.extend(scenarios),
        }
    }
    // Those that wait longest come first: a queue is emptied from its end.
    plain.sort_by(|one, other| one.waits().total_cmp(&other.waits()));
    let plain = Mutex::new(plain);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..SERVERS {
            scope.spawn(|| work(&[], &plain, &failures));
        }
        for (option, queue) in &queues {
            let failures = &failures;
            scope.spawn(move || work(option.as_slice(), queue, failures));
        }
    });
    let failures = failures.into_inner().expect("no worker died");
    assert!(steps > 1400, "only {steps} steps were found");
    assert!(
        failures.is_empty(),
        "{} of {steps} steps failed:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

/// Play what is in `queue`, one after another, against one server started with `options`.
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

fn files() -> Vec<(String, Vec<Scenario>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/compat");
    let entries = std::fs::read_dir(&folder).expect("the recorded cases");
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    files
        .into_iter()
        .map(|path| {
            let file = path
                .file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            let text = std::fs::read_to_string(&path).expect("a file");
            let scenarios = Scenario::parse_all(&file, &text);
            (file, scenarios)
        })
        .collect()
}
