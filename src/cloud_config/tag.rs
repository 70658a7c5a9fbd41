//! The tags of YAML's own types, such as `!!int` and `!!binary`, applied to the text of a scalar.

use std::fmt;

use base64::DecodeError;

use super::node::Value;
use super::report::quoted;
use super::scalar::{decode_base64, is_null, parse_bool, parse_float, parse_integer};

/// A tag that its scalar does not match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TagError {
    /// The text is not of the type of the tag.
    Mismatch {
        /// The text.
        text: String,
        /// The type, such as `int`.
        tag: String,
    },
    /// The text of a `!!binary` is not base64.
    NotBase64(DecodeError),
    /// The bytes of a `!!binary` are not UTF-8.
    NotUtf8,
}

impl fmt::Display for TagError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mismatch { text, tag } => write!(f, "{} is not a valid !!{tag}", quoted(text)),
            Self::NotBase64(error) => write!(f, "a !!binary is not valid base64: {error}"),
            Self::NotUtf8 => f.write_str(
                "a !!binary is not UTF-8; write it as text, with encoding: base64 beside the content",
            ),
        }
    }
}

/// The value of a scalar, from its text, whether it is written without quotes, and its tag, if any.
///
/// # Errors
///
/// - [`TagError::Mismatch`]: the tag is `!!bool`, `!!int`, `!!float` or `!!null`, and the text is not.
/// - [`TagError::NotBase64`] and [`TagError::NotUtf8`]: the tag is `!!binary`, and the text cannot be
///   decoded.
pub(super) fn resolve(text: String, plain: bool, tag: Option<&str>) -> Result<Value, TagError> {
    let scalar = |text, plain| Ok(Value::Scalar { text, plain });
    let Some(name) = tag.and_then(core_name) else {
        return match plain && is_null(&text) {
            true => Ok(Value::Null),
            false => scalar(text, plain),
        };
    };
    let matches = match name {
        "str" => return scalar(text, false),
        "binary" => return scalar(decode_binary(&text)?, false),
        "null" if is_null(&text) => return Ok(Value::Null),
        "null" => false,
        "bool" => parse_bool(&text).is_some(),
        "int" => parse_integer(&text, true).is_some(),
        "float" => parse_integer(&text, true).is_some() || parse_float(&text, true).is_some(),
        _ => return scalar(text, plain),
    };
    if matches {
        return scalar(text, true);
    }
    let tag = String::from(name);
    Err(TagError::Mismatch { text, tag })
}

/// The name of a tag of YAML's core types, in its short or its long form.
fn core_name(tag: &str) -> Option<&str> {
    let long = || tag.strip_prefix("!<tag:yaml.org,2002:")?.strip_suffix('>');
    match tag {
        "!" => Some("str"),
        _ => tag.strip_prefix("!!").or_else(long),
    }
}

fn decode_binary(text: &str) -> Result<String, TagError> {
    let bytes = decode_base64(text).map_err(TagError::NotBase64)?;
    String::from_utf8(bytes).map_err(|_| TagError::NotUtf8)
}

/// The document with its core tags replaced by unknown ones of the same length. The YAML library knows fewer
/// booleans and numbers than YAML 1.1, and rejects a scalar that it cannot parse as its tag; it reads a
/// scalar with an unknown tag as text.
pub(super) fn mask_core_tags(text: &str) -> String {
    let mut all = String::from(text);
    for name in ["bool", "int", "float", "null"] {
        let upper = name.to_ascii_uppercase();
        all = all.replace(&format!("!!{name}"), &format!("!!{upper}"));
        all = all.replace(&format!("2002:{name}>"), &format!("2002:{upper}>"));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(text: &str, plain: bool, tag: &str) -> String {
        match resolve(String::from(text), plain, Some(tag)) {
            Ok(Value::Scalar { text, plain: true }) => text,
            Ok(Value::Scalar { text, plain: false }) => format!("'{text}'"),
            Ok(Value::Null) => String::from("null"),
            Ok(Value::List(_) | Value::Map(_)) => String::from("not a scalar"),
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn a_tag_sets_the_type_of_a_scalar() {
        for (text, plain, tag, expected) in [
            ("yes", true, "!!bool", "yes"),
            ("true", false, "!!bool", "true"),
            (
                "maybe",
                true,
                "!!bool",
                "error: \"maybe\" is not a valid !!bool",
            ),
            ("010", true, "!!int", "010"),
            ("1_000", false, "!<tag:yaml.org,2002:int>", "1_000"),
            ("1.5", true, "!!int", "error: \"1.5\" is not a valid !!int"),
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
            assert_eq!(resolved(text, plain, tag), expected, "{tag} {text}");
        }
        assert!(resolved("a b", true, "!!binary").contains("not valid base64"));
        assert!(resolved("/w==", true, "!!binary").contains("not UTF-8"));
    }

    #[test]
    fn masking_moves_nothing() {
        let text = "a: !!int 010\nb: !<tag:yaml.org,2002:bool> on\n";
        let masked = mask_core_tags(text);
        assert_eq!(masked, "a: !!INT 010\nb: !<tag:yaml.org,2002:BOOL> on\n");
    }
}
