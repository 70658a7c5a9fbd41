//! JSON as Go's encoder wrote it, so that answers are the same bytes as 0.4.6's.

use bytes::{BufMut, BytesMut};

use crate::store::lossy;

/// For each byte: whether it may not stand in a string as it is.
const SPECIAL: [bool; 256] = special();

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Append `text` as a JSON string, quotes included.
///
/// Besides what JSON asks for, `<`, `>`, `&` and the two Unicode line separators are escaped. Each byte
/// that is not UTF-8 becomes U+FFFD.
pub fn string(out: &mut BytesMut, text: &[u8]) {
    out.reserve(text.len() + 2);
    out.put_u8(b'"');
    escape(out, &lossy(text));
    out.put_u8(b'"');
}

/// Append a whole number.
pub fn integer(out: &mut BytesMut, mut number: u64) {
    // The longest u64 has 20 digits.
    let mut digits = [0; 20];
    let mut free = digits.len();
    for place in digits.iter_mut().rev() {
        *place = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        free -= 1;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(free..).unwrap_or_default());
}

/// Append a number with a fraction: the shortest text that reads back the same, with an exponent below
/// 1e-6 and from 1e21 on. What JSON has no number for is written as 0.
pub fn number(out: &mut BytesMut, number: f64) {
    if !number.is_finite() {
        return out.put_u8(b'0');
    }
    let size = number.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{number:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        out.extend_from_slice(digits.as_bytes());
        out.put_u8(b'e');
        if !exponent.starts_with('-') {
            out.put_u8(b'+');
        }
        out.extend_from_slice(exponent.as_bytes());
    } else {
        out.extend_from_slice(number.to_string().as_bytes());
    }
}

const fn special() -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = true;
        byte += 1;
    }
    table[b'"' as usize] = true;
    table[b'\\' as usize] = true;
    table[b'<' as usize] = true;
    table[b'>' as usize] = true;
    table[b'&' as usize] = true;
    // The first byte of U+2028 and U+2029, and of much else.
    table[0xe2] = true;
    table
}

fn escape(out: &mut BytesMut, text: &str) {
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|&byte| SPECIAL[usize::from(byte)]) {
        let (plain, special) = rest.split_at(at);
        out.extend_from_slice(plain);
        let length = match special {
            [0xe2, 0x80, 0xa8, ..] => put(out, b"\\u2028", 3),
            [0xe2, 0x80, 0xa9, ..] => put(out, b"\\u2029", 3),
            [b'"', ..] => put(out, b"\\\"", 1),
            [b'\\', ..] => put(out, b"\\\\", 1),
            [b'\n', ..] => put(out, b"\\n", 1),
            [b'\r', ..] => put(out, b"\\r", 1),
            [b'\t', ..] => put(out, b"\\t", 1),
            [byte @ 0xe2, ..] => put(out, &[*byte], 1),
            [byte, ..] => {
                let [high, low] = [byte >> 4, byte & 0xf].map(|half| HEX[usize::from(half)]);
                put(out, &[b'\\', b'u', b'0', b'0', high, low], 1)
            }
            [] => 0,
        };
        rest = special.get(length..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

/// Append `bytes`, which stand for `length` bytes of the text.
fn put(out: &mut BytesMut, bytes: &[u8], length: usize) -> usize {
    out.extend_from_slice(bytes);
    length
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn made(make: impl FnOnce(&mut BytesMut)) -> String {
        let mut out = BytesMut::new();
        make(&mut out);
        String::from_utf8(out.to_vec()).expect("UTF-8")
    }

    fn escaped(text: &[u8]) -> String {
        made(|out| string(out, text))
    }

    #[test]
    fn escapes_what_go_escapes() {
        assert_eq!(escaped(b"<b>&"), r#""\u003cb\u003e\u0026""#);
        assert_eq!(escaped(b"\"\\\n\r\t"), r#""\"\\\n\r\t""#);
        assert_eq!(
            escaped(b"\x01\x08\x0b\x0c\x1f\x7f"),
            "\"\\u0001\\u0008\\u000b\\u000c\\u001f\u{7f}\""
        );
        assert_eq!(
            escaped("a\u{2028}b\u{2029}c\u{2027}€".as_bytes()),
            "\"a\\u2028b\\u2029c\u{2027}€\""
        );
    }

    #[test]
    fn each_bad_byte_is_one_replacement() {
        assert_eq!(escaped(b"\xff\xfeabc"), "\"\u{fffd}\u{fffd}abc\"");
        assert_eq!(escaped(b"\xe6\x97"), "\"\u{fffd}\u{fffd}\"");
        assert_eq!(escaped(b"\xed\xa0\x80"), "\"\u{fffd}\u{fffd}\u{fffd}\"");
    }

    #[test]
    fn numbers_look_like_go_numbers() {
        for (value, text) in [
            (0.0, "0"),
            (1800.0, "1800"),
            (99.5, "99.5"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (123_456_789.125, "123456789.125"),
            (0.000_001, "0.000001"),
            (0.000_000_25, "2.5e-7"),
            (f64::NAN, "0"),
        ] {
            assert_eq!(made(|out| number(out, value)), text);
        }
    }

    proptest! {
        #[test]
        fn integers_are_what_they_are(value: u64) {
            prop_assert_eq!(made(|out| integer(out, value)), value.to_string());
        }

        #[test]
        fn strings_read_back(text: String) {
            let read: String = serde_json::from_str(&escaped(text.as_bytes())).expect("JSON");
            prop_assert_eq!(read, text);
        }

        #[test]
        fn any_bytes_make_json(bytes: Vec<u8>) {
            prop_assert!(serde_json::from_str::<String>(&escaped(&bytes)).is_ok());
        }
    }
}
