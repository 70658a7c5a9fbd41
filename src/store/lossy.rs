//! Bytes as text.

use std::borrow::Cow;

/// The bytes as text, with U+FFFD for every byte that is no part of a character.
///
/// One for every byte, as the clients of 0.4 know it; `String::from_utf8_lossy` makes one of several.
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
    fn every_bad_byte_is_shown() {
        assert_eq!(lossy(b"\xff\xfeabc"), "\u{fffd}\u{fffd}abc");
        assert_eq!(lossy(b"a\xe6\x97"), "a\u{fffd}\u{fffd}");
        assert_eq!(lossy("日本".as_bytes()), "日本");
    }
}
