//! What the text of a scalar stands for: booleans and numbers as YAML 1.1 writes them, and base64.

use base64::alphabet::STANDARD;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::{DecodeError, Engine};

/// Base64 as coreos-cloudinit decoded it: line breaks anywhere, but no other white space; padding required,
/// trailing bits not checked.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// Decodes base64.
///
/// # Errors
///
/// A character outside the alphabet, missing padding, or an incomplete last group.
pub(super) fn decode_base64(text: &str) -> Result<Vec<u8>, DecodeError> {
    let bytes = text.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n'));
    BASE64.decode(bytes.collect::<Vec<u8>>())
}

/// Whether an untagged scalar without quotes is null.
pub(super) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// A boolean as YAML 1.1 writes it.
pub(super) fn parse_bool(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "y" => Some(true),
        "false" | "no" | "off" | "n" => Some(false),
        _ => None,
    }
}

/// An integer as YAML 1.1 writes it: with `_` in it, or hexadecimal, octal or binary. In quotes it is
/// decimal.
pub(super) fn parse_integer(text: &str, plain: bool) -> Option<i64> {
    if !plain {
        return text.parse().ok();
    }
    let bare = text.replace('_', "");
    let (sign, digits) = match bare.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", bare.strip_prefix('+').unwrap_or(&bare)),
    };
    let octal = digits.len() > 1 && digits.bytes().all(|digit| (b'0'..b'8').contains(&digit));
    let (digits, radix) = match digits.get(..2) {
        Some("0x" | "0X") => (&digits[2..], 16),
        Some("0o") => (&digits[2..], 8),
        Some("0b" | "0B") => (&digits[2..], 2),
        _ if octal && digits.starts_with('0') => (&digits[1..], 8),
        _ => (digits, 10),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    i64::from_str_radix(&format!("{sign}{digits}"), radix).ok()
}

/// A decimal fraction, possibly with an exponent, and with `_` in it if it is not in quotes. Infinities and
/// NaN are not accepted.
pub(super) fn parse_float(text: &str, plain: bool) -> Option<f64> {
    let bare = match plain {
        true => text.replace('_', ""),
        false => String::from(text),
    };
    // Rust would also parse the words `inf` and `nan`.
    let is_numeric = bare.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    let number = bare.parse::<f64>().ok()?;
    (is_numeric && number.is_finite()).then_some(number)
}
