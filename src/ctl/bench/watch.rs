//! The watch workload: how long after a change was asked for its watchers know.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Limit;
use super::load::{Outcome, Worker};

/// The stamp of writes that are not measured.
const UNMEASURED: u64 = 0;

/// The stamp of the last write.
const LAST: u64 = u64::MAX;

/// One client watches: every event counts, from when its writer began to write it, until the last.
pub(super) async fn listen(mut worker: Worker) -> Outcome {
    let shared = Arc::clone(&worker.shared);
    let mut since = match write_stamp(&mut worker, UNMEASURED).await {
        Ok(index) => index + 1,
        Err(kind) => {
            worker.outcome.fail(kind);
            return worker.outcome;
        }
    };
    loop {
        let answered = worker
            .request(|requests, member| requests.watch(member, since))
            .await;
        match answered {
            Ok(answered) => {
                since = answered.index + 1;
                match answered.stamp {
                    Some(LAST) => break,
                    None | Some(UNMEASURED) => {}
                    Some(stamp) => {
                        let begun = shared.start + Duration::from_nanos(stamp);
                        worker.count(begun, Ok(())).await;
                    }
                }
            }
            // The last write may have been missed.
            Err(_) if shared.is_over() => break,
            Err(kind) => {
                worker.count(Instant::now(), Err(kind)).await;
                // Its history may be gone: go on with what comes next.
                if let Ok(index) = write_stamp(&mut worker, UNMEASURED).await {
                    since = index + 1;
                }
            }
        }
    }
    worker.outcome
}

/// One more client writes the key they watch. Its own requests are not counted.
pub(super) async fn write(mut worker: Worker) -> Outcome {
    let shared = Arc::clone(&worker.shared);
    loop {
        let due = match shared.plan.rate {
            Some(_) => shared.turn().await,
            None => (!shared.is_over()).then(Instant::now),
        };
        let Some(due) = due else {
            break;
        };
        let stamp = due.saturating_duration_since(shared.start).as_nanos();
        let stamp = u64::try_from(stamp).unwrap_or(LAST).clamp(1, LAST - 1);
        if let Err(kind) = write_stamp(&mut worker, stamp).await {
            worker.outcome.fail(format!("writing: {kind}"));
            shared.failed.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(PAUSE).await;
        }
    }
    if let Limit::Duration(duration) = shared.plan.limit {
        tokio::time::sleep(duration.saturating_sub(shared.start.elapsed())).await;
    }
    shared.stop.store(true, Ordering::Relaxed);
    if let Err(kind) = write_stamp(&mut worker, LAST).await {
        worker.outcome.fail(format!("writing: {kind}"));
    }
    worker.outcome
}

/// How long the writer waits after a failure.
const PAUSE: Duration = Duration::from_millis(20);

/// Write the key that is watched; gives the index of the change.
async fn write_stamp(worker: &mut Worker, stamp: u64) -> Result<u64, String> {
    worker
        .request(|requests, member| requests.put_stamp(member, stamp))
        .await
        .map(|answered| answered.index)
}
