//! The clients, and what they count.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Builder;
use tokio::task::LocalSet;

use super::connection::{Connection, Reply};
use super::workload::Requests;
use super::{Histogram, Limit, Plan, Workload, progress, watch};
use crate::cluster::Address;
use crate::ctl::Exit;
use crate::host::signals;
use crate::net::tls::Connector;

/// A request without an answer for this long has failed.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a client waits before it connects again after a failure.
const RECONNECT_PAUSE: Duration = Duration::from_millis(20);

/// How often one request follows redirects.
const REDIRECTS_MAX: usize = 3;

/// How many different kinds of failure are told apart; the rest are counted together.
const KINDS_MAX: usize = 20;

/// What came out.
#[derive(Default)]
pub(super) struct Outcome {
    /// The latencies of what was answered well.
    pub(super) latency: Histogram,
    /// How often what went wrong.
    pub(super) failures: BTreeMap<String, u64>,
    /// How long it took.
    pub(super) elapsed: Duration,
}

/// What all clients share.
pub(super) struct Shared {
    pub(super) plan: Plan,
    /// What is spoken with members whose URL is `https`.
    tls: Connector,
    /// When it began.
    pub(super) start: Instant,
    /// The next request's number.
    tickets: AtomicU64,
    /// Requests that were answered, well or not.
    pub(super) done: AtomicU64,
    /// Those that were not answered well.
    pub(super) failed: AtomicU64,
    /// Someone wants it to end.
    pub(super) stop: AtomicBool,
}

/// One client.
pub(super) struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) requests: Requests,
    pub(super) outcome: Outcome,
    member: usize,
    /// Where a redirect pointed; instead of `member`.
    redirected: Option<Address>,
    connection: Option<Connection>,
}

impl Shared {
    fn new(plan: &Plan, tls: &Connector) -> Arc<Self> {
        Arc::new(Self {
            plan: plan.clone(),
            tls: tls.clone(),
            start: Instant::now(),
            tickets: AtomicU64::new(0),
            done: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        })
    }

    /// Whether it is over for those who need no ticket.
    pub(super) fn is_over(&self) -> bool {
        let late = match self.plan.limit {
            Limit::Duration(duration) => self.start.elapsed() >= duration,
            Limit::Total(total) => self.done.load(Ordering::Relaxed) >= total,
        };
        late || self.stop.load(Ordering::Relaxed)
    }

    /// Wait until the next request is due, and give the time it counts from; none when it is over.
    pub(super) async fn turn(&self) -> Option<Instant> {
        let ticket = self.tickets.fetch_add(1, Ordering::Relaxed);
        if let Limit::Total(total) = self.plan.limit
            && ticket >= total
        {
            return None;
        }
        let Some(rate) = self.plan.rate else {
            return (!self.is_over()).then(Instant::now);
        };
        #[expect(clippy::cast_precision_loss, reason = "2^53 requests are out of reach")]
        let due = self.start + Duration::from_secs_f64(ticket as f64 / rate);
        if let Limit::Duration(duration) = self.plan.limit
            && due >= self.start + duration
        {
            return None;
        }
        if due <= Instant::now() {
            return (!self.is_over()).then_some(due);
        }
        tokio::time::sleep_until(due.into()).await;
        // Timers are a millisecond coarse, which is not the server's fault: count from now. A client
        // that was still busy when the request was due counts from then, above.
        (!self.is_over()).then(Instant::now)
    }
}

impl Worker {
    pub(super) fn new(shared: &Arc<Shared>, number: usize) -> Self {
        Self {
            shared: Arc::clone(shared),
            requests: Requests::new(&shared.plan, number),
            outcome: Outcome::default(),
            member: number,
            redirected: None,
            connection: None,
        }
    }

    /// Ask until it is over.
    async fn work(mut self) -> Outcome {
        while let Some(due) = self.shared.turn().await {
            let answered = self
                .request(|requests, member| requests.next(member))
                .await
                .map(drop);
            self.count(due, answered).await;
        }
        self.outcome
    }

    /// Write key number `key`, which is not counted.
    async fn fill(&mut self, key: u64) -> Result<(), String> {
        self.request(|requests, member| requests.put(member, key))
            .await
            .map(drop)
    }

