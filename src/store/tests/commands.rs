//! The encoding of commands.

use proptest::prelude::*;

use super::arbitrary::entry;
use super::codec::{decode_command, decode_stamped, encode_command, encode_stamped, entry as wrap};
use super::*;

proptest! {
    #[test]
    fn commands_return(stamped in entry(), cut in any::<prop::sample::Index>()) {
        let bytes = encode_stamped(&stamped);
        prop_assert_eq!(decode_stamped(&bytes), Ok(stamped.clone()));
        let body = encode_command(&stamped.command);
        prop_assert_eq!(decode_command(&body), Ok(stamped.command.clone()));
        prop_assert_eq!(&wrap(stamped.stamp, stamped.id, &body), &bytes);
        prop_assert!(decode_stamped(&bytes[..cut.index(bytes.len())]).is_err());
        prop_assert!(decode_stamped(&[&bytes[..], b"x"].concat()).is_err());
    }

    #[test]
    fn no_bytes_panic(
        stamped in entry(),
        place in any::<prop::sample::Index>(),
        byte: u8,
        noise in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let _ = decode_command(&noise);
        let mut bytes = encode_stamped(&stamped).to_vec();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        if let Ok(stamped) = decode_stamped(&bytes) {
            prop_assert_eq!(encode_stamped(&stamped), bytes, "one command, one form");
        }
    }
}

#[test]
fn the_longest_time_to_live_returns() {
    let command = Command::Set {
        path: path("/a"),
        content: value("1"),
        ttl: Some(Duration::MAX),
    };
    assert_eq!(decode_command(&encode_command(&command)), Ok(command));
}

#[test]
fn values_do_not_keep_the_buffer() {
    let bytes = encode_command(&set("/a", "value"));
    let Ok(Command::Set {
        content: Content::Value(value),
        ..
    }) = decode_command(&bytes)
    else {
        panic!("it is a set");
    };
    let buffer = bytes.as_ptr_range();
    assert!(!buffer.contains(&value.as_ptr()));
}
