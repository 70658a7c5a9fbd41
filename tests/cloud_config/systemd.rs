//! The parsing of a unit file by systemd: its rules for lines, words and specifiers, as described in
//! systemd.syntax(7) and systemd.unit(5).

use std::collections::BTreeMap;

/// The variables set by the `Environment=` lines of the `[Service]` section.
///
/// # Panics
///
/// For everything that systemd warns of: a line that is not an assignment, an invalid escape, a specifier other
/// than `%%`.
pub fn environment(text: &str) -> BTreeMap<String, String> {
    let mut section = "";
    let mut variables = BTreeMap::new();
    for line in text.split('\n') {
        let line = line.trim();
        assert!(!line.ends_with('\\'), "a continued line: {line}");
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if line.starts_with('[') {
            section = line;
            continue;
        }
        let (key, value) = line.split_once('=').expect("an assignment");
        assert_eq!(
            (section, key.trim()),
            ("[Service]", "Environment"),
            "{line}"
        );
        for word in words(value.trim()) {
            let word = resolve_specifiers(&word);
            let (name, value) = word.split_once('=').expect("a variable");
            variables.insert(String::from(name), String::from(value));
        }
    }
    variables
}

/// The words of a line, without quotes and with C escapes resolved.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut chars = line.chars().peekable();
    loop {
        while chars.next_if(char::is_ascii_whitespace).is_some() {}
        if chars.peek().is_none() {
            return words;
        }
        let mut word = Vec::new();
        let mut quote = None;
        while let Some(c) = chars.next() {
            match (c, quote) {
                ('\\', _) => escape(&mut chars, &mut word),
                ('"' | '\'', None) => quote = Some(c),
                (_, Some(end)) if c == end => quote = None,
                (_, None) if c.is_ascii_whitespace() => break,
                _ => word.extend(c.to_string().bytes()),
            }
        }
        assert_eq!(quote, None, "an open quote");
        words.push(String::from_utf8(word).expect("UTF-8"));
    }
}

fn escape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, word: &mut Vec<u8>) {
    let c = chars.next().expect("an escaped character");
    let byte = match c {
        'a' => 7,
        'b' => 8,
        'f' => 12,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 11,
        's' => b' ',
        '\\' | '"' | '\'' => u8::try_from(c).expect("ASCII"),
        'x' => {
            let digits: String = chars.by_ref().take(2).collect();
            u8::from_str_radix(&digits, 16).expect("two hexadecimal digits")
        }
        other => panic!("\\{other} is not an escape"),
    };
    assert_ne!(byte, 0, "a NUL byte");
    word.push(byte);
}

fn resolve_specifiers(word: &str) -> String {
    let mut resolved = String::new();
    let mut chars = word.chars();
    while let Some(c) = chars.next() {
        if c == '%' {
            assert_eq!(chars.next(), Some('%'), "a specifier in {word:?}");
        }
        resolved.push(c);
    }
    resolved
}

#[test]
fn unit_files_are_parsed_like_systemd() {
    let read = environment(
        "[Service]\nEnvironment=A=1 'B=two words' \"C=q\\\"\\x41%%m\"\n# no\nEnvironment=D=\n",
    );
    let expected = [("A", "1"), ("B", "two words"), ("C", "q\"A%m"), ("D", "")];
    assert_eq!(
        read,
        expected
            .map(|(k, v)| (String::from(k), String::from(v)))
            .into()
    );
}
