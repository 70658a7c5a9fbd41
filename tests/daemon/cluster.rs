//! A cluster of real member processes in a temporary directory.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::http::{Answer, request};

/// Timeout for what usually takes less than a second.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// A cluster of processes.
pub struct Cluster {
    pub members: Vec<Member>,
    directory: tempfile::TempDir,
}

/// A member, running or not.
pub struct Member {
    pub client: SocketAddr,
    pub peer: SocketAddr,
    arguments: Vec<String>,
    log: PathBuf,
    process: Option<Child>,
}

impl Cluster {
    /// Start a cluster of `size` members and wait until it serves.
    pub fn start(size: usize) -> Self {
        Self::start_with(size, &[])
    }

    /// Start a cluster with additional arguments.
    pub fn start_with(size: usize, arguments: &[&str]) -> Self {
        let mut cluster = Self::prepare(size, arguments);
        for number in 0..size {
            cluster.members[number].start();
            if number == 0 {
                cluster.wait_for(0, |member| {
                    member
                        .get("/v2/keys/")
                        .is_ok_and(|answer| answer.status == 200)
                });
            }
        }
        cluster.wait_until_formed();
        cluster
    }

    /// Prepare a cluster without starting it.
    pub fn prepare(size: usize, arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let ports = free_ports(2 * size);
        let first_peer = ports[1];
        let members = (0..size).map(|number| {
            let (client, peer) = (ports[2 * number], ports[2 * number + 1]);
            let data = directory.path().join(format!("m{number}.etcd"));
            let mut all: Vec<String> = vec![
                format!("-name=m{number}"),
                format!("-addr={client}"),
                format!("-peer-addr={peer}"),
                format!("-data-dir={}", data.display()),
            ];
            if number > 0 {
                all.push(format!("-peers={first_peer}"));
                all.push("-retry-interval=0.2".to_owned());
            }
            all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
            let log = directory.path().join(format!("m{number}.log"));
            Member {
                client,
                peer,
                arguments: all,
                log,
                process: None,
            }
        });
        Self {
            members: members.collect(),
            directory,
        }
    }

    /// Wait until all members are voters in the view of every member.
    pub fn wait_until_formed(&self) {
        let size = self.members.len();
        for number in 0..size {
            self.wait_for(number, |member| {
                member
                    .get("/v2/machines")
                    .is_ok_and(|answer| answer.body.split(", ").count() == size)
                    && member.is_voter()
                    && member
                        .put("/v2/keys/formed", "value=yes")
                        .is_ok_and(|answer| answer.status < 300)
            });
        }
    }

    /// Wait until a condition holds for a member. Panics with its log after [`TIMEOUT`].
    pub fn wait_for(&self, number: usize, holds: impl Fn(&Member) -> bool) {
        let member = &self.members[number];
        let started = Instant::now();
        while !holds(member) {
            assert!(
                started.elapsed() < TIMEOUT,
                "member {number} did not get there:\n{}",
                self.members
                    .iter()
                    .map(Member::log)
                    .collect::<Vec<_>>()
                    .join("\n")
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Wait until this member sees `size` members, is a voter, and serves a write.
    pub fn wait_for_size(&self, number: usize, size: usize) {
        self.wait_for(number, |member| {
            member.members().len() == size
                && member.is_voter()
                && member
                    .put("/v2/keys/formed", "value=yes")
                    .is_ok_and(|answer| answer.status < 300)
        });
    }

    /// Wait until a member knows the leader. Returns the leader's number.
    pub fn wait_for_leader(&self, number: usize) -> usize {
        let led = |member: &Member| member.leader().and_then(|name| name[1..].parse().ok());
        self.wait_for(number, |member| led(member).is_some());
        led(&self.members[number]).expect("it was known a moment ago")
    }

    /// Change the cluster settings through a member.
    pub fn configure(&self, number: usize, settings: &str) {
        let answer = self.members[number].request_peer("PUT", "/v2/admin/config", settings);
        let answer = answer.expect("it serves");
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// The folder of the data directories.
    pub fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }
}

impl Member {
    /// Start the process.
    pub fn start(&mut self) {
        self.start_under(&[]);
    }

    /// Start the member under a wrapper such as strace.
    pub fn start_under(&mut self, wrapper: &[&str]) {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .expect("a log");
        let mut words = wrapper.iter().copied().chain([env!("CARGO_BIN_EXE_etcd")]);
        let mut command = Command::new(words.next().expect("a program"));
        command
            .args(words)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("ETCD")) {
            command.env_remove(name);
        }
        self.process = Some(command.spawn().expect("the daemon starts"));
    }

    /// Kill the process with SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may have exited already.
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Whether it was started and not killed.
    pub fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("it runs").id()
    }

    /// Send it a signal.
    pub fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let status = Command::new("kill")
            .args([name, &pid])
            .status()
            .expect("kill");
        assert!(status.success());
    }

