//! Clients that write at full speed and record the answered writes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::cluster::{Cluster, TIMEOUT};
use crate::http::request;

/// Number of writes after which a writer uses the next member.
const WRITES_IN_A_ROW: usize = 50;

/// Pause after a failed write.
const PAUSE: Duration = Duration::from_millis(10);

/// Writers that run until they are stopped. Each writes one key after another in its own directory.
pub struct Writers {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<Vec<Write>>>,
}

struct Shared {
    /// Addresses of the members; never empty.
    addresses: Mutex<Vec<SocketAddr>>,
    answered: AtomicUsize,
    stop: AtomicBool,
}

/// An answered write.
struct Write {
    key: String,
    index: u64,
}

/// The answered writes of each writer, in the order of the answers.
pub struct Written(Vec<Vec<Write>>);

impl Writers {
    /// Start `count` writers to these members.
    pub fn start(count: usize, addresses: Vec<SocketAddr>) -> Self {
        let shared = Arc::new(Shared {
            addresses: Mutex::new(addresses),
            answered: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
        });
        let threads = (0..count).map(|writer| {
            let shared = shared.clone();
            std::thread::spawn(move || shared.write(writer))
        });
        Self {
            threads: threads.collect(),
            shared,
        }
    }

    /// Use these members from now on.
    pub fn set_addresses(&self, addresses: Vec<SocketAddr>) {
        *self.shared.addresses.lock().expect("no panic") = addresses;
    }

    /// Number of answered writes.
    pub fn answered(&self) -> usize {
        self.shared.answered.load(Ordering::Relaxed)
    }

    /// Stop the writers and return the answered writes.
    pub fn stop(mut self) -> Written {
        self.shared.stop.store(true, Ordering::Relaxed);
        let threads = std::mem::take(&mut self.threads).into_iter();
        Written(
            threads
                .map(|thread| thread.join().expect("no panic"))
                .collect(),
        )
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    /// Run a writer. A write without an answer may have been applied or not: its key is not used again.
    fn write(&self, writer: usize) -> Vec<Write> {
        let mut written = Vec::new();
        let mut next = writer;
        for number in 0_usize.. {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            let to = {
                let addresses = self.addresses.lock().expect("no panic");
                addresses[next % addresses.len()]
            };
            let key = format!("/written/{writer}/{number}");
            let path = format!("/v2/keys{key}");
            let form = format!("value={number}");
            match request(to, "PUT", &path, &form, TIMEOUT) {
                Ok(answer) if answer.status == 201 => {
                    let index = answer.json()["node"]["modifiedIndex"].as_u64();
                    let index = index.expect("an index");
                    written.push(Write { key, index });
                    self.answered.fetch_add(1, Ordering::Relaxed);
                    if written.len() % WRITES_IN_A_ROW == 0 {
                        next += 1;
                    }
                }
                Ok(_) | Err(_) => {
                    next += 1;
                    std::thread::sleep(PAUSE);
                }
            }
        }
        written
    }
}

impl Written {
    /// Number of writes.
    pub fn len(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }

    /// Check that a member has all answered writes: each value at its index, and those of a writer in order.
    pub fn check_at(&self, cluster: &Cluster, number: usize) {
        cluster.wait_for(number, |member| {
            let answer = member.get("/v2/keys/written?quorum=true");
            answer.is_ok_and(|answer| answer.status == 200)
        });
        for (writer, writes) in self.0.iter().enumerate() {
            let path = format!("/v2/keys/written/{writer}");
            let listing = cluster.members[number].get(&path).expect("it serves");
            let listing = listing.json();
            let nodes = listing["node"]["nodes"].as_array().expect("a directory");
            let held: BTreeMap<_, _> = nodes
                .iter()
                .map(|node| {
                    (
                        node["key"].as_str(),
                        (&node["value"], &node["modifiedIndex"]),
                    )
                })
                .collect();
            for Write { key, index } in writes {
                let value = key.rsplit('/').next().expect("a name").into();
                let found = held.get(&Some(key.as_str())).copied();
                let index = (*index).into();
                assert_eq!(found, Some((&value, &index)), "{key} at member {number}");
            }
            assert!(
                writes.is_sorted_by(|one, next| one.index < next.index),
                "writer {writer} was answered out of order"
            );
        }
    }
}