    /// Count what became of a request, and connect anew before the next if it was no good.
    pub(super) async fn count(&mut self, due: Instant, answered: Result<(), String>) {
        match answered {
            Ok(()) => self.outcome.latency.record(due.elapsed()),
            Err(kind) => {
                self.outcome.fail(kind);
                self.shared.failed.fetch_add(1, Ordering::Relaxed);
                if self.connection.is_none() {
                    tokio::time::sleep(RECONNECT_PAUSE).await;
                }
            }
        }
        self.shared.done.fetch_add(1, Ordering::Relaxed);
    }

    /// Have one request answered. The error is a word or two, of which there are few.
    pub(super) async fn request(
        &mut self,
        make: impl for<'a> Fn(&'a mut Requests, &Address) -> &'a [u8],
    ) -> Result<Answered, String> {
        match tokio::time::timeout(ANSWER_TIMEOUT, self.follow(make)).await {
            Ok(answered) => answered,
            Err(_) => {
                self.lose();
                Err(String::from("no answer in time"))
            }
        }
    }

    async fn follow(
        &mut self,
        make: impl for<'a> Fn(&'a mut Requests, &Address) -> &'a [u8],
    ) -> Result<Answered, String> {
        for _ in 0..=REDIRECTS_MAX {
            let member = self.member().clone();
            if !self
                .connection
                .as_ref()
                .is_some_and(|connection| connection.alive)
            {
                self.connection = match Connection::open(&member, &self.shared.tls).await {
                    Ok(connection) => Some(connection),
                    Err(error) => return Err(self.broken("connecting", &error)),
                };
            }
            let Some(connection) = self.connection.as_mut() else {
                break;
            };
            let request = make(&mut self.requests, &member);
            let location = match connection.exchange(request).await {
                Err(error) => return Err(self.broken("connection", &error)),
                Ok(Reply {
                    status: 307,
                    location,
                    ..
                }) => location,
                Ok(reply) if (200..300).contains(&reply.status) => {
                    let used = self.shared.plan.workload == Workload::Watch;
                    return Ok(if used {
                        Answered::new(&reply)
                    } else {
                        Answered::default()
                    });
                }
                Ok(reply) => return Err(refusal(&reply)),
            };
            self.connection = None;
            self.redirected = location.as_deref().and_then(authority);
            if self.redirected.is_none() {
                return Err(String::from("HTTP 307 without a good Location"));
            }
        }
        Err(String::from("too many redirects"))
    }

    fn member(&self) -> &Address {
        let members = &self.shared.plan.members;
        match &self.redirected {
            Some(member) => member,
            None => &members[self.member % members.len()],
        }
    }

    /// Give the connection up; the next one goes to the next member.
    fn lose(&mut self) {
        self.connection = None;
        self.redirected = None;
        self.member = self.member.wrapping_add(1);
    }

    fn broken(&mut self, what: &str, error: &Error) -> String {
        self.lose();
        if error.kind() == ErrorKind::UnexpectedEof {
            return format!("{what}: closed");
        }
        format!("{what}: {}", error.kind())
    }
}

/// What of an answer the watch workload uses afterwards.
#[derive(Default)]
pub(super) struct Answered {
    /// The index of the event, or of the store.
    pub(super) index: u64,
    /// The number the value begins with, for the key that is watched.
    pub(super) stamp: Option<u64>,
}

impl Answered {
    fn new(reply: &Reply<'_>) -> Self {
        let event = super::parse::number_after(reply.body, b"\"modifiedIndex");
        Self {
            index: event.or(reply.index).unwrap_or(0),
            stamp: super::parse::number_after(reply.body, b"\"value"),
        }
    }
}

impl Outcome {
    pub(super) fn fail(&mut self, kind: String) {
        let kind = if self.failures.len() < KINDS_MAX || self.failures.contains_key(&kind) {
            kind
        } else {
            String::from("others")
        };
        *self.failures.entry(kind).or_default() += 1;
    }

    fn merge(&mut self, other: Self) {
        self.latency.merge(&other.latency);
        for (kind, count) in other.failures {
            *self.failures.entry(kind).or_default() += count;
        }
    }
}

