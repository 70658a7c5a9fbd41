//! The environment that the files of a unit define. Pure.
//!
//! The rules are those of systemd.syntax(7), systemd.exec(5) and the specifiers of systemd.unit(5). Variables
//! that the files alone do not decide are left out.

use std::collections::{BTreeMap, BTreeSet};

/// The environment of a service, as far as its files decide it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Environment {
    /// Variables of `Environment=`.
    pub variables: BTreeMap<String, String>,
    /// Files of `EnvironmentFile=`, which override `variables`.
    pub files: Vec<String>,
    /// Names of variables that the files do not decide.
    pub undecided: BTreeSet<String>,
}

/// The environment defined by the texts of unit files, in the order in which they are read. `specifier` returns
/// the value of a specifier, such as `m` for `%m`.
pub(super) fn read<'a>(
    texts: impl IntoIterator<Item = &'a str>,
    specifier: impl Fn(char) -> Option<String>,
) -> Environment {
    let mut environment = Environment::default();
    for text in texts {
        for (key, value) in directives(text) {
            apply(&mut environment, &key, &value, &specifier);
        }
    }
    environment
}

fn apply(
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

/// The names of the variables in an environment file.
pub(super) fn names_in_file(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(str::trim_start)
        .filter(|line| !line.starts_with(['#', ';']))
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name.trim())
}

/// The keys and values of the `[Service]` section, with continuation lines joined.
fn directives(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut in_service = false;
    let mut line = String::new();
    for physical in text.lines() {
        let physical = physical.strip_suffix('\r').unwrap_or(physical);
        if physical.trim_start().starts_with(['#', ';']) {
            continue;
        }
        if let Some(start) = physical.strip_suffix('\\') {
            line.push_str(start);
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

/// The words of a value, unquoted and unescaped. A word with an invalid escape is left out.
fn words(value: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut chars = value.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_ascii_whitespace()).is_some() {}
        if chars.peek().is_none() {
            return found;
        }
        let mut word = Some(Vec::new());
        let mut quote = None;
        while let Some(c) = chars.next() {
            match c {
                '\\' => match (unescape(&mut chars), &mut word) {
                    (Some(bytes), Some(word)) => word.extend(bytes),
                    _ => word = None,
                },
                _ if Some(c) == quote => quote = None,
                '"' | '\'' if quote.is_none() => quote = Some(c),
                _ if c.is_ascii_whitespace() && quote.is_none() => break,
                _ => {
                    if let Some(word) = &mut word {
                        word.extend(c.to_string().bytes());
                    }
                }
            }
        }
        // systemd ignores the rest of a line with an unclosed quote.
        if quote.is_none() {
            found.extend(word.and_then(|bytes| String::from_utf8(bytes).ok()));
        }
    }
}

/// The bytes of an escape, after its backslash; none if it is not valid.
fn unescape(chars: &mut impl Iterator<Item = char>) -> Option<Vec<u8>> {
    let c = chars.next()?;
    let byte = match c {
        'a' => 7,
        'b' => 8,
        'f' => 12,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 11,
        's' => b' ',
        '\\' | '"' | '\'' => u8::try_from(c).ok()?,
        'x' => u8::try_from(parse_number("", chars, 2, 16)?).ok()?,
        '0'..='7' => u8::try_from(parse_number(c.encode_utf8(&mut [0; 4]), chars, 2, 8)?).ok()?,
        'u' => return character(parse_number("", chars, 4, 16)?),
        'U' => return character(parse_number("", chars, 8, 16)?),
        _ => return None,
    };
    (byte != 0).then(|| vec![byte])
}

/// The number of `start` and this many more digits.
fn parse_number(
    start: &str,
    chars: &mut impl Iterator<Item = char>,
    more: usize,
    radix: u32,
) -> Option<u32> {
    let text: String = start.chars().chain(chars.take(more)).collect();
    let digits = text.chars().all(|c| c.is_digit(radix));
    let whole = text.len() == start.len() + more;
    (digits && whole)
        .then(|| u32::from_str_radix(&text, radix).ok())
        .flatten()
}

fn character(number: u32) -> Option<Vec<u8>> {
    let character = char::from_u32(number).filter(|character| *character != '\0')?;
    Some(character.to_string().into_bytes())
}

/// Expand the specifiers of a text; none if `specifier` does not know one of them.
fn expand(text: &str, specifier: impl Fn(char) -> Option<String>) -> Option<String> {
    let mut expanded = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            expanded.push(c);
            continue;
        }
        match chars.next() {
            Some('%') => expanded.push('%'),
            Some(c) => expanded.push_str(&specifier(c)?),
            // A single % at the end is kept.
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
        let specifier = |c| (c == 'm').then(|| String::from("0123"));
        read([text.as_str()], specifier)
            .variables
            .into_iter()
            .collect()
    }

    #[test]
    fn values_are_parsed_as_by_systemd() {
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
    fn undecided_variables_are_left_out() {
        assert_eq!(variables("Environment=\"K=\\q\" J=1").len(), 1);
        assert_eq!(variables("Environment=\"K=open"), []);
        let text = "[Unit]\nEnvironment=A=1\n[Service]\nEnvironment=B=%y\nEnvironmentFile=-/etc/default/%m\n\
                    UnsetEnvironment=C=1 D\n[Install]\nEnvironment=E=1\n";
        let specifier = |c| (c == 'm').then(|| String::from("0123"));
        let found = read([text], specifier);
        assert_eq!(found.variables.len(), 0);
        assert_eq!(found.files, ["/etc/default/0123"]);
        assert_eq!(found.undecided.iter().collect::<Vec<_>>(), ["B", "C", "D"]);
    }

    #[test]
    fn names_in_an_environment_file_are_found() {
        let text = "# A=1\n B=2\nC = 3\n;D=4\nno\n";
        assert_eq!(names_in_file(text).collect::<Vec<_>>(), ["B", "C"]);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,80}|[\\x00-\\x7f]{0,80}|(\\[Service\\]\nEnvironment=[ \"'\\\\%a-z=0-9]{0,30}\n){0,3}") {
            let _ = read([text.as_str()], |_| None);
        }

        #[test]
        fn quoted_values_are_parsed_to_the_same(value in "\\PC{0,40}|[\\x01-\\x7f]{0,40}") {
            let mut quoted = String::new();
            for c in value.chars() {
                match c {
                    '%' => quoted.push_str("%%"),
                    '"' | '\\' => quoted.extend(['\\', c]),
                    _ if c.is_ascii_control() => quoted.push_str(&format!("\\x{:02x}", u32::from(c))),
                    _ => quoted.push(c),
                }
            }
            let found = variables(&format!("Environment=\"K={quoted}\""));
            prop_assert_eq!(found, [(String::from("K"), value)]);
        }
    }
}
