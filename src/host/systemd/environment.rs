//! Which environment the files of a unit give its service: pure, texts in.
//!
//! The rules are those of systemd.syntax(7), systemd.exec(5) and of specifiers in systemd.unit(5). What
//! cannot be known from the files alone is left out.

use std::collections::{BTreeMap, BTreeSet};

/// What the files of a unit say about its service's environment.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Environment {
    /// Values by `Environment=`.
    pub variables: BTreeMap<String, String>,
    /// Files by `EnvironmentFile=`, which win over `variables`.
    pub files: Vec<String>,
    /// Names that something else than the files decides about.
    pub undecided: BTreeSet<String>,
}

/// The environment given by these texts of unit files, in the order in which they are read. `specifier`
/// knows what stands for a letter after `%`.
pub(super) fn read<'a>(
    texts: impl IntoIterator<Item = &'a str>,
    specifier: impl Fn(char) -> Option<String>,
) -> Environment {
    let mut environment = Environment::default();
    for text in texts {
        for (key, value) in directives(text) {
            take(&mut environment, &key, &value, &specifier);
        }
    }
    environment
}

fn take(
    environment: &mut Environment,
    key: &str,
    value: &str,
    specifier: impl Fn(char) -> Option<String>,
) {
    match key {
        "Environment" if value.is_empty() => environment.variables.clear(),
        "Environment" => {
            for word in words(value) {
                let Some((name, _)) = word.split_once('=') else {
                    continue;
                };
                let name = name.to_owned();
                match expand(&word, &specifier) {
                    Some(expanded) => {
                        let (name, value) = expanded.split_once('=').unwrap_or((&expanded, ""));
                        environment
                            .variables
                            .insert(name.to_owned(), value.to_owned());
                    }
                    None => {
                        environment.undecided.insert(name);
                    }
                }
            }
        }
        "EnvironmentFile" if value.is_empty() => environment.files.clear(),
        "EnvironmentFile" => {
            let path = value.strip_prefix('-').unwrap_or(value);
            environment.files.extend(expand(path, &specifier));
        }
        "UnsetEnvironment" | "PassEnvironment" => {
            for word in words(value) {
                let name = word.split_once('=').map_or(word.as_str(), |(name, _)| name);
                environment.undecided.insert(name.to_owned());
            }
        }
        _ => {}
    }
}

/// The names that an environment file sets.
pub(super) fn names_in_file(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(str::trim_start)
        .filter(|line| !line.starts_with(['#', ';']))
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name.trim())
}

/// The keys and values of the `[Service]` section, lines that go on put together.
fn directives(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut in_service = false;
    let mut line = String::new();
    for physical in text.lines() {
        let physical = physical.strip_suffix('\r').unwrap_or(physical);
        if physical.trim_start().starts_with(['#', ';']) {
            continue;
        }
        if let Some(begun) = physical.strip_suffix('\\') {
            line.push_str(begun);
            line.push(' ');
            continue;
        }
        line.push_str(physical);
        let whole = std::mem::take(&mut line);
        let whole = whole.trim();
        if let Some(section) = whole.strip_prefix('[') {
            in_service = section.strip_suffix(']') == Some("Service");
        } else if let Some((key, value)) = whole.split_once('=')
            && in_service
        {
            found.push((key.trim().to_owned(), value.trim().to_owned()));
        }
    }
    found
}

/// A value's words, quotes and escapes resolved. A word whose escapes are wrong is left out.
fn words(value: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut letters = value.chars().peekable();
    loop {
        while letters
            .next_if(|letter| letter.is_ascii_whitespace())
            .is_some()
        {}
        if letters.peek().is_none() {
            return found;
        }
        let mut word = Some(Vec::new());
        let mut quote = None;
        while let Some(letter) = letters.next() {
            match letter {
                '\\' => match (unescape(&mut letters), &mut word) {
                    (Some(bytes), Some(word)) => word.extend(bytes),
                    _ => word = None,
                },
                _ if Some(letter) == quote => quote = None,
                '"' | '\'' if quote.is_none() => quote = Some(letter),
                _ if letter.is_ascii_whitespace() && quote.is_none() => break,
                _ => {
                    if let Some(word) = &mut word {
                        word.extend(letter.to_string().bytes());
                    }
                }
            }
        }
        // An open quote makes systemd ignore the rest of the line.
        if quote.is_none() {
            found.extend(word.and_then(|bytes| String::from_utf8(bytes).ok()));
        }
    }
}

/// The bytes that an escape stands for, its backslash already read; none for one that is wrong.
fn unescape(letters: &mut impl Iterator<Item = char>) -> Option<Vec<u8>> {
    let letter = letters.next()?;
    let byte = match letter {
        'a' => 7,
        'b' => 8,
        'f' => 12,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 11,
        's' => b' ',
        '\\' | '"' | '\'' => u8::try_from(letter).ok()?,
        'x' => u8::try_from(number("", letters, 2, 16)?).ok()?,
        '0'..='7' => u8::try_from(number(letter.encode_utf8(&mut [0; 4]), letters, 2, 8)?).ok()?,
        'u' => return character(number("", letters, 4, 16)?),
        'U' => return character(number("", letters, 8, 16)?),
        _ => return None,
    };
    (byte != 0).then(|| vec![byte])
}

