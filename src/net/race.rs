//! The first good answer of several contacts, some of which may be dead.
//!
//! They are asked in order, each a little later than the one before: the first one that lives is the one that
//! answers, and a dead one costs that little and not the time until it is given up.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::cluster::Address;

/// How long a contact may stay silent before the next one is asked as well.
const HEAD_START: Duration = Duration::from_millis(250);

/// How many are asked at the same time; the next one waits until one of them has ended.
const AT_ONCE_MAX: usize = 8;

/// Ask `contacts` until one gives a good answer, which ends the questions to the others.
///
/// # Errors
///
/// What each made of it, in the order of `contacts`: none gave a good answer.
pub async fn staggered_race<T, N, F>(
    contacts: &[Address],
    ask: impl Fn(Address) -> F,
) -> Result<T, Vec<N>>
where
    T: Send + 'static,
    N: Send + 'static,
    F: Future<Output = Result<T, N>> + Send + 'static,
{
    let mut left = contacts.iter().enumerate();
    let mut asked = JoinSet::new();
    let mut no_good = Vec::new();
    loop {
        if asked.len() < AT_ONCE_MAX
            && let Some((place, contact)) = left.next()
        {
            let asking = ask(contact.clone());
            asked.spawn(async move { (place, asking.await) });
        }
        match timeout(HEAD_START, asked.join_next()).await {
            Ok(Some(Ok((_, Ok(good))))) => return Ok(good),
            Ok(Some(Ok((place, Err(bad))))) => no_good.push((place, bad)),
            // It broke down, which is an answer of no use either; or it is time for the next one.
            Ok(Some(Err(_))) | Err(_) => {}
            Ok(None) => break,
        }
    }
    no_good.sort_by_key(|(place, _)| *place);
    Err(no_good.into_iter().map(|(_, bad)| bad).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::time::{Instant, sleep};

    use super::*;

    /// Longer than any test may take.
    const FOREVER: Duration = Duration::from_secs(3600);

    fn contacts(count: u16) -> Vec<Address> {
        let contact = |number| Address::parse(&format!("127.0.0.1:{}", 1 + number));
        (0..count)
            .map(|number| contact(number).expect("an address"))
            .collect()
    }

    #[tokio::test]
    async fn the_dead_are_not_waited_for() {
        let begun = Instant::now();
        let contacts = contacts(5);
        let good = staggered_race(&contacts, |contact| async move {
            if contact.port < 5 {
                sleep(FOREVER).await;
            }
            Ok::<u16, ()>(contact.port)
        });
        assert_eq!(good.await, Ok(5));
        assert!(begun.elapsed() < FOREVER / 100);
    }

    #[tokio::test]
    async fn who_answers_at_once_is_the_only_one_asked() {
        let count = Arc::new(AtomicUsize::new(0));
        let contacts = contacts(3);
        let good = staggered_race(&contacts, |contact| {
            count.fetch_add(1, Ordering::Relaxed);
            async move { Ok::<u16, ()>(contact.port) }
        });
        assert_eq!(good.await, Ok(1));
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn what_is_wrong_comes_in_order_and_few_are_asked_at_once() {
        let now = Arc::new(AtomicUsize::new(0));
        let most = Arc::new(AtomicUsize::new(0));
        let contacts = contacts(20);
        let bad = staggered_race(&contacts, |contact| {
            let (now, most) = (now.clone(), most.clone());
            async move {
                let together = now.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(together, Ordering::SeqCst);
                if contact.port.is_multiple_of(2) {
                    sleep(HEAD_START * 3).await;
                }
                now.fetch_sub(1, Ordering::SeqCst);
                Err::<(), u16>(contact.port)
            }
        });
        assert_eq!(bad.await, Err((1..=20).collect()));
        assert!(most.load(Ordering::SeqCst) <= AT_ONCE_MAX);
        assert_eq!(
            staggered_race(&[], |_| async { Ok::<(), ()>(()) }).await,
            Err(Vec::new())
        );
    }
}
