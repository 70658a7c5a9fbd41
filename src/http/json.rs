//! JSON as Go's encoder writes it, so that responses are the same bytes as those of 0.4.6.
//!
//! [`encode`] serializes a struct. Keys and events are written by hand, with [`string`] and [`integer`], because
//! they are most of the traffic: values are copied once, without an intermediate tree.

use std::io;

use bytes::{BufMut, BytesMut};
use serde::Serialize;
use serde_json::ser::{CharEscape, Formatter, Serializer};

use crate::store::lossy;

/// For each byte: whether it may have to be escaped in a string.
const SPECIAL: [bool; 256] = special();

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Serialize `value`, without white space and in the order of its fields.
pub(super) fn encode(value: &impl Serialize) -> BytesMut {
    let mut out = BytesMut::with_capacity(512);
    let mut serializer = Serializer::with_formatter((&mut out).writer(), GoFormatter);
    // Neither writing to memory nor serializing a struct of plain fields can fail.
    let _ = value.serialize(&mut serializer);
    out
}

/// Strings and numbers as Go's encoder writes them.
struct GoFormatter;

impl Formatter for GoFormatter {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut out = BytesMut::with_capacity(fragment.len());
        escape(&mut out, fragment);
        writer.write_all(&out)
    }

    fn write_char_escape<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        char_escape: CharEscape,
    ) -> io::Result<()> {
        let byte = match char_escape {
            CharEscape::Quote => b'"',
            CharEscape::ReverseSolidus => b'\\',
            CharEscape::Solidus => b'/',
            CharEscape::Backspace => 0x08,
            CharEscape::FormFeed => 0x0c,
            CharEscape::LineFeed => b'\n',
            CharEscape::CarriageReturn => b'\r',
            CharEscape::Tab => b'\t',
            CharEscape::AsciiControl(byte) => byte,
        };
        let text = char::from(byte).to_string();
        self.write_string_fragment(writer, &text)
    }

    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        let mut out = BytesMut::new();
        number(&mut out, value);
        writer.write_all(&out)
    }
}

/// Append `text` as a JSON string, with quotes.
///
/// `<`, `>`, `&` and the two Unicode line separators are escaped too. Each byte that is not UTF-8 becomes
/// U+FFFD.
pub fn string(out: &mut BytesMut, text: &[u8]) {
    out.reserve(text.len() + 2);
    out.put_u8(b'"');
    escape(out, &lossy(text));
    out.put_u8(b'"');
}

/// Append an integer.
pub fn integer(out: &mut BytesMut, mut number: u64) {
    // The longest u64 has 20 digits.
    let mut digits = [0; 20];
    let mut free = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        free -= 1;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(free..).unwrap_or_default());
}

/// Append a float: the shortest text that is parsed to the same number, with an exponent below 1e-6 and from
/// 1e21 on. `number` is finite.
fn number(out: &mut BytesMut, number: f64) {
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
    // The first byte of U+2028 and U+2029, and of other characters.
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

/// Append `bytes`, which replace `length` bytes of the text.
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
        ] {
            assert_eq!(made(|out| number(out, value)), text);
        }
    }

    proptest! {
        #[test]
        fn integers_are_decimal(value: u64) {
            prop_assert_eq!(made(|out| integer(out, value)), value.to_string());
        }

        #[test]
        fn strings_are_parsed_to_the_same(text: String) {
            let read: String = serde_json::from_str(&escaped(text.as_bytes())).expect("JSON");
            prop_assert_eq!(read, text);
        }

        #[test]
        fn both_encoders_write_the_same(text: String, value: f64) {
            let by_hand = made(|out| {
                string(out, text.as_bytes());
            });
            let encoded = |out: BytesMut| String::from_utf8(out.to_vec()).expect("UTF-8");
            prop_assert_eq!(encoded(encode(&text)), by_hand);
            if value.is_finite() {
                prop_assert_eq!(encoded(encode(&value)), made(|out| number(out, value)));
            }
        }

        #[test]
        fn any_bytes_make_json(bytes: Vec<u8>) {
            prop_assert!(serde_json::from_str::<String>(&escaped(&bytes)).is_ok());
        }
    }
}
