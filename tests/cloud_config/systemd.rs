//! A reader of unit files that is independent of the product: the environment that systemd gives a service.
//!
//! It is written from systemd's manual pages: systemd.syntax(7) for lines, comments, sections, quotes and
//! escapes, systemd.exec(5) for `Environment=`, systemd.unit(5) for specifiers. It imports nothing from the crate,
//! so that an error in the product's quoting cannot hide behind the same error here. It is strict: what the
//! manual pages do not define is a panic. `tests/system/cloudinit` asks a real systemd the same questions.

use std::collections::BTreeMap;

/// The kernel's limit for one string of an environment, its terminating zero byte included: execve(2),
/// `MAX_ARG_STRLEN`, 32 pages.
const VARIABLE_BYTES_MAX: usize = 32 * 4096;

/// Longest line that systemd reads from a unit file, in bytes.
const LINE_BYTES_MAX: usize = 1 << 20;

/// The variables that the `Environment=` lines of a drop-in set. Such a drop-in has a `[Service]` section and
/// nothing else.
///
/// # Panics
///
/// On anything that systemd would ignore with a warning, and on any specifier other than `%%`.
pub fn environment(text: &str) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    let mut in_service = false;
    for line in logical_lines(text.as_bytes()) {
        if line.starts_with(b"[") {
            in_service = line == b"[Service]";
            assert!(in_service, "another section: {}", shown(&line));
            continue;
        }
        let equals = line.iter().position(|&byte| byte == b'=');
        let (key, value) = line.split_at(equals.expect("a key and a value"));
        assert!(in_service, "outside of [Service]: {}", shown(&line));
        assert_eq!(trimmed(key), b"Environment", "{}", shown(&line));
        for item in Items(trimmed(&value[1..])) {
            let assignment = without_specifiers(&item);
            let assignment = String::from_utf8(assignment).expect("UTF-8");
            let (name, value) = assignment.split_once('=').expect("NAME=VALUE");
            assert!(can_hold(name, value), "systemd drops {assignment:?}");
            variables.insert(String::from(name), String::from(value));
        }
    }
    variables
}

/// Whether an environment can hold a variable of this name with this value: the name is one of POSIX, the
/// value has no zero byte and no code point that Unicode reserves, and the kernel accepts the length.
pub fn can_hold(name: &str, value: &str) -> bool {
    let of_posix = |byte: u8| byte == b'_' || byte.is_ascii_alphanumeric();
    let named = name.bytes().all(of_posix) && name.starts_with(|c: char| !c.is_ascii_digit());
    let length = format!("{name}={value}\0").len();
    // The 66 noncharacters of Unicode, chapter 23.7: the last two code points of each plane, and a range.
    let reserved = |c: char| {
        matches!(u32::from(c) % 0x1_0000, 0xFFFE | 0xFFFF) || ('\u{FDD0}'..='\u{FDEF}').contains(&c)
    };
    named && length <= VARIABLE_BYTES_MAX && !value.contains(|c| c == '\0' || reserved(c))
}

/// The lines of a unit file without comments and empty lines. A line that ends with a backslash continues on the
/// next one that is not a comment, with a space in place of the backslash.
fn logical_lines(text: &[u8]) -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    let mut pending: Option<Vec<u8>> = None;
    for physical in text.split(|byte| matches!(byte, b'\n' | b'\r' | 0)) {
        assert!(physical.len() < LINE_BYTES_MAX, "a line is too long");
        let content = trimmed(physical);
        if matches!(content.first(), Some(b'#' | b';')) {
            continue;
        }
        let mut line = pending.take().unwrap_or_default();
        line.extend_from_slice(physical);
        // A backslash that is itself escaped does not continue the line.
        let backslashes = line.iter().rev().take_while(|&&byte| byte == b'\\');
        if backslashes.count() % 2 == 1 {
            line.pop();
            line.push(b' ');
            pending = Some(line);
        } else if !trimmed(&line).is_empty() {
            lines.push(trimmed(&line).to_vec());
        }
    }
    assert_eq!(pending, None, "the last line continues");
    lines
}

/// The items of a value, unquoted and unescaped: a quoted item begins and ends with the same quote, and white
/// space or the end of the value follows it.
struct Items<'a>(&'a [u8]);

impl Iterator for Items<'_> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let start = self.0.iter().position(|&byte| !is_space(byte))?;
        self.0 = &self.0[start..];
        let quote = match *self.0.first()? {
            quote @ (b'"' | b'\'') => {
                self.byte();
                Some(quote)
            }
            _ => None,
        };
        let mut item = Vec::new();
        loop {
            let end = self.0.first().is_none_or(|&byte| is_space(byte));
            if quote.is_none() && end {
                return Some(item);
            }
            match self.byte() {
                byte if Some(byte) == quote => {
                    let followed = self.0.first().is_none_or(|&byte| is_space(byte));
                    assert!(followed, "text after a closing quote");
                    return Some(item);
                }
                b'\\' => self.unescape_into(&mut item),
                b'"' | b'\'' if quote.is_none() => panic!("a quote inside of an item"),
                byte => item.push(byte),
            }
        }
    }
}

