//! Patterns: texts with the holes `<time>`, `<ttl 60>`, `<num>`, `<any>`, `<raft>` and `<...>`.

/// A part of a pattern.
#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    /// RFC 3339.
    Time,
    /// Seconds, with a tolerance of one.
    Ttl(i64),
    /// A JSON number.
    Number,
    /// Any text within quotes.
    Any,
    /// Digits.
    Digits,
    /// Anything.
    Rest,
}

/// Whether a text matches a pattern.
pub fn matches(wanted: &str, text: &str) -> bool {
    fits(&parse(wanted), text)
}

fn parse(wanted: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut rest = wanted;
    while let Some(at) = rest.find('<') {
        let hole = rest[at..]
            .find('>')
            .and_then(|end| Some((hole(&rest[at + 1..at + end])?, end)));
        text.push_str(&rest[..at]);
        match hole {
            Some((part, end)) => {
                parts.push(Part::Text(std::mem::take(&mut text)));
                parts.push(part);
                rest = &rest[at + end + 1..];
            }
            None => {
                text.push('<');
                rest = &rest[at + 1..];
            }
        }
    }
    text.push_str(rest);
    parts.push(Part::Text(text));
    parts
}

fn hole(name: &str) -> Option<Part> {
    match name {
        "time" => Some(Part::Time),
        "num" => Some(Part::Number),
        "any" => Some(Part::Any),
        "raft" => Some(Part::Digits),
        "..." => Some(Part::Rest),
        _ => name.strip_prefix("ttl ")?.parse().ok().map(Part::Ttl),
    }
}

/// Match recursively, with every possible length of each hole.
fn fits(parts: &[Part], text: &str) -> bool {
    let Some((part, later)) = parts.split_first() else {
        return text.is_empty();
    };
    if let Part::Text(wanted) = part {
        return text
            .strip_prefix(wanted.as_str())
            .is_some_and(|rest| fits(later, rest));
    }
    let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    ends.take_while(|&end| part.may_begin(&text[..end]))
        .any(|end| part.is(&text[..end]) && fits(later, &text[end..]))
}

impl Part {
    /// Whether a text that starts with `text` can fill the hole.
    fn may_begin(&self, text: &str) -> bool {
        match self {
            Self::Text(_) | Self::Rest => true,
            Self::Time => text.bytes().all(|byte| b"0123456789-:.TZ+".contains(&byte)),
            Self::Ttl(_) | Self::Digits => text
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'-'),
            Self::Number => text.bytes().all(|byte| b"0123456789-+.eE".contains(&byte)),
            Self::Any => !text.replace("\\\\", "").replace("\\\"", "").contains('"'),
        }
    }

    fn is(&self, text: &str) -> bool {
        match self {
            Self::Text(wanted) => text == wanted,
            Self::Rest | Self::Any => true,
            Self::Time => text.parse::<jiff::Timestamp>().is_ok(),
            Self::Ttl(wanted) => text
                .parse::<i64>()
                .is_ok_and(|ttl| (ttl - wanted).abs() <= 1),
            Self::Number => text.parse::<f64>().is_ok(),
            Self::Digits => text.parse::<u64>().is_ok(),
        }
    }
}

/// Sort every JSON array of objects by key and keep all other bytes: the order counts only in sorted listings.
pub fn with_sorted_arrays(text: &str) -> String {
    let mut frames = vec![Frame {
        opener: "",
        items: vec![String::new()],
    }];
    for token in tokens(text) {
        let depth = frames.len();
        let Some(frame) = frames.last_mut() else {
            break;
        };
        match token {
            "[" => frames.push(Frame {
                opener: "[",
                items: vec![String::new()],
            }),
            "{" => frames.push(Frame {
                opener: "{",
                items: vec![String::new()],
            }),
            "]" | "}" if depth > 1 => {
                let closed = frames.pop().map(Frame::close).unwrap_or_default();
                if let Some(item) = frames.last_mut().and_then(|frame| frame.items.last_mut()) {
                    item.push_str(&closed);
                    item.push_str(token);
                }
            }
            "," if depth > 1 => frame.items.push(String::new()),
            token => {
                if let Some(item) = frame.items.last_mut() {
                    item.push_str(token);
                }
            }
        }
    }
    frames.into_iter().map(Frame::close).collect()
}

struct Frame {
    opener: &'static str,
    items: Vec<String>,
}

impl Frame {
    fn close(mut self) -> String {
        if self.opener == "[" && self.items[0].starts_with('{') {
            self.items
                .sort_by_cached_key(|item| (key(item), item.clone()));
        }
        format!("{}{}", self.opener, self.items.join(","))
    }
}

/// The first key in an item, decoded.
fn key(item: &str) -> Option<String> {
    let (_, rest) = item.split_once("\"key\":")?;
    let mut strings = serde_json::Deserializer::from_str(rest).into_iter::<String>();
    strings.next()?.ok()
}

/// Strings, brackets, commas, and the texts between them.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => string_length(rest).unwrap_or(1),
            '[' | ']' | '{' | '}' | ',' => 1,
            _ => rest
                .find(['"', '[', ']', '{', '}', ','])
                .unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at(length);
        tokens.push(token);
        rest = after;
    }
    tokens
}

fn string_length(text: &str) -> Option<usize> {
    let mut escaped = false;
    let end = text.bytes().skip(1).position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.map(|end| end + 2)
}

#[test]
fn patterns_match_texts() {
    assert!(matches(
        "{\"ttl\":<ttl 60>,\"x\":<raft>}",
        "{\"ttl\":59,\"x\":12}"
    ));
    assert!(!matches("{\"ttl\":<ttl 60>}", "{\"ttl\":62}"));
    assert!(matches(
        "\"<time>\" <b",
        "\"2014-01-01T15:26:24.96569404Z\" <b"
    ));
    assert!(!matches("\"<time>\"", "\"2014-01-01\""));
    assert!(matches("a<...>z", "abcz") && matches("a<...>z", "az") && !matches("a<...>z", "ab"));
    assert!(matches("\"<any>\"!", "\"say \\\"hi\\\"\"!") && !matches("\"<any>\"!", "\"a\"b\"!"));
}

#[test]
fn arrays_of_objects_are_sorted() {
    let text = "{\"n\":[{\"key\":\"/b\",\"m\":[2,1]},{\"key\":\"/a,[\"}],\"x\":1}{\"y\":[]}";
    let sorted = "{\"n\":[{\"key\":\"/a,[\"},{\"key\":\"/b\",\"m\":[2,1]}],\"x\":1}{\"y\":[]}";
    assert_eq!(with_sorted_arrays(text), sorted);
    assert_eq!(with_sorted_arrays(sorted), sorted);
}
