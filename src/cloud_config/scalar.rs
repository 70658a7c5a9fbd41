//! What the text of a scalar means: words for true and false, numbers, and tags of YAML's own such as `!!int`.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use super::node::Value;
use super::report::shown;

/// What the tools of the time took: line ends anywhere, but no other white space; padding, and no
/// question of what the bits before it are.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// The bytes that a text in base64 stands for.
pub(super) fn from_base64(text: &str) -> Result<Vec<u8>, base64::DecodeError> {
    let bytes = text.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n'));
    BASE64.decode(bytes.collect::<Vec<u8>>())
}

/// What a scalar is that was written with or without quotes, behind a tag or none.
///
/// # Errors
///
/// The tag says something else than the text, as a sentence.
pub(super) fn value(text: String, plain: bool, tag: Option<&str>) -> Result<Value, String> {
    let scalar = |text, plain| Ok(Value::Scalar { text, plain });
    let Some(name) = tag.and_then(name) else {
        return match plain && is_null(&text) {
            true => Ok(Value::Null),
            false => scalar(text, plain),
        };
    };
    let fits = match name {
        "str" => return scalar(text, false),
        "binary" => return scalar(binary(&text)?, false),
        "null" if is_null(&text) => return Ok(Value::Null),
        "null" => false,
        "bool" => truth(&text).is_some(),
        "int" => integer(&text, true).is_some(),
        "float" => integer(&text, true).is_some() || decimal(&text, true).is_some(),
        _ => return scalar(text, plain),
    };
    match fits {
        true => scalar(text, true),
        false => Err(format!("{} is no !!{name}", shown(&text))),
    }
}

/// The name of one of YAML's own tags, in either of its spellings.
fn name(tag: &str) -> Option<&str> {
    let long = || tag.strip_prefix("!<tag:yaml.org,2002:")?.strip_suffix('>');
    match tag {
        "!" => Some("str"),
        _ => tag.strip_prefix("!!").or_else(long),
    }
}

/// A text in which the YAML library reads each scalar as text. It knows fewer booleans and numbers than there
/// were, and stops at a tag before one that it does not know. Nothing in it moves.
pub(super) fn without_types(text: &str) -> String {
    let mut all = String::from(text);
    for name in ["bool", "int", "float", "null"] {
        let large = name.to_ascii_uppercase();
        all = all.replace(&format!("!!{name}"), &format!("!!{large}"));
        all = all.replace(&format!("2002:{name}>"), &format!("2002:{large}>"));
    }
    all
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn binary(text: &str) -> Result<String, String> {
    let bytes = from_base64(text).map_err(|error| format!("a !!binary is no base64: {error}"))?;
    String::from_utf8(bytes).map_err(|_| {
        String::from("a !!binary is not UTF-8; a file takes it as text with encoding: base64")
    })
}

/// A word for true or false, as YAML 1.1 has them.
pub(super) fn truth(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "y" => Some(true),
        "false" | "no" | "off" | "n" => Some(false),
        _ => None,
    }
}

/// An integer as YAML 1.1 writes it: with `_` in it, or hexadecimal, octal or binary. In quotes it is
/// decimal.
pub(super) fn integer(text: &str, plain: bool) -> Option<i64> {
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

/// A number with a point or an exponent, perhaps with `_` in it where it has no quotes.
pub(super) fn decimal(text: &str, plain: bool) -> Option<f64> {
    let bare = match plain {
        true => text.replace('_', ""),
        false => String::from(text),
    };
    // Words such as `inf` are no numbers here.
    let begins = bare.starts_with(|letter: char| letter.is_ascii_digit() || "+-.".contains(letter));
    let number = bare.parse::<f64>().ok()?;
    (begins && number.is_finite()).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown_as(text: &str, plain: bool, tag: &str) -> String {
        match value(String::from(text), plain, Some(tag)) {
            Ok(Value::Scalar { text, plain: true }) => text,
            Ok(Value::Scalar { text, plain: false }) => format!("'{text}'"),
            Ok(Value::Null) => String::from("null"),
            Ok(Value::List(_) | Value::Map(_)) => String::from("no scalar"),
            Err(why) => format!("error: {why}"),
        }
    }

    #[test]
    fn a_tag_says_what_a_text_is() {
        for (text, plain, tag, expected) in [
            ("yes", true, "!!bool", "yes"),
            ("true", false, "!!bool", "true"),
            ("maybe", true, "!!bool", "error: \"maybe\" is no !!bool"),
            ("010", true, "!!int", "010"),
            ("1_000", false, "!<tag:yaml.org,2002:int>", "1_000"),
            ("1.5", true, "!!int", "error: \"1.5\" is no !!int"),
            ("1.5", true, "!!float", "1.5"),
            ("2", true, "!!float", "2"),
            ("true", true, "!!str", "'true'"),
            ("null", true, "!!str", "'null'"),
            ("", true, "!", "''"),
            ("~", true, "!!null", "null"),
            ("aGVs\nbG8=\n", false, "!!binary", "'hello'"),
            ("aGVsbG8=", true, "!!binary", "'hello'"),
            ("x", true, "!secret", "x"),
            ("", true, "!secret", "null"),
            ("x", false, "!!timestamp", "'x'"),
        ] {
            assert_eq!(shown_as(text, plain, tag), expected, "{tag} {text}");
        }
        assert!(shown_as("a b", true, "!!binary").contains("no base64"));
        assert!(shown_as("/w==", true, "!!binary").contains("not UTF-8"));
    }

    #[test]
    fn nothing_moves_when_types_are_left_out() {
        let text = "a: !!int 010\nb: !<tag:yaml.org,2002:bool> on\n";
        let without = without_types(text);
        assert_eq!(without, "a: !!INT 010\nb: !<tag:yaml.org,2002:BOOL> on\n");
    }
}
