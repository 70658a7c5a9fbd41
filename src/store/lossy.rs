//! Converts bytes to text as etcd 0.4 does.

use std::borrow::Cow;

/// Converts bytes to text, with U+FFFD in place of each byte that is not part of a character.
///
/// One replacement per byte, as in etcd 0.4; `String::from_utf8_lossy` replaces several bytes by one.
pub fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len() + 8);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::lossy;

    #[test]
    fn every_invalid_byte_is_replaced() {
        assert_eq!(lossy(b"\xff\xfeabc"), "\u{fffd}\u{fffd}abc");
        assert_eq!(lossy(b"a\xe6\x97"), "a\u{fffd}\u{fffd}");
        assert_eq!(lossy("日本".as_bytes()), "日本");
    }
}
