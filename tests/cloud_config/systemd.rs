//! What systemd reads from a unit's file: its rules for lines, words and specifiers, as systemd.syntax(7)
//! and systemd.unit(5) have them.

use std::collections::BTreeMap;

/// All variables of the `Environment=` lines of a file's `[Service]` section.
///
/// # Panics
///
/// At anything systemd would warn of: a line that is no assignment, a word it cannot read, a specifier
/// other than `%%`.
pub fn environment(text: &str) -> BTreeMap<String, String> {
    let mut section = "";
    let mut variables = BTreeMap::new();
    for line in text.split('\n') {
        let line = line.trim();
        assert!(!line.ends_with('\\'), "a line goes on: {line}");
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
            let word = specifiers(&word);
            let (name, value) = word.split_once('=').expect("a variable");
            variables.insert(String::from(name), String::from(value));
        }
    }
    variables
}

/// The words of a line, out of their quotes, with C's escapes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut letters = line.chars().peekable();
    loop {
        while letters
            .next_if(|letter| letter.is_ascii_whitespace())
            .is_some()
        {}
        if letters.peek().is_none() {
            return words;
        }
        let mut word = Vec::new();
        let mut quote = None;
        while let Some(letter) = letters.next() {
            match (letter, quote) {
                ('\\', _) => escape(&mut letters, &mut word),
                ('"' | '\'', None) => quote = Some(letter),
                (_, Some(end)) if letter == end => quote = None,
                (_, None) if letter.is_ascii_whitespace() => break,
                _ => word.extend(letter.to_string().bytes()),
            }
        }
        assert_eq!(quote, None, "a quote is open");
        words.push(String::from_utf8(word).expect("UTF-8"));
    }
}

fn escape(letters: &mut std::iter::Peekable<std::str::Chars<'_>>, word: &mut Vec<u8>) {
    let letter = letters.next().expect("something is escaped");
    let byte = match letter {
        'a' => 7,
        'b' => 8,
        'f' => 12,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 11,
        's' => b' ',
        '\\' | '"' | '\'' => u8::try_from(letter).expect("ASCII"),
        'x' => {
            let digits: String = letters.by_ref().take(2).collect();
            u8::from_str_radix(&digits, 16).expect("two hexadecimal digits")
        }
        other => panic!("\\{other} is no escape"),
    };
    assert_ne!(byte, 0, "a zero byte");
    word.push(byte);
}

fn specifiers(word: &str) -> String {
    let mut resolved = String::new();
    let mut letters = word.chars();
    while let Some(letter) = letters.next() {
        if letter == '%' {
            assert_eq!(letters.next(), Some('%'), "a specifier in {word:?}");
        }
        resolved.push(letter);
    }
    resolved
}

#[test]
fn the_rules_are_systemds() {
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
