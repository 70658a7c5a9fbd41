use std::time::{Duration, Instant};

use super::super::queue::{CHANGES_MAX, Completion, Queue, Rules};
use super::{removed_directory, set};

const SECOND: Duration = Duration::from_secs(1);

fn rules(concurrency: usize) -> Rules {
    Rules {
        concurrency,
        debounce: Duration::ZERO,
        retries: 0,
    }
}

/// The indices of all that starts now.
fn started(queue: &mut Queue, now: Instant) -> Vec<u64> {
    std::iter::from_fn(|| queue.start(now))
        .map(|job| job.change.event.node.modified_index)
        .collect()
}

fn finish(queue: &mut Queue, key: &str, now: Instant) {
    assert!(matches!(
        queue.complete(key, true, now),
        Completion::Handled(_)
    ));
    queue.settle(key);
}

#[test]
fn keys_run_concurrently_and_each_in_order() {
    let now = Instant::now();
    let mut queue = Queue::new(rules(3));
    for item in [
        set("/a", 1),
        set("/a", 2),
        set("/b", 3),
        set("/c", 4),
        set("/d", 5),
    ] {
        queue.push(item, now);
    }
    assert_eq!(started(&mut queue, now), [1, 3, 4]);
    finish(&mut queue, "/b", now);
    assert_eq!(started(&mut queue, now), [5]);
    finish(&mut queue, "/a", now);
    assert_eq!(started(&mut queue, now), [2]);
    for key in ["/a", "/c", "/d"] {
        finish(&mut queue, key, now);
    }
    assert!(queue.is_empty());
}

#[test]
fn a_change_occupies_the_queue_until_it_is_settled() {
    let now = Instant::now();
    let mut queue = Queue::new(rules(1));
    queue.push(set("/a", 1), now);
    queue.push(set("/b", 2), now);
    assert_eq!(started(&mut queue, now), [1]);
    assert!(matches!(
        queue.complete("/a", true, now),
        Completion::Handled(_)
    ));
    assert_eq!(started(&mut queue, now), [0; 0]);
    queue.settle("/a");
    assert_eq!(started(&mut queue, now), [2]);
}

#[test]
fn a_directory_stays_in_order_with_the_keys_below() {
    let now = Instant::now();
    let mut queue = Queue::new(rules(9));
    for item in [
        set("/d/a", 1),
        set("/da", 2),
        removed_directory("/d", 3),
        set("/d/a", 4),
        set("/d/b/c", 5),
    ] {
        queue.push(item, now);
    }
    assert_eq!(started(&mut queue, now), [1, 2]);
    finish(&mut queue, "/d/a", now);
    assert_eq!(started(&mut queue, now), [3]);
    finish(&mut queue, "/d", now);
    assert_eq!(started(&mut queue, now), [4, 5]);
}

#[test]
fn retries_have_growing_delays() {
    let mut now = Instant::now();
    let mut queue = Queue::new(Rules {
        retries: 2,
        ..rules(1)
    });
    queue.push(set("/a", 1), now);
    queue.push(set("/a", 2), now);
    queue.push(set("/b", 3), now);
    assert_eq!(started(&mut queue, now), [1]);
    assert_eq!(queue.complete("/a", false, now), Completion::Retry(SECOND));
    // Only its own key waits.
    assert_eq!(started(&mut queue, now), [3]);
    finish(&mut queue, "/b", now);
    assert_eq!(queue.due_at(now), Some(now + SECOND));
    now += SECOND;
    let job = queue.start(now).expect("it is due");
    assert_eq!(job.failures, 1);
    assert_eq!(
        queue.complete("/a", false, now),
        Completion::Retry(2 * SECOND)
    );
    now += 2 * SECOND;
    assert_eq!(started(&mut queue, now), [1]);
    assert_eq!(
        queue.complete("/a", false, now),
        Completion::Failed(vec![set("/a", 1)])
    );
    queue.settle("/a");
    assert_eq!(started(&mut queue, now), [2]);
}

#[test]
fn with_debounce_only_the_latest_change_runs() {
    let begin = Instant::now();
    let mut queue = Queue::new(Rules {
        debounce: SECOND,
        ..rules(1)
    });
    queue.push(set("/a", 1), begin);
    assert_eq!(started(&mut queue, begin), [0; 0]);
    queue.push(set("/a", 2), begin + SECOND / 2);
    assert_eq!(started(&mut queue, begin + SECOND), [0; 0]);
    let due = begin + SECOND * 3 / 2;
    assert_eq!(queue.due_at(begin + SECOND), Some(due));
    assert_eq!(started(&mut queue, due), [2]);
    // Changes that arrive meanwhile run afterwards, and replaced changes count as handled.
    queue.push(set("/a", 3), due);
    queue.push(set("/a", 4), due);
    let handled = Completion::Handled(vec![set("/a", 1), set("/a", 2)]);
    assert_eq!(queue.complete("/a", true, due), handled);
    queue.settle("/a");
    assert_eq!(started(&mut queue, due + SECOND), [4]);
}

#[test]
fn debounce_has_a_maximum_delay() {
    let begin = Instant::now();
    let mut queue = Queue::new(Rules {
        debounce: SECOND,
        ..rules(1)
    });
    let mut now = begin;
    let mut index = 0;
    let first = loop {
        index += 1;
        queue.push(set("/a", index), now);
        now += SECOND / 2;
        if let Some(job) = queue.start(now) {
            break job;
        }
        assert!(now < begin + 20 * SECOND, "it never ran");
    };
    assert!(first.change.event.node.modified_index > 15);
}

#[test]
fn the_queue_has_a_bound() {
    let now = Instant::now();
    let mut queue = Queue::new(rules(1));
    let mut index = 0;
    while queue.has_room() {
        index += 1;
        queue.push(set("/a", index), now);
    }
    assert_eq!(index, CHANGES_MAX as u64);
    assert_eq!(started(&mut queue, now), [1]);
    finish(&mut queue, "/a", now);
    assert!(queue.has_room());
}