impl Items<'_> {
    /// The next byte of the value.
    fn byte(&mut self) -> u8 {
        let (&byte, rest) = self.0.split_first().expect("an item ends before the line");
        self.0 = rest;
        byte
    }

    /// The table of escapes of systemd.syntax(7), after the backslash.
    fn unescape_into(&mut self, item: &mut Vec<u8>) {
        let table: &[u8; 22] = b"a\x07b\x08f\x0cn\nr\rt\tv\x0bs \\\\\"\"''";
        let kind = self.byte();
        if let Some(pair) = table.chunks(2).find(|pair| pair[0] == kind) {
            item.push(pair[1]);
            return;
        }
        let code = match kind {
            b'x' => self.code_of(2, 16),
            b'u' => self.code_of(4, 16),
            b'U' => self.code_of(8, 16),
            b'0'..=b'7' => u32::from(kind - b'0') * 64 + self.code_of(2, 8),
            other => panic!("\\{} is not an escape", char::from(other)),
        };
        assert_ne!(code, 0, "a zero byte");
        match kind {
            b'u' | b'U' => {
                let character = char::from_u32(code).expect("a character");
                item.extend(character.to_string().bytes());
            }
            _ => item.push(u8::try_from(code).expect("a byte")),
        }
    }

    /// The number that is written with this many digits.
    fn code_of(&mut self, digits: usize, radix: u32) -> u32 {
        (0..digits).fold(0, |code, _| {
            let digit = char::from(self.byte()).to_digit(radix);
            code * radix + digit.expect("a digit")
        })
    }
}

/// An item with `%%` as the percent sign it stands for.
fn without_specifiers(item: &[u8]) -> Vec<u8> {
    let parts: Vec<&[u8]> = item.split(|&byte| byte == b'%').collect();
    // Between the two signs of each `%%` is an empty part: parts at even positions are text, those between are empty.
    assert!(
        parts.len() % 2 == 1 && parts.iter().skip(1).step_by(2).all(|part| part.is_empty()),
        "a specifier in {}",
        shown(item)
    );
    let text: Vec<&[u8]> = parts.into_iter().step_by(2).collect();
    text.join(&b'%')
}

fn is_space(byte: u8) -> bool {
    b" \t\n\r".contains(&byte)
}

fn trimmed(line: &[u8]) -> &[u8] {
    let is_text = |&byte: &u8| !is_space(byte);
    let start = line.iter().position(is_text).unwrap_or(line.len());
    let end = line
        .iter()
        .rposition(is_text)
        .map_or(start, |last| last + 1);
    &line[start..end]
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn items_are_read_as_the_manual_pages_say() {
    let of = |line: &str| environment(&format!("[Service]\nEnvironment={line}\n"));
    let one = |line: &str| of(line).remove("K").expect("a variable");
    for (line, value) in [
        ("K=1", "1"),
        ("\"K=two words\"", "two words"),
        ("'K=\"double\" \\'single\\''", "\"double\" 'single'"),
        (
            "\"K=\\a\\b\\f\\n\\r\\t\\v\\s\\\\\\\"\"",
            "\x07\x08\x0c\n\r\t\x0b \\\"",
        ),
        ("K=\\x41\\101\\u00e9\\U0001f600", "AA\u{e9}\u{1f600}"),
        ("K=\\xc3\\xa9", "\u{e9}"),
        ("K=100%%%%", "100%%"),
        ("K=", ""),
        ("\\\n# a comment\n; another\n  K=continued", "continued"),
        ("\"K=a # b ; c $d\"", "a # b ; c $d"),
    ] {
        assert_eq!(one(line), value, "{line}");
    }
    let several = of("A=1 'B=two words' \"C=3\"\n\n# no\nEnvironment=D=4");
    let names: Vec<&str> = several.keys().map(String::as_str).collect();
    assert_eq!(names, ["A", "B", "C", "D"]);
}

#[test]
fn what_systemd_would_not_take_is_a_panic() {
    for text in [
        "Environment=K=1",
        "[Unit]\nEnvironment=K=1",
        "[Service]\nExecStart=/bin/true",
        "[Service]\nK",
        "[Service]\nEnvironment=K",
        "[Service]\nEnvironment=\"K=open",
        "[Service]\nEnvironment=\"K=1\"2",
        "[Service]\nEnvironment=K=a\"b\"",
        "[Service]\nEnvironment=K=\\q",
        "[Service]\nEnvironment=K=\\x4",
        "[Service]\nEnvironment=K=\\x00",
        "[Service]\nEnvironment=K=\\xff",
        "[Service]\nEnvironment=K=%m",
        "[Service]\nEnvironment=K=\\x25m",
        "[Service]\nEnvironment=K=5%",
        "[Service]\nEnvironment=1K=1",
        "[Service]\nEnvironment=K=\u{fdd0}",
        "[Service]\nEnvironment=\"K=1\r2\"",
        "[Service]\nEnvironment=K=1\\",
    ] {
        let read = std::panic::catch_unwind(|| environment(text));
        assert!(read.is_err(), "{text:?} gave {read:?}");
    }
}

#[test]
fn what_a_variable_can_hold() {
    let long = "x".repeat(VARIABLE_BYTES_MAX - "K=\0".len());
    assert!(can_hold("K", "a\n\x01\u{7f}\u{85}\u{e000}\u{fdcf}") && can_hold("K", &long));
    assert!(!can_hold("K", &format!("{long}x")));
    for value in [
        "\0",
        "\u{fdd0}",
        "\u{fdef}",
        "\u{fffe}",
        "\u{1ffff}",
        "\u{10ffff}",
    ] {
        assert!(!can_hold("K", value), "{value:?}");
    }
    assert!(!can_hold("", "x") && !can_hold("1K", "x") && !can_hold("K-1", "x"));
}
