//! Quoting of values so that systemd reads back exactly the same value.
//!
//! `Environment=` of systemd.exec(5) takes words, optionally quoted, with C escapes, in which specifiers that
//! begin with `%` are expanded. `EnvironmentFile=` has the quotes of a shell and no specifiers.

use std::fmt;

/// Maximum length of an assignment `NAME=VALUE`, in bytes: the kernel does not pass on a longer one (execve(2),
/// `MAX_ARG_STRLEN`), and the service would not start.
const ASSIGNMENT_BYTES_MAX: usize = 128 * 1024 - 1;

/// Why a value cannot be that of an environment variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnfitValue {
    /// It contains a NUL byte.
    Nul,
    /// It contains a code point that is not a character, and systemd ignores such values.
    Noncharacter(char),
    /// With its name it is longer than the kernel allows.
    TooLong,
}

impl fmt::Display for UnfitValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nul => f.write_str("contains a NUL byte"),
            Self::Noncharacter(c) => {
                let code = u32::from(*c);
                write!(
                    f,
                    "contains the noncharacter U+{code:04X}, and systemd ignores such values"
                )
            }
            Self::TooLong => {
                write!(
                    f,
                    "is longer than {ASSIGNMENT_BYTES_MAX} bytes including its name"
                )
            }
        }
    }
}

/// Why a value cannot be that of an environment variable; `None` if it can.
pub fn find_unfit(name: &str, value: &str) -> Option<UnfitValue> {
    if value.contains('\0') {
        return Some(UnfitValue::Nul);
    }
    if let Some(c) = value.chars().find(|c| is_noncharacter(*c)) {
        return Some(UnfitValue::Noncharacter(c));
    }
    (name.len() + 1 + value.len() > ASSIGNMENT_BYTES_MAX).then_some(UnfitValue::TooLong)
}

/// Whether Unicode reserves a code point for internal use; systemd treats it as invalid UTF-8.
fn is_noncharacter(c: char) -> bool {
    let code = u32::from(c);
    (0xfdd0..=0xfdef).contains(&code) || code & 0xfffe == 0xfffe
}

/// A line of a unit's `[Service]` section that sets one variable.
pub fn environment_line(name: &str, value: &str) -> String {
    let mut line = format!("Environment=\"{name}=");
    for c in value.chars() {
        match c {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '%' => line.push_str("%%"),
            '\n' => line.push_str("\\n"),
            '\t' => line.push_str("\\t"),
            '\r' => line.push_str("\\r"),
            '\0'..='\x1f' | '\x7f' => line.push_str(&format!("\\x{:02x}", u32::from(c))),
            _ => line.push(c),
        }
    }
    line.push('"');
    line
}

/// A line of an `EnvironmentFile=` that sets one variable.
pub fn file_line(name: &str, value: &str) -> String {
    let is_unquoted = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:/,=@%+[]~^".contains(&byte);
    if value.bytes().all(is_unquoted) {
        return format!("{name}={value}");
    }
    let mut line = format!("{name}=\"");
    for c in value.chars() {
        if matches!(c, '"' | '\\' | '`' | '$') {
            line.push('\\');
        }
        line.push(c);
    }
    line.push('"');
    line
}

/// A text quoted like Go's `%q`, as coreos-cloudinit passed a user's full name to useradd(8).
pub fn go_quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\x07' => quoted.push_str("\\a"),
            '\x08' => quoted.push_str("\\b"),
            '\x0c' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\x0b' => quoted.push_str("\\v"),
            '\0'..='\x1f' | '\x7f' => quoted.push_str(&format!("\\x{:02x}", u32::from(c))),
            _ => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_characters_of_environment_are_escaped() {
        let line = |value: &str| environment_line("A", value);
        assert_eq!(line("plain value"), "Environment=\"A=plain value\"");
        assert_eq!(line("100%"), "Environment=\"A=100%%\"");
        assert_eq!(line("\" \"B=1"), "Environment=\"A=\\\" \\\"B=1\"");
        assert_eq!(
            line("a\nB=\\\t\u{7}\u{7f}"),
            "Environment=\"A=a\\nB=\\\\\\t\\x07\\x7f\""
        );
        assert_eq!(line("$HOME ü"), "Environment=\"A=$HOME ü\"");
    }

    #[test]
    fn values_of_environment_files_are_quoted_if_needed() {
        assert_eq!(
            file_line("A", "http://10.0.0.1:4001"),
            "A=http://10.0.0.1:4001"
        );
        assert_eq!(
            file_line("A", "a \"b\" $c `d` \\"),
            "A=\"a \\\"b\\\" \\$c \\`d\\` \\\\\""
        );
        assert_eq!(file_line("A", "a\nb"), "A=\"a\nb\"");
    }

    #[test]
    fn values_that_a_variable_cannot_have_are_found() {
        assert_eq!(find_unfit("A", "x%\"\\\n"), None);
        assert!(find_unfit("A", "a\0").is_some());
        assert!(find_unfit("A", "\u{fffe}").is_some());
        assert!(find_unfit("A", "\u{fdd0}").is_some());
        assert!(find_unfit("A", "\u{1ffff}").is_some());
        assert_eq!(find_unfit("A", &"x".repeat(ASSIGNMENT_BYTES_MAX - 2)), None);
        assert!(find_unfit("A", &"x".repeat(ASSIGNMENT_BYTES_MAX - 1)).is_some());
    }

    #[test]
    fn full_names_are_quoted_like_go() {
        assert_eq!(go_quoted("El Roy, \"ops\""), "\"El Roy, \\\"ops\\\"\"");
        assert_eq!(go_quoted("ü\u{1b}"), "\"ü\\x1b\"");
    }
}
