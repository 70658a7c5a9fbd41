//! The server that scenarios are played against.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::exchange::{Exchange, Request};

/// Timeout of a start, also on a busy host.
const START_MAX: Duration = Duration::from_secs(30);

/// Attempts of a start: another program may take its port.
const STARTS_MAX: usize = 10;

/// Gives every server its own name, so that another server on its port is noticed.
static NUMBER: AtomicUsize = AtomicUsize::new(0);

/// A running server with a temporary directory.
pub struct Server {
    pub client: String,
    pub peer: String,
    pub name: String,
    process: Child,
    _directory: tempfile::TempDir,
}

impl Server {
    /// Start a server with additional options and wait until it serves.
    pub fn start(options: &[&str]) -> Self {
        let mut starts =
            (0..STARTS_MAX).filter_map(|_| Self::launch(options).wait_until_it_serves());
        starts.next().expect("the server starts")
    }

    fn launch(options: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let name = format!("member{}", NUMBER.fetch_add(1, Ordering::Relaxed));
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

    /// Wait until it serves; none if it exited.
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
        // It may have exited already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Two free addresses. The server needs a fixed address, which it announces.
fn free_addresses() -> [SocketAddr; 2] {
    let bound = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
    bound.map(|listener| listener.local_addr().expect("an address"))
}
