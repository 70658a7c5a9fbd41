//! How a value is written so that systemd reads back exactly that value.
//!
//! systemd.exec(5) `Environment=` takes words, each possibly in quotes, unescapes them like C does, and
//! then replaces what follows a `%`. systemd.exec(5) `EnvironmentFile=` knows quotes as a shell does, and
//! no `%`.

/// How long an assignment `NAME=VALUE` may be: the kernel hands a program no longer one (execve(2),
/// `MAX_ARG_STRLEN`), and the service would not start.
const ASSIGNMENT_BYTES_MAX: usize = 128 * 1024 - 1;

/// Why a value cannot be in an environment; none if it can.
pub fn unfit(name: &str, value: &str) -> Option<String> {
    if value.contains('\0') {
        return Some(String::from(
            "has a zero byte in it, which no variable can hold",
        ));
    }
    if let Some(letter) = value.chars().find(|letter| is_noncharacter(*letter)) {
        let code = u32::from(letter);
        return Some(format!(
            "has U+{code:04X} in it, which is no character, and systemd drops the value"
        ));
    }
    if name.len() + 1 + value.len() > ASSIGNMENT_BYTES_MAX {
        return Some(format!(
            "is longer than a variable may be ({ASSIGNMENT_BYTES_MAX} bytes with its name)"
        ));
    }
    None
}

/// What Unicode keeps for itself, and systemd takes for broken text.
fn is_noncharacter(letter: char) -> bool {
    let code = u32::from(letter);
    (0xfdd0..=0xfdef).contains(&code) || code & 0xfffe == 0xfffe
}

/// A line for a unit's `[Service]` section that sets one variable.
pub fn environment_line(name: &str, value: &str) -> String {
    let mut line = format!("Environment=\"{name}=");
    for letter in value.chars() {
        match letter {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '%' => line.push_str("%%"),
            '\n' => line.push_str("\\n"),
            '\t' => line.push_str("\\t"),
            '\r' => line.push_str("\\r"),
            '\0'..='\x1f' | '\x7f' => line.push_str(&format!("\\x{:02x}", u32::from(letter))),
            _ => line.push(letter),
        }
    }
    line.push('"');
    line
}

/// A line for a file of `EnvironmentFile=` that sets one variable.
pub fn file_line(name: &str, value: &str) -> String {
    let simple = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:/,=@%+[]~^".contains(&byte);
    if value.bytes().all(simple) {
        return format!("{name}={value}");
    }
    let mut line = format!("{name}=\"");
    for letter in value.chars() {
        if matches!(letter, '"' | '\\' | '`' | '$') {
            line.push('\\');
        }
        line.push(letter);
    }
    line.push('"');
    line
}

/// A text in quotes as Go's `%q` writes it: so did the tools of the time write a user's full name.
pub fn go_quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\x07' => quoted.push_str("\\a"),
            '\x08' => quoted.push_str("\\b"),
            '\x0c' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\x0b' => quoted.push_str("\\v"),
            '\0'..='\x1f' | '\x7f' => quoted.push_str(&format!("\\x{:02x}", u32::from(letter))),
            _ => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_value_means_anything_to_systemd() {
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
    fn files_of_variables_are_quoted_where_they_must() {
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
    fn what_cannot_be_in_a_variable_is_said() {
        assert_eq!(unfit("A", "x%\"\\\n"), None);
        assert!(unfit("A", "a\0").is_some());
        assert!(unfit("A", "\u{fffe}").is_some());
        assert!(unfit("A", "\u{fdd0}").is_some());
        assert!(unfit("A", "\u{1ffff}").is_some());
        assert_eq!(unfit("A", &"x".repeat(ASSIGNMENT_BYTES_MAX - 2)), None);
        assert!(unfit("A", &"x".repeat(ASSIGNMENT_BYTES_MAX - 1)).is_some());
    }

    #[test]
    fn names_are_quoted_as_go_does() {
        assert_eq!(go_quoted("El Roy, \"ops\""), "\"El Roy, \\\"ops\\\"\"");
        assert_eq!(go_quoted("ü\u{1b}"), "\"ü\\x1b\"");
    }
}
