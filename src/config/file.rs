//! The configuration file: TOML, with `[peer]` and `[cluster]`.

use std::fs;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::Error;
use super::layer::{Layer, Source};
use super::nearest::nearest;
use super::old;
use super::options::{FileKey, Kind, OPTIONS, Opt};

/// The file that is read when no other is named, if it is there.
pub const SYSTEM_PATH: &str = "/etc/etcd/etcd.conf";

/// How long a file may be, in bytes; a longer one is refused.
const LENGTH_MAX: u64 = 1 << 20;

/// What the file at `path` says.
///
/// # Errors
///
/// The file cannot be read, is too long, is no TOML, or has a value of the wrong kind. Keys nobody knows
/// are noted in the layer.
pub fn read(path: &str) -> Result<Layer, Error> {
    let unreadable = |why: String| Error::File {
        path: String::from(path),
        why,
    };
    let length = fs::metadata(path).map_err(|error| unreadable(error.to_string()))?;
    if length.len() > LENGTH_MAX {
        return Err(unreadable(format!("longer than {LENGTH_MAX} bytes")));
    }
    let bytes = fs::read(path).map_err(|error| unreadable(error.to_string()))?;
    match str::from_utf8(&bytes) {
        Ok(text) => parse(path, text),
        Err(_) => Err(unreadable(String::from("not UTF-8 text"))),
    }
}

/// What the system's own file says; nothing if there is none.
///
/// # Errors
///
/// As [`read`]'s.
pub fn read_system() -> Result<Layer, Error> {
    if Path::new(SYSTEM_PATH).exists() {
        read(SYSTEM_PATH)
    } else {
        Ok(Layer::default())
    }
}

/// What `text` says, which is the file at `path`.
///
/// # Errors
///
/// It is no TOML, or a value is of the wrong kind.
pub fn parse(path: &str, text: &str) -> Result<Layer, Error> {
    let table = DeTable::parse(text).map_err(|error| {
        let (line, column) = position(text, error.span().map_or(0, |span| span.start));
        Error::Syntax {
            path: String::from(path),
            line,
            column,
            // The parser's message can have several lines.
            why: error
                .message()
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" "),
        }
    })?;
    let mut reading = Reading {
        path,
        text,
        layer: Layer::default(),
    };
    for (key, value) in table.get_ref() {
        let section = SECTIONS.iter().find(|name| **name == *key.get_ref());
        match (section, value.get_ref()) {
            (Some(section), DeValue::Table(table)) => {
                for (key, value) in table {
                    reading.take(Some(section), key, value)?;
                }
            }
            _ => reading.take(None, key, value)?,
        }
    }
    Ok(reading.layer)
}

/// The sections a file may have.
const SECTIONS: [&str; 2] = ["peer", "cluster"];

struct Reading<'a> {
    path: &'a str,
    text: &'a str,
    layer: Layer,
}

impl Reading<'_> {
    fn take(
        &mut self,
        section: Option<&'static str>,
        key: &Spanned<DeString<'_>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<(), Error> {
        let key_in = FileKey {
            section,
            key: key.get_ref().to_string(),
        };
        let (line, _) = position(self.text, key.span().start);
        let source = Source::File {
            path: String::from(self.path),
            line,
            key: key_in.to_string(),
        };
        let option = match find(&key_in) {
            Some(option) => option,
            None => match find_old(&key_in) {
                Some((option, current)) => {
                    self.layer
                        .note(old::note(&source.to_string(), &current.to_string()));
                    option
                }
                None => {
                    self.layer.note(unknown(&source, &key_in));
                    return Ok(());
                }
            },
        };
        let text = text_of(option.form.kind(), value.get_ref()).map_err(|(shown, expected)| {
            Error::Invalid {
                source: source.clone(),
                value: shown,
                problem: String::from("is of the wrong kind"),
                expected,
            }
        })?;
        self.layer.set(option.key, source, text);
        Ok(())
    }
}

/// A value as the text that a flag would have; what it is and what it should be, if it is of another kind.
fn text_of(kind: Kind, value: &DeValue<'_>) -> Result<String, (String, &'static str)> {
    match (kind, value) {
        (Kind::Truth, DeValue::Boolean(truth)) => Ok(truth.to_string()),
        (Kind::Truth, other) => Err((shown(other), "true or false, without quotes")),
        (Kind::Number, DeValue::Integer(number)) if number.radix() == 10 => {
            Ok(number.as_str().to_owned())
        }
        (Kind::Number, DeValue::Float(number)) => Ok(number.as_str().to_owned()),
        (Kind::Number, other) => Err((shown(other), "a number, without quotes")),
        (Kind::Text | Kind::List, DeValue::String(text)) => Ok(text.to_string()),
        (Kind::List, DeValue::Array(items)) => {
            const EXPECTED: &str = "an array of texts in quotes";
            let texts = items.iter().map(|item| match item.get_ref() {
                DeValue::String(text) => Ok(text.as_ref()),
                DeValue::Integer(_)
                | DeValue::Float(_)
                | DeValue::Boolean(_)
                | DeValue::Datetime(_)
                | DeValue::Array(_)
                | DeValue::Table(_) => Err((shown(item.get_ref()), EXPECTED)),
            });
            Ok(texts.collect::<Result<Vec<_>, _>>()?.join(","))
        }
        (Kind::List, other) => Err((shown(other), "an array of texts, or one text, in quotes")),
        (Kind::Text, other) => Err((shown(other), "a text in quotes")),
    }
}

/// A value of another kind than expected, for a complaint.
fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(_) => String::from("[...]"),
        DeValue::Table(_) => String::from("{...}"),
    }
}

fn find(key: &FileKey) -> Option<&'static Opt> {
    OPTIONS
        .iter()
        .find(|option| option.file_keys().contains(key))
}

/// The option that once was spelled like this, and how it is now.
fn find_old(key: &FileKey) -> Option<(&'static Opt, FileKey)> {
    let (_, current) = old::VARIABLES
        .iter()
        .find(|(old, _)| FileKey::of(old) == *key)?;
    let current = FileKey::of(current);
    Some((find(&current)?, current))
}

/// What is said about a key nobody knows.
fn unknown(source: &Source, key: &FileKey) -> String {
    let known: Vec<FileKey> = OPTIONS.iter().flat_map(Opt::file_keys).collect();
    // A key that is right but for its section is nearer than any misspelled one.
    let elsewhere = known.iter().find(|one| one.key == key.key).or_else(|| {
        let flat = |one: &FileKey| one.section.map(|section| format!("{section}_{}", one.key));
        known
            .iter()
            .find(|one| flat(one).as_ref() == Some(&key.key))
    });
    let meant = elsewhere.or_else(|| {
        let here = known.iter().filter(|one| one.section == key.section);
        let near = nearest(&key.key, here.map(|one| one.key.as_str()))?;
        known
            .iter()
            .find(|one| one.section == key.section && one.key == near)
    });
    match meant {
        Some(meant) => format!("{source}: no such option, ignored; did you mean {meant}?"),
        None => format!("{source}: no such option, ignored"),
    }
}

/// Line and column of a byte, both from 1.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    (line, before[line_start..].chars().count() + 1)
}
