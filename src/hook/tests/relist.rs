use super::super::ledger::KnownKeys;
use super::super::relist::{Listing, Selection};
use crate::client::Node;

fn tree() -> Node {
    serde_json::from_str(
        r#"{"key":"/w","dir":true,"modifiedIndex":3,"createdIndex":3,"nodes":[
            {"key":"/w/a","value":"1","modifiedIndex":40,"createdIndex":4},
            {"key":"/w/b","value":"2","modifiedIndex":5,"createdIndex":5,"ttl":9,"expiration":"2026-01-01T00:00:00Z"},
            {"key":"/w/empty","dir":true,"modifiedIndex":41,"createdIndex":41},
            {"key":"/w/d","dir":true,"modifiedIndex":39,"createdIndex":39,"nodes":[
                {"key":"/w/d/k","value":"3","modifiedIndex":39,"createdIndex":39}]}]}"#,
    )
    .expect("a tree")
}

fn shown(listing: &Listing, known: &KnownKeys, selection: Selection) -> Vec<String> {
    let items = listing.changes(known, selection);
    let show = |item: &super::super::queue::Item| {
        let event = &item.change.event;
        format!(
            "{} {} {}",
            event.action, event.node.key, event.node.modified_index
        )
    };
    items.iter().map(show).collect()
}

fn known(keys: &[(&str, u64)]) -> KnownKeys {
    keys.iter()
        .map(|(key, index)| ((*key).to_owned(), *index))
        .collect()
}

#[test]
fn changed_and_removed_keys_are_listed() {
    let listing = Listing::new(50, Some(tree()), true);
    let known = known(&[
        ("/w", 3),
        ("/w/a", 4),
        ("/w/b", 5),
        ("/w/gone", 6),
        ("/w/gone/child", 7),
    ]);
    assert_eq!(
        shown(&listing, &known, Selection::Changed),
        [
            "delete /w/gone/child 50",
            "delete /w/gone 50",
            "set /w/d/k 39",
            "set /w/a 40",
            "set /w/empty 41",
        ]
    );
    // Afterwards there are no more changes.
    assert_eq!(
        shown(&listing, &listing.known_at(50), Selection::Changed),
        [""; 0]
    );
}

#[test]
fn all_keys_are_listed_at_start() {
    let listing = Listing::new(50, Some(tree()), true);
    let all = [
        "get /w/b 5",
        "get /w/d/k 39",
        "get /w/a 40",
        "get /w/empty 41",
    ];
    assert_eq!(shown(&listing, &KnownKeys::new(), Selection::All), all);
}

#[test]
fn without_recursive_only_the_key_itself_is_listed() {
    let listing = Listing::new(50, Some(tree()), false);
    assert_eq!(listing.known_at(50), known(&[("/w", 3)]));
    let gone = Listing::new(60, None, false);
    assert_eq!(
        shown(&gone, &known(&[("/w", 3)]), Selection::Changed),
        ["delete /w 60"]
    );
}

#[test]
fn later_keys_are_not_known() {
    let listing = Listing::new(50, Some(tree()), true);
    assert_eq!(listing.known_at(10), known(&[("/w", 3), ("/w/b", 5)]));
}

#[test]
fn the_json_is_that_of_an_event() {
    let listing = Listing::new(50, Some(tree()), true);
    let items = listing.changes(&KnownKeys::new(), Selection::Changed);
    for item in items {
        let read: crate::client::Event = serde_json::from_slice(&item.change.json).expect("JSON");
        assert_eq!(read, item.change.event);
        assert_eq!(item.position, 50);
    }
}