/// The number that `begun` and this many more digits make.
fn number(
    begun: &str,
    letters: &mut impl Iterator<Item = char>,
    more: usize,
    radix: u32,
) -> Option<u32> {
    let text: String = begun.chars().chain(letters.take(more)).collect();
    let digits = text.chars().all(|letter| letter.is_digit(radix));
    let whole = text.len() == begun.len() + more;
    (digits && whole)
        .then(|| u32::from_str_radix(&text, radix).ok())
        .flatten()
}

fn character(number: u32) -> Option<Vec<u8>> {
    let character = char::from_u32(number).filter(|character| *character != '\0')?;
    Some(character.to_string().into_bytes())
}

/// A text with its specifiers resolved; none if there is one that `specifier` does not know.
fn expand(text: &str, specifier: impl Fn(char) -> Option<String>) -> Option<String> {
    let mut expanded = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            expanded.push(letter);
            continue;
        }
        match letters.next() {
            Some('%') => expanded.push('%'),
            Some(letter) => expanded.push_str(&specifier(letter)?),
            // A lone one at the end stays as it is.
            None => expanded.push('%'),
        }
    }
    Some(expanded)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn variables(lines: &str) -> Vec<(String, String)> {
        let text = format!("[Service]\n{lines}\n");
        let specifier = |letter| (letter == 'm').then(|| String::from("0123"));
        read([text.as_str()], specifier)
            .variables
            .into_iter()
            .collect()
    }

    #[test]
    fn values_are_read_as_systemd_reads_them() {
        for (line, value) in [
            ("Environment=K=v", "v"),
            ("Environment = K=v ", "v"),
            ("Environment=\"K=a b\"", "a b"),
            ("Environment='K=a \"b'", "a \"b"),
            ("Environment=K=a\"b c\"d", "ab cd"),
            (
                "Environment=\"K=a\\\"b\\\\c\\n\\t\\x41\\101\\u00e9\"",
                "a\"b\\c\n\tAA\u{e9}",
            ),
            ("Environment=\"K=\\xc3\\xa9\"", "\u{e9}"),
            ("Environment=K=%m-%%", "0123-%"),
            ("Environment=K=5%", "5%"),
            ("Environment=\"K=x\"   # J=1", "x"),
            ("Environment=K=1\nEnvironment=K=2", "2"),
            ("Environment=J=1\nEnvironment=\nEnvironment=K=2", "2"),
            ("Environment=\\\n# between\n  K=2", "2"),
            ("Environment=K=", ""),
            ("Environment=K=a=b;c#d$e", "a=b;c#d$e"),
        ] {
            let found = variables(line);
            let found = found.iter().find(|(name, _)| name == "K");
            assert_eq!(
                found.map(|(_, value)| value.as_str()),
                Some(value),
                "{line}"
            );
        }
    }

    #[test]
    fn what_cannot_be_known_is_left_out() {
        assert_eq!(variables("Environment=\"K=\\q\" J=1").len(), 1);
        assert_eq!(variables("Environment=\"K=open"), []);
        let text = "[Unit]\nEnvironment=A=1\n[Service]\nEnvironment=B=%y\nEnvironmentFile=-/etc/default/%m\n\
                    UnsetEnvironment=C=1 D\n[Install]\nEnvironment=E=1\n";
        let specifier = |letter| (letter == 'm').then(|| String::from("0123"));
        let found = read([text], specifier);
        assert_eq!(found.variables.len(), 0);
        assert_eq!(found.files, ["/etc/default/0123"]);
        assert_eq!(found.undecided.iter().collect::<Vec<_>>(), ["B", "C", "D"]);
    }

    #[test]
    fn names_of_an_environment_file() {
        let text = "# A=1\n B=2\nC = 3\n;D=4\nno\n";
        assert_eq!(names_in_file(text).collect::<Vec<_>>(), ["B", "C"]);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,80}|[\\x00-\\x7f]{0,80}|(\\[Service\\]\nEnvironment=[ \"'\\\\%a-z=0-9]{0,30}\n){0,3}") {
            let _ = read([text.as_str()], |_| None);
        }

        #[test]
        fn what_is_quoted_is_read_back(value in "\\PC{0,40}|[\\x01-\\x7f]{0,40}") {
            let mut quoted = String::new();
            for letter in value.chars() {
                match letter {
                    '%' => quoted.push_str("%%"),
                    '"' | '\\' => quoted.extend(['\\', letter]),
                    _ if letter.is_ascii_control() => quoted.push_str(&format!("\\x{:02x}", u32::from(letter))),
                    _ => quoted.push(letter),
                }
            }
            let found = variables(&format!("Environment=\"K={quoted}\""));
            prop_assert_eq!(found, [(String::from("K"), value)]);
        }
    }
}
