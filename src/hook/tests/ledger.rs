use proptest::prelude::*;

use super::super::ledger::{KeyUpdate, KnownKeys, Ledger};
use super::{removed_directory, set};

fn above(ledger: &Ledger) -> Vec<u64> {
    ledger.above().collect()
}

#[test]
fn handled_rises_with_the_oldest_change() {
    let mut ledger = Ledger::new(10, [], KnownKeys::new());
    for position in [12, 15, 20] {
        assert!(ledger.take(position));
    }
    assert_eq!(ledger.handled(), 11);
    ledger.complete(15, &KeyUpdate::Set("/b".into(), 15));
    assert_eq!((ledger.handled(), above(&ledger)), (11, vec![15]));
    ledger.complete(12, &KeyUpdate::Set("/a".into(), 12));
    assert_eq!((ledger.handled(), above(&ledger)), (19, vec![]));
    ledger.complete(20, &KeyUpdate::Removed("/a".into()));
    assert_eq!((ledger.handled(), ledger.taken()), (20, 20));
    assert_eq!(ledger.known(), &KnownKeys::from([("/b".into(), 15)]));
}

#[test]
fn handled_changes_are_not_taken_again_after_a_restart() {
    let mut ledger = Ledger::new(11, [15, 17], KnownKeys::new());
    assert!(ledger.take(12));
    assert!(!ledger.take(15));
    assert!(ledger.take(16));
    assert!(!ledger.take(17));
    assert!(!ledger.take(11));
    ledger.complete(12, &KeyUpdate::Set("/a".into(), 12));
    assert_eq!(ledger.handled(), 15);
    ledger.complete(16, &KeyUpdate::Set("/a".into(), 16));
    assert_eq!(ledger.handled(), 17);
}

#[test]
fn a_shared_position_is_handled_with_its_last_change() {
    let mut ledger = Ledger::new(5, [], KnownKeys::new());
    ledger.take(30);
    ledger.take(30);
    ledger.complete(30, &KeyUpdate::Set("/a".into(), 7));
    assert_eq!((ledger.handled(), above(&ledger)), (29, vec![]));
    ledger.complete(30, &KeyUpdate::Set("/b".into(), 8));
    assert_eq!(ledger.handled(), 30);
}

#[test]
fn handled_rises_without_changes() {
    let mut ledger = Ledger::new(5, [], KnownKeys::new());
    ledger.skip_to(900);
    assert_eq!(ledger.handled(), 900);
    ledger.take(901);
    ledger.skip_to(2000);
    assert_eq!(ledger.handled(), 900);
}

#[test]
fn a_removed_directory_removes_the_keys_below() {
    let known = ["/d", "/d/a", "/d/b/c", "/da"].map(|key| (key.to_owned(), 1));
    let mut ledger = Ledger::new(1, [], KnownKeys::from(known));
    ledger.apply(&KeyUpdate::from_change(&removed_directory("/d", 2).change));
    ledger.apply(&KeyUpdate::from_change(&set("/e", 3).change));
    let left: Vec<&String> = ledger.known().keys().collect();
    assert_eq!(left, ["/da", "/e"]);
}

proptest! {
    /// In any order of completion, handled is the index below the oldest open change.
    #[test]
    fn nothing_open_is_ever_below_handled(order in Just((1_u64..30).collect::<Vec<u64>>()).prop_shuffle()) {
        let mut ledger = Ledger::new(0, [], KnownKeys::new());
        for position in 1..30 {
            ledger.take(position);
        }
        let mut open: Vec<u64> = (1..30).collect();
        for position in order {
            ledger.complete(position, &KeyUpdate::Set("/a".into(), position));
            open.retain(|other| *other != position);
            prop_assert_eq!(ledger.handled(), open.first().map_or(29, |first| first - 1));
            let expected: Vec<u64> =
                (ledger.handled() + 1..30).filter(|position| !open.contains(position)).collect();
            prop_assert_eq!(above(&ledger), expected);
        }
    }
}
