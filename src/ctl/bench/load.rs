//! A run: threads, each with its share of the clients.

use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Instant;

use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

use super::client::{Shared, Worker};
use super::failure::Failure;
use super::outcome::Outcome;
use super::{Plan, Workload, progress, watch};
use crate::ctl::Exit;
use crate::host::signals;
use crate::net::tls::Connector;

/// Write the keys if the workload reads them, then measure.
///
/// # Errors
///
/// The keys cannot be written, or there is no runtime.
pub(super) fn run(plan: &Plan, tls: &Connector) -> Result<Outcome, Exit> {
    if plan.workload.reads() {
        fill(plan, tls)?;
    }
    let shared = Shared::new(plan, tls);
    stop_on_signal(&shared);
    let started = Instant::now();
    let mut outcome = Outcome::default();
    let (finished, results) = mpsc::channel();
    let threads = thread_count(plan.clients);
    for number in 0..threads {
        let (shared, finished) = (Arc::clone(&shared), finished.clone());
        thread::spawn(move || {
            let clients = (number..shared.plan.clients).step_by(threads);
            // The receiver is gone only after an error.
            let _ = finished.send(run_clients(&shared, clients));
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
fn run_clients(
    shared: &Arc<Shared>,
    clients: impl Iterator<Item = usize>,
) -> Result<Outcome, Exit> {
    let runtime = runtime()?;
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
                running.push(tokio::task::spawn_local(watch::watch(worker)));
            } else {
                running.push(tokio::task::spawn_local(worker.run()));
            }
        }
        let mut total = Outcome::default();
        for task in running {
            match task.await {
                Ok(outcome) => total.merge(outcome),
                Err(_) => total.fail(&Failure::Panicked),
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
    let runtime = runtime()?;
    LocalSet::new().block_on(&runtime, async {
        let mut running = Vec::new();
        for number in 0..CLIENTS.min(plan.keys) {
            let mut worker = Worker::new(&shared, usize::try_from(number).unwrap_or(0));
            let keys = (number..plan.keys).step_by(usize::try_from(CLIENTS).unwrap_or(1));
            running.push(tokio::task::spawn_local(async move {
                for key in keys {
                    worker.fill(key).await?;
                }
                Ok::<(), Failure>(())
            }));
        }
        for task in running {
            let filled = task.await.unwrap_or(Err(Failure::Panicked));
            filled.map_err(|failure| {
                Exit::unreachable(format!("cannot write the keys to read: {failure}"))
            })?;
        }
        Ok(())
    })
}

/// At the first signal the clients end and the report is printed.
fn stop_on_signal(shared: &Arc<Shared>) {
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        let Ok(runtime) = Builder::new_current_thread().enable_all().build() else {
            return;
        };
        runtime.block_on(async {
            if let Ok(stop) = signals::shutdown() {
                stop.await;
                shared.stop.store(true, Ordering::Relaxed);
                // The signal handler ends the process at a second signal.
                std::future::pending::<()>().await;
            }
        });
    });
}

fn thread_count(clients: usize) -> usize {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    cores.min(clients).max(1)
}

fn runtime() -> Result<Runtime, Exit> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Exit::unreachable(format!("cannot start the runtime: {error}")))
}