    /// Wait for the exit of the process, at most `timeout`.
    pub fn end(&mut self, timeout: Duration) -> Option<ExitStatus> {
        let started = Instant::now();
        let process = self.process.as_mut()?;
        loop {
            if let Some(status) = process.try_wait().expect("a child") {
                self.process = None;
                return Some(status);
            }
            if started.elapsed() > timeout {
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Start it and wait for its exit with this status. Returns its log.
    pub fn start_failing(&mut self, code: i32) -> String {
        self.start();
        let status = self.end(TIMEOUT).expect("it ends");
        let log = self.log();
        assert!(exited_with(status, code), "{status:?}:\n{log}");
        log
    }

    /// Its log.
    pub fn log(&self) -> String {
        let mut text = String::new();
        if let Ok(mut file) = std::fs::File::open(&self.log) {
            let _ = file.read_to_string(&mut text);
        }
        text
    }

    /// Use other addresses from the next start on.
    pub fn move_to(&mut self, client: SocketAddr, peer: SocketAddr) {
        (self.client, self.peer) = (client, peer);
        self.arguments.push(format!("-addr={client}"));
        self.arguments.push(format!("-peer-addr={peer}"));
    }

    /// Add an argument from the next start on.
    pub fn add_argument(&mut self, argument: &str) {
        self.arguments.push(argument.to_owned());
    }

    pub fn get(&self, path: &str) -> std::io::Result<Answer> {
        request(self.client, "GET", path, "", TIMEOUT)
    }

    pub fn put(&self, path: &str, form: &str) -> std::io::Result<Answer> {
        request(self.client, "PUT", path, form, TIMEOUT)
    }

    /// Send a request to its peer port; `body` is JSON or empty.
    pub fn request_peer(&self, method: &str, path: &str, body: &str) -> std::io::Result<Answer> {
        request(self.peer, method, path, body, TIMEOUT)
    }

    /// The sorted names of the members in its view; empty while it is not a member or not reachable.
    pub fn members(&self) -> Vec<String> {
        self.member_list()
            .iter()
            .filter_map(|member| Some(member["name"].as_str()?.to_owned()))
            .collect()
    }

    /// The name of the leader in its view.
    pub fn leader(&self) -> Option<String> {
        let members = self.member_list();
        let leader = members.iter().find(|member| member["state"] == "leader")?;
        Some(leader["name"].as_str()?.to_owned())
    }

    fn member_list(&self) -> Vec<serde_json::Value> {
        let answer = self.request_peer("GET", "/v2/admin/machines", "");
        match answer {
            Ok(answer) if answer.status == 200 => {
                answer.json().as_array().cloned().unwrap_or_default()
            }
            Ok(_) | Err(_) => Vec::new(),
        }
    }

    /// Whether it is a voter.
    pub fn is_voter(&self) -> bool {
        self.get("/health")
            .is_ok_and(|answer| answer.status == 200 && answer.json()["votes"] == true)
    }

    /// Whether it is a standby, which has no name on the peer port.
    pub fn is_standby(&self) -> bool {
        self.request_peer("GET", "/name", "")
            .is_ok_and(|answer| answer.status == 404)
    }

    pub fn get_from_peer_port(&self, path: &str) -> std::io::Result<Answer> {
        request(self.peer, "GET", path, "", TIMEOUT)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether a process exited with this status.
pub fn exited_with(status: ExitStatus, code: i32) -> bool {
    status.signal().is_none() && status.code() == Some(code)
}

/// Free ports, below the range of ports for outgoing connections: a restarted member needs its port again, which an
/// outgoing connection could take meanwhile.
pub fn free_ports(count: usize) -> Vec<SocketAddr> {
    let seed = RandomState::new().build_hasher().finish();
    let candidates =
        (0..).map(|step: u64| 11_000 + (seed.wrapping_add(step * 7_919) % 20_000) as u16);
    let addresses = candidates.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    addresses
        .filter(|address| TcpListener::bind(address).is_ok())
        .take(count)
        .collect()
}
