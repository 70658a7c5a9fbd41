//! Images of the store.

use proptest::prelude::*;

use super::arbitrary::{entry, log};
use super::image::{Decoder, ImageError, decode, encode, hash};
use super::*;

fn replayed(log: &[Stamped]) -> Store {
    let mut store = Store::new(HistoryLimits::default());
    for entry in log {
        let _ = store.apply(entry, &mut Vec::new());
    }
    store
}

fn bytes(store: &Store) -> Vec<u8> {
    encode(store).collect::<Vec<_>>().concat()
}

#[test]
fn an_image_has_magic_and_version() {
    let image = bytes(&replayed(&[]));
    let limits = HistoryLimits::default();
    assert!(decode(&image, limits).is_ok());
    assert_eq!(
        decode(b"something else", limits).err(),
        Some(ImageError::Foreign)
    );
    let mut newer = image.clone();
    newer[8] = 2;
    let error = decode(&newer, limits).err().expect("it is newer");
    assert_eq!(error, ImageError::Version(2));
    assert_eq!(
        error.to_string(),
        "the image of the store has format 2; this version reads format 1"
    );
    let longer = [&image[..], b"x"].concat();
    assert!(matches!(
        decode(&longer, limits),
        Err(ImageError::Malformed(_))
    ));
}

#[test]
fn a_large_store_has_many_chunks() {
    let mut run = Run::new();
    for number in 0..300 {
        run.done(set(&format!("/{number}"), &"x".repeat(1000)));
    }
    let chunks: Vec<_> = encode(&run.store).collect();
    assert!(chunks.len() > 5);
    let small = HistoryLimits {
        events: 7,
        bytes: usize::MAX,
    };
    let store = decode(&chunks.concat(), small).expect("an image");
    assert_eq!((hash(&store), store.history.len()), (hash(&run.store), 7));
}

#[test]
fn a_clone_does_not_change() {
    let mut run = Run::new();
    for number in 0..100 {
        run.done(set_for(&format!("/{number}"), "before", 5));
    }
    let snapshot = run.store.clone();
    let before = bytes(&snapshot);
    for number in 0..100 {
        run.done(set(&format!("/{number}"), "after"));
    }
    run.done(delete("/7"));
    assert_eq!(bytes(&snapshot), before);
    assert_ne!(bytes(&run.store), before);
}

#[test]
fn counters_continue_in_a_new_store() {
    let mut run = Run::new();
    run.done(set("/a", "1"));
    let mut store = decode(&bytes(&run.store), HistoryLimits::default()).expect("an image");
    assert_eq!(store.counters(), Counts::default());
    store.keep_counting(&run.store);
    assert_eq!(store.counters().sets_success, 1);
}

#[test]
fn the_whole_replicated_state_is_in_the_hash() {
    let tick = |seconds: u64, command: Command| Stamped {
        stamp: ClusterTime::from_nanos(seconds * 1_000_000_000),
        id: None,
        command,
    };
    let base = vec![tick(1, set_for("/a", "1", 5))];
    let mut hashes = vec![hash(&replayed(&[])), hash(&replayed(&base))];
    let member = crate::cluster::MemberId::new(1).expect("not zero");
    let more = [
        tick(2, Command::Tick),
        tick(1, set("/a", "1")),
        tick(1, set_for("/a", "1", 5)),
        tick(1, set_for("/b", "1", 5)),
        tick(1, delete("/a")),
        tick(1, Command::PutSettings(Bytes::from_static(b"1"))),
        Stamped {
            id: Some(CommandId {
                member,
                sequence: 1,
            }),
            ..tick(1, Command::Tick)
        },
    ];
    for entry in more {
        let mut log = base.clone();
        log.push(entry);
        hashes.push(hash(&replayed(&log)));
    }
    let count = hashes.len();
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), count);
}

proptest! {
    #[test]
    fn a_store_and_its_image_go_on_alike(
        before in log(),
        after in log(),
        sizes in prop::collection::vec(1usize..200, 1..9),
    ) {
        let mut store = replayed(&before);
        let image = bytes(&store);
        prop_assert_eq!(&image, &bytes(&replayed(&before)), "the same log, the same bytes");
        let mut decoder = Decoder::new(HistoryLimits::default());
        let (mut rest, mut sizes) = (&image[..], sizes.iter().cycle());
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(rest.len().min(*sizes.next().expect("a cycle")));
            prop_assert_eq!(decoder.feed(piece), Ok(()));
            rest = more;
        }
        let mut copy = decoder.finish().expect("all of it was fed");
        prop_assert_eq!(hash(&copy), hash(&store));
        prop_assert_eq!(&bytes(&copy), &image);
        for entry in &after {
            let (mut events, mut copied) = (Vec::new(), Vec::new());
            prop_assert_eq!(store.apply(entry, &mut events), copy.apply(entry, &mut copied));
            prop_assert_eq!(events, copied);
        }
        prop_assert_eq!(bytes(&copy), bytes(&store));
        prop_assert_eq!(copy.next_deadline(), store.next_deadline());
    }

    #[test]
    fn damage_is_an_error_and_never_a_panic(
        log in log(),
        cut in any::<prop::sample::Index>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        next in entry(),
    ) {
        let image = bytes(&replayed(&log));
        let limits = HistoryLimits::default();
        prop_assert!(decode(&image[..cut.index(image.len())], limits).is_err());
        let mut damaged = image;
        for (place, byte) in flips {
            let place = place.index(damaged.len());
            damaged[place] = byte;
        }
        if let Ok(mut store) = decode(&damaged, limits) {
            let _ = store.apply(&next, &mut Vec::new());
            let again = bytes(&store);
            prop_assert!(decode(&again, limits).is_ok());
        }
    }
}
