//! The server the scenarios are played against.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::wire::{Exchange, Request};

/// How long a server may take to serve after its start, on a busy machine.
const START_MAX: Duration = Duration::from_secs(30);

/// How often a start is tried: a port that was free may be taken by the time the server wants it.
const STARTS_MAX: usize = 10;

/// Gives every server a name of its own, by which it is known from one that took its port.
static NUMBER: AtomicUsize = AtomicUsize::new(0);

/// A running server, with a directory that goes with it.
pub struct Server {
    pub client: String,
    pub peer: String,
    pub name: String,
    process: Child,
    _directory: tempfile::TempDir,
}

impl Server {
    /// Start one alone, with these options more; it serves when this returns.
    pub fn start(options: &[&str]) -> Self {
        let mut starts =
            (0..STARTS_MAX).filter_map(|_| Self::launch(options).wait_until_it_serves());
        starts.next().expect("the server starts")
    }

    fn launch(options: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let name = format!("machine{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let [client, peer] = free_addresses().map(|address| address.to_string());
        let process = Command::new(env!("CARGO_BIN_EXE_etcd"))
            .arg(format!("-name={name}"))
            .arg(format!("-addr={client}"))
            .arg(format!("-peer-addr={peer}"))
            .arg(format!(
                "-data-dir={}",
                directory.path().join("data").display()
            ))
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server is there");
        Self {
            client,
            peer,
            name,
            process,
            _directory: directory,
        }
    }

    /// None if it ended instead.
    fn wait_until_it_serves(mut self) -> Option<Self> {
        let started = Instant::now();
        while !self.serves() {
            if self.process.try_wait().expect("a child").is_some() {
                return None;
            }
            assert!(started.elapsed() < START_MAX, "the server does not serve");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(self)
    }

    fn serves(&self) -> bool {
        let health = Exchange::start(&self.client, Request::get("/health"));
        health.wait(START_MAX);
        let named = format!("\"{}\"", self.name);
        health
            .answer()
            .is_some_and(|answer| answer.status == 200 && answer.body.contains(&named))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Two addresses nobody uses just now. The server has to be told its address, since it tells it others.
fn free_addresses() -> [SocketAddr; 2] {
    let bound = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
    bound.map(|listener| listener.local_addr().expect("an address"))
}
