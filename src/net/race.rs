//! The first success among several hosts, some of which may be down.
//!
//! The hosts are tried in order, each a short time after the one before, so that a host that is down delays the
//! result by this short time only and not by a timeout.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::cluster::Address;

/// The delay before the next host is tried as well.
const HEAD_START: Duration = Duration::from_millis(250);

/// The number of hosts that are tried at the same time; the next one waits until one of them has ended.
const CONCURRENT_MAX: usize = 8;

/// Try `hosts` until one succeeds; the attempts at the others are dropped then.
///
/// # Errors
///
/// No host succeeded: the error of each, in the order of `hosts`.
pub async fn staggered_race<T, E, F>(
    hosts: &[Address],
    attempt: impl Fn(Address) -> F,
) -> Result<T, Vec<E>>
where
    T: Send + 'static,
    E: Send + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
{
    let mut remaining = hosts.iter().enumerate();
    let mut running = JoinSet::new();
    let mut errors = Vec::new();
    loop {
        if running.len() < CONCURRENT_MAX
            && let Some((index, host)) = remaining.next()
        {
            let attempt = attempt(host.clone());
            running.spawn(async move { (index, attempt.await) });
        }
        match timeout(HEAD_START, running.join_next()).await {
            Ok(Some(Ok((_, Ok(value))))) => return Ok(value),
            Ok(Some(Ok((index, Err(error))))) => errors.push((index, error)),
            // The attempt panicked, or it is time for the next one.
            Ok(Some(Err(_))) | Err(_) => {}
            Ok(None) => break,
        }
    }
    errors.sort_by_key(|(index, _)| *index);
    Err(errors.into_iter().map(|(_, error)| error).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::time::{Instant, sleep};

    use super::*;

    /// Longer than any test may take.
    const FOREVER: Duration = Duration::from_secs(3600);

    fn hosts(count: u16) -> Vec<Address> {
        let host = |number| Address::parse(&format!("127.0.0.1:{}", 1 + number));
        (0..count)
            .map(|number| host(number).expect("an address"))
            .collect()
    }

    #[tokio::test]
    async fn a_host_that_is_down_causes_no_timeout() {
        let begun = Instant::now();
        let hosts = hosts(5);
        let good = staggered_race(&hosts, |host| async move {
            if host.port < 5 {
                sleep(FOREVER).await;
            }
            Ok::<u16, ()>(host.port)
        });
        assert_eq!(good.await, Ok(5));
        assert!(begun.elapsed() < FOREVER / 100);
    }

    #[tokio::test]
    async fn after_a_quick_success_no_other_host_is_tried() {
        let count = Arc::new(AtomicUsize::new(0));
        let hosts = hosts(3);
        let good = staggered_race(&hosts, |host| {
            count.fetch_add(1, Ordering::Relaxed);
            async move { Ok::<u16, ()>(host.port) }
        });
        assert_eq!(good.await, Ok(1));
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn errors_are_in_order_and_attempts_are_bounded() {
        let now = Arc::new(AtomicUsize::new(0));
        let most = Arc::new(AtomicUsize::new(0));
        let hosts = hosts(20);
        let bad = staggered_race(&hosts, |host| {
            let (now, most) = (now.clone(), most.clone());
            async move {
                let together = now.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(together, Ordering::SeqCst);
                if host.port.is_multiple_of(2) {
                    sleep(HEAD_START * 3).await;
                }
                now.fetch_sub(1, Ordering::SeqCst);
                Err::<(), u16>(host.port)
            }
        });
        assert_eq!(bad.await, Err((1..=20).collect()));
        assert!(most.load(Ordering::SeqCst) <= CONCURRENT_MAX);
        assert_eq!(
            staggered_race(&[], |_| async { Ok::<(), ()>(()) }).await,
            Err(Vec::new())
        );
    }
}
