//! Which events match, live and in the history.

use proptest::prelude::*;

use super::arbitrary::{key, log};
use super::*;

fn interest(key: &str, recursive: bool) -> Interest {
    Interest {
        path: path(key),
        recursive,
    }
}

fn heard(run: &Run, interest: &Interest, since: u64) -> Vec<u64> {
    let past = run
        .store
        .history_since(interest, since, usize::MAX)
        .expect("it is whole");
    assert_eq!(past.resume_at, None);
    past.events.iter().map(|event| event.index()).collect()
}

#[test]
fn an_interest_matches_its_key_keys_below_and_the_removal_of_a_directory_above() {
    let mut run = Run::new();
    run.done(set("/d/k", "1"));
    run.done(set("/d/_h/x", "2"));
    run.done(set("/dd", "3"));
    run.done(delete_all("/d"));
    for (key, recursive, indices) in [
        ("/d/k", false, &[1, 4][..]),
        ("/d", false, &[4]),
        ("/d", true, &[1, 4]),
        ("/", true, &[1, 3, 4]),
        ("/", false, &[]),
        ("/d/_h", false, &[4]),
        ("/d/_h", true, &[2, 4]),
        ("/d/_h/x", false, &[2, 4]),
        ("/d/none", true, &[]),
    ] {
        assert_eq!(
            heard(&run, &interest(key, recursive), 1),
            indices,
            "{key} {recursive}"
        );
    }
    assert_eq!(heard(&run, &interest("/", true), 3), [3, 4]);
    assert!(heard(&run, &interest("/", true), 99).is_empty());
}

#[test]
fn an_index_that_was_dropped_is_an_error() {
    let mut run = Run::with(HistoryLimits {
        events: 3,
        bytes: usize::MAX,
    });
    for text in ["1", "2", "3", "4", "5"] {
        run.done(set("/a", text));
    }
    let error = run.store.history_since(&interest("/a", false), 2, 1);
    let expected = Error {
        code: Code::EventIndexCleared,
        cause: "the requested history has been cleared [3/2]".to_owned(),
        index: 5,
    };
    assert_eq!(error, Err(expected));
    assert_eq!(heard(&run, &interest("/a", false), 3), [3, 4, 5]);
}

#[test]
fn history_is_bounded_in_bytes_too() {
    let mut run = Run::with(HistoryLimits {
        events: usize::MAX,
        bytes: 5000,
    });
    for _ in 0..50 {
        run.done(set("/a", &"x".repeat(1000)));
    }
    // 256 and 2 for each, and 1000 twice but for the first: two fit.
    assert_eq!(heard(&run, &interest("/a", false), 49), [49, 50]);
    assert!(
        run.store
            .history_since(&interest("/a", false), 48, 1)
            .is_err()
    );
    run.done(set("/a", &"x".repeat(6000)));
    assert_eq!(run.store.history.len(), 0, "one event can be too much");
    assert!(
        run.store
            .history_since(&interest("/a", false), 51, 1)
            .is_err()
    );
    assert!(heard(&run, &interest("/a", false), 52).is_empty());
}

#[test]
fn a_long_history_is_returned_in_parts() {
    let mut run = Run::new();
    for number in 0..history::SCAN_MAX + 10 {
        run.done(set(
            if number % 1000 == 0 {
                "/rare"
            } else {
                "/often"
            },
            "",
        ));
    }
    for (asked, limit, calls) in [("/rare", 4, 7), ("/rare", 1000, 2), ("/often", 10_000, 3)] {
        let (mut since, mut count, mut seen) = (Some(1), 0, 0);
        while let Some(from) = since {
            let past = run
                .store
                .history_since(&interest(asked, false), from, limit)
                .expect("whole");
            assert!(
                past.events.len() <= limit && past.events.iter().all(|event| event.index() >= from)
            );
            seen += past.events.len();
            since = past.resume_at;
            count += 1;
        }
        let all = heard_in_all(&run, asked);
        assert_eq!((seen, count), (all, calls), "{asked} {limit}");
    }
}

fn heard_in_all(run: &Run, key: &str) -> usize {
    run.store
        .history
        .events()
        .filter(|event| event.node.path == path(key))
        .count()
}

#[test]
fn watchers_match_once_or_always_and_not_below_their_index() {
    let mut run = Run::new();
    let mut hub = WatcherIndex::new();
    hub.add(1, &interest("/a", false), 0, false);
    hub.add(2, &interest("/", true), 0, true);
    hub.add(3, &interest("/a", false), 3, false);
    hub.add(4, &interest("/b", false), 0, true);
    let told = |hub: &mut WatcherIndex, run: &mut Run, command: Command| {
        let event = run.done(command);
        let mut matches = vec![99];
        hub.matches(&event, &mut matches);
        matches.sort_unstable();
        matches
    };
    assert_eq!(told(&mut hub, &mut run, set("/a", "1")), [1, 2, 99]);
    assert_eq!(told(&mut hub, &mut run, set("/a", "2")), [2, 99]);
    assert_eq!(told(&mut hub, &mut run, set("/a", "3")), [2, 3, 99]);
    assert_eq!(hub.len(), 2);
    assert!(hub.remove(2) && !hub.remove(2));
    hub.add(4, &interest("/c", false), 0, true);
    assert_eq!(told(&mut hub, &mut run, set("/b", "1")), [99]);
    assert_eq!(told(&mut hub, &mut run, set("/c", "1")), [4, 99]);
    assert!(hub.remove(4) && hub.is_empty());
}

proptest! {
    #[test]
    fn what_is_heard_live_is_heard_afterwards(
        log in log(),
        keys in prop::collection::vec((key(), any::<bool>(), 1u64..20), 1..8),
    ) {
        let mut run = Run::new();
        let mut hub = WatcherIndex::new();
        let interests: Vec<_> = keys
            .into_iter()
            .map(|(path, recursive, since)| (Interest { path, recursive }, since))
            .collect();
        for (id, (interest, since)) in (0..).zip(&interests) {
            hub.add(id, interest, *since, true);
            hub.add(id + 100, interest, *since, false);
        }
        let mut live = vec![Vec::new(); interests.len()];
        let mut once = vec![Vec::new(); interests.len()];
        for entry in &log {
            run.events.clear();
            let _ = run.store.apply(entry, &mut run.events);
            for event in &run.events {
                let mut matches = Vec::new();
                hub.matches(event, &mut matches);
                for (id, heard) in (0..).zip(&mut live) {
                    heard.extend(matches.iter().filter(|hearer| **hearer == id).map(|_| event.index()));
                }
                for (id, heard) in (100..).zip(&mut once) {
                    heard.extend(matches.iter().filter(|hearer| **hearer == id).map(|_| event.index()));
                }
            }
        }
        for ((interest, since), (live, once)) in interests.iter().zip(live.iter().zip(&once)) {
            prop_assert_eq!(&heard(&run, interest, *since), live);
            prop_assert_eq!(live.first(), once.first());
            prop_assert!(once.len() <= 1);
        }
    }
}
