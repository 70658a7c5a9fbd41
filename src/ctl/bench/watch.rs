//! The watch workload: the time from sending a write until each watcher has its event.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Limit;
use super::client::Worker;
use super::failure::Failure;
use super::outcome::Outcome;

/// The number in the value of a write that is not measured.
const UNMEASURED: u64 = 0;

/// The number in the value of the last write.
const LAST: u64 = u64::MAX;

/// A watcher: the latency of every event counts from the start of its write, until the last event.
pub(super) async fn watch(mut worker: Worker) -> Outcome {
    let shared = Arc::clone(&worker.shared);
    let mut since = match write_stamp(&mut worker, UNMEASURED).await {
        Ok(index) => index + 1,
        Err(failure) => {
            worker.outcome.fail(&failure);
            return worker.outcome;
        }
    };
    loop {
        let result = worker
            .request(|requests, member| requests.watch(member, since))
            .await;
        match result {
            Ok(summary) => {
                since = summary.index + 1;
                match summary.stamp {
                    Some(LAST) => break,
                    None | Some(UNMEASURED) => {}
                    Some(stamp) => {
                        let sent_at = shared.start + Duration::from_nanos(stamp);
                        worker.count(sent_at, Ok(())).await;
                    }
                }
            }
            // The last write may have been missed.
            Err(_) if shared.is_over() => break,
            Err(failure) => {
                worker.count(Instant::now(), Err(failure)).await;
                // The event history may be cleared: continue at the current index.
                if let Ok(index) = write_stamp(&mut worker, UNMEASURED).await {
                    since = index + 1;
                }
            }
        }
    }
    worker.outcome
}

/// The writer of the watched key. Its own requests are not counted.
pub(super) async fn write(mut worker: Worker) -> Outcome {
    let shared = Arc::clone(&worker.shared);
    loop {
        let due = match shared.plan.rate {
            Some(_) => shared.next_due().await,
            None => (!shared.is_over()).then(Instant::now),
        };
        let Some(due) = due else {
            break;
        };
        let stamp = due.saturating_duration_since(shared.start).as_nanos();
        let stamp = u64::try_from(stamp).unwrap_or(LAST).clamp(1, LAST - 1);
        if let Err(failure) = write_stamp(&mut worker, stamp).await {
            worker.outcome.fail(&Failure::Write(Box::new(failure)));
            shared.failed.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(RETRY_AFTER).await;
        }
    }
    if let Limit::Duration(duration) = shared.plan.limit {
        tokio::time::sleep(duration.saturating_sub(shared.start.elapsed())).await;
    }
    shared.stop.store(true, Ordering::Relaxed);
    if let Err(failure) = write_stamp(&mut worker, LAST).await {
        worker.outcome.fail(&Failure::Write(Box::new(failure)));
    }
    worker.outcome
}

/// The delay of the writer after a failure.
const RETRY_AFTER: Duration = Duration::from_millis(20);

/// Write the watched key; returns the index of the change.
async fn write_stamp(worker: &mut Worker, stamp: u64) -> Result<u64, Failure> {
    worker
        .request(|requests, member| requests.put_stamp(member, stamp))
        .await
        .map(|summary| summary.index)
}
