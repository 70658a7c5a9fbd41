//! The watch workload: how long after a change was asked for its watchers know.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::load::{Outcome, Worker};

/// One client watches: every event counts, from when its writer began to write it.
pub(super) async fn listen(mut worker: Worker) -> Outcome {
    let shared = std::sync::Arc::clone(&worker.shared);
    let mut since = match worker
        .request(|requests, member| requests.put_stamp(member, 0))
        .await
    {
        Ok(answered) => answered.index + 1,
        Err(kind) => {
            worker.outcome.fail(kind);
            return worker.outcome;
        }
    };
    while !shared.is_over() {
        let answered = worker
            .request(|requests, member| requests.watch(member, since))
            .await;
        match answered {
            Ok(answered) => {
                since = answered.index + 1;
                let written = answered.stamp.filter(|stamp| *stamp > 0);
                if let Some(stamp) = written {
                    worker
                        .count(shared.start + Duration::from_nanos(stamp), Ok(()))
                        .await;
                }
            }
            // The writer has ended, and what is left is waiting for nothing.
            Err(_) if shared.is_over() => break,
            Err(kind) => {
                worker.count(Instant::now(), Err(kind)).await;
                // Its history may be gone: go on with what comes next.
                if let Ok(answered) = worker
                    .request(|requests, member| requests.put_stamp(member, 0))
                    .await
                {
                    since = answered.index + 1;
                }
            }
        }
    }
    worker.outcome
}

/// One more client writes the key they watch. Its own requests are not counted.
pub(super) async fn write(mut worker: Worker) -> Outcome {
    let shared = std::sync::Arc::clone(&worker.shared);
    loop {
        let due = if shared.plan.rate.is_some() {
            shared.turn().await
        } else {
            (!shared.is_over()).then(Instant::now)
        };
        let Some(due) = due else {
            break;
        };
        let stamp = due.saturating_duration_since(shared.start).as_nanos();
        let stamp = u64::try_from(stamp).unwrap_or(u64::MAX).max(1);
        let written = worker
            .request(|requests, member| requests.put_stamp(member, stamp))
            .await;
        if let Err(kind) = written {
            worker.outcome.fail(format!("writing: {kind}"));
            shared.failed.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    // One more, so that nobody waits for an event that never comes.
    let _ = worker
        .request(|requests, member| requests.put_stamp(member, 0))
        .await;
    worker.outcome
}