fn refusal(reply: &Reply<'_>) -> String {
    match super::parse::number_after(reply.body, b"\"errorCode") {
        Some(code) => format!("HTTP {}, error {code}", reply.status),
        None => format!("HTTP {}", reply.status),
    }
}

fn authority(location: &str) -> Option<Address> {
    let (scheme, rest) = location.split_once("://")?;
    let port = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let authority = rest.split('/').next()?;
    Address::parse_with_port(&format!("{scheme}://{authority}"), port).ok()
}

/// Do it all: the keys that will be read, then what is measured.
pub(super) fn run(plan: &Plan, tls: &Connector) -> Result<Outcome, Exit> {
    if plan.workload.reads() {
        fill(plan, tls)?;
    }
    let shared = Shared::new(plan, tls);
    listen_for_stop(&shared);
    let started = Instant::now();
    let mut outcome = Outcome::default();
    let (finished, results) = mpsc::channel();
    let threads = thread_count(plan.clients);
    for number in 0..threads {
        let (shared, finished) = (Arc::clone(&shared), finished.clone());
        thread::spawn(move || {
            let clients = (number..shared.plan.clients).step_by(threads);
            // Whoever no longer listens has gone.
            let _ = finished.send(on_this_thread(&shared, clients));
        });
    }
    drop(finished);
    let mut line = progress::Line::new();
    loop {
        match results.recv_timeout(progress::PERIOD) {
            Ok(result) => outcome.merge(result?),
            Err(mpsc::RecvTimeoutError::Timeout) => line.show(&shared),
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
    }
    line.clear();
    outcome.elapsed = started.elapsed();
    Ok(outcome)
}

/// Run these clients on this thread until they are done.
fn on_this_thread(
    shared: &Arc<Shared>,
    clients: impl Iterator<Item = usize>,
) -> Result<Outcome, Exit> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Exit::unreachable(format!("no runtime: {error}")))?;
    let tasks = LocalSet::new();
    let total = tasks.block_on(&runtime, async {
        let mut running = Vec::new();
        for number in clients {
            let worker = Worker::new(shared, number);
            if shared.plan.workload == Workload::Watch {
                if number == 0 {
                    let writer = Worker::new(shared, shared.plan.clients);
                    running.push(tokio::task::spawn_local(watch::write(writer)));
                }
                running.push(tokio::task::spawn_local(watch::listen(worker)));
            } else {
                running.push(tokio::task::spawn_local(worker.work()));
            }
        }
        let mut total = Outcome::default();
        for task in running {
            match task.await {
                Ok(outcome) => total.merge(outcome),
                Err(_) => total.fail(String::from("a client broke down")),
            }
        }
        total
    });
    Ok(total)
}

/// Write every key once.
fn fill(plan: &Plan, tls: &Connector) -> Result<(), Exit> {
    const CLIENTS: u64 = 64;
    let shared = Shared::new(plan, tls);
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Exit::unreachable(format!("no runtime: {error}")))?;
    LocalSet::new().block_on(&runtime, async {
        let mut running = Vec::new();
        for number in 0..CLIENTS.min(plan.keys) {
            let mut worker = Worker::new(&shared, usize::try_from(number).unwrap_or(0));
            let keys = (number..plan.keys).step_by(usize::try_from(CLIENTS).unwrap_or(1));
            running.push(tokio::task::spawn_local(async move {
                for key in keys {
                    worker.fill(key).await?;
                }
                Ok::<(), String>(())
            }));
        }
        for task in running {
            let filled = task.await.unwrap_or_else(|error| Err(error.to_string()));
            filled.map_err(|kind| {
                Exit::unreachable(format!("the keys to read could not be written: {kind}"))
            })?;
        }
        Ok(())
    })
}

/// At the first signal the clients end and what they counted is shown.
fn listen_for_stop(shared: &Arc<Shared>) {
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        let Ok(runtime) = Builder::new_current_thread().enable_all().build() else {
            return;
        };
        runtime.block_on(async {
            if let Ok(stop) = signals::shutdown() {
                stop.await;
                shared.stop.store(true, Ordering::Relaxed);
                // A second signal ends the process from the task that still listens.
                std::future::pending::<()>().await;
            }
        });
    });
}

fn thread_count(clients: usize) -> usize {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    cores.min(clients).max(1)
}
