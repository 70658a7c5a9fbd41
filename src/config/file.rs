//! The configuration file: TOML, with `[peer]` and `[cluster]`.

use std::fs;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::error::{Error, FileError};
use super::layer::Layer;
use super::nearest::nearest;
use super::old;
use super::options::{FileKey, Kind, OPTIONS, Opt};
use super::source::Source;

/// The configuration file that is read by default, if it exists.
pub const SYSTEM_PATH: &str = "/etc/etcd/etcd.conf";

/// Maximum length of a file, in bytes; a longer one is an error.
const BYTES_MAX: u64 = 1 << 20;

/// Read the file at `path`. Unknown keys are warnings in the layer.
///
/// # Errors
///
/// - [`Error::File`]: the file cannot be read, is too long, or is not UTF-8.
/// - Those of [`parse`].
pub fn read(path: &str) -> Result<Layer, Error> {
    let unreadable = |why: FileError| Error::File {
        path: String::from(path),
        why,
    };
    let length = fs::metadata(path).map_err(|error| unreadable(error.into()))?;
    if length.len() > BYTES_MAX {
        return Err(unreadable(FileError::TooLong(BYTES_MAX)));
    }
    let bytes = fs::read(path).map_err(|error| unreadable(error.into()))?;
    match str::from_utf8(&bytes) {
        Ok(text) => parse(path, text),
        Err(_) => Err(unreadable(FileError::NotUtf8)),
    }
}

/// Read the file at [`SYSTEM_PATH`]; an empty layer if it does not exist.
///
/// # Errors
///
/// Those of [`read`].
pub fn read_system() -> Result<Layer, Error> {
    if Path::new(SYSTEM_PATH).exists() {
        read(SYSTEM_PATH)
    } else {
        Ok(Layer::default())
    }
}

/// Parse `text`, the content of the file at `path`.
///
/// # Errors
///
/// - [`Error::Syntax`]: the text is not valid TOML.
/// - [`Error::Invalid`]: a value has the wrong type.
pub fn parse(path: &str, text: &str) -> Result<Layer, Error> {
    let table = DeTable::parse(text).map_err(|error| {
        let (line, column) = find_position(text, error.span().map_or(0, |span| span.start));
        Error::Syntax {
            path: String::from(path),
            line,
            column,
            // The message of the parser can have several lines.
            message: error
                .message()
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" "),
        }
    })?;
    let mut parser = Parser {
        path,
        text,
        layer: Layer::default(),
    };
    for (key, value) in table.get_ref() {
        let section = SECTIONS.iter().find(|name| **name == *key.get_ref());
        match (section, value.get_ref()) {
            (Some(section), DeValue::Table(table)) => {
                for (key, value) in table {
                    parser.set(Some(section), key, value)?;
                }
            }
            _ => parser.set(None, key, value)?,
        }
    }
    Ok(parser.layer)
}

/// The valid sections.
const SECTIONS: [&str; 2] = ["peer", "cluster"];

struct Parser<'a> {
    path: &'a str,
    text: &'a str,
    layer: Layer,
}

impl Parser<'_> {
    fn set(
        &mut self,
        section: Option<&'static str>,
        key: &Spanned<DeString<'_>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<(), Error> {
        let file_key = FileKey {
            section,
            key: key.get_ref().to_string(),
        };
        let (line, _) = find_position(self.text, key.span().start);
        let source = Source::File {
            path: String::from(self.path),
            line,
            key: file_key.to_string(),
        };
        let option = match find_option(&file_key) {
            Some(option) => option,
            None => match find_old_option(&file_key) {
                Some((option, current)) => {
                    self.layer
                        .note(old::note(&source.to_string(), &current.to_string()));
                    option
                }
                None => {
                    self.layer.note(describe_unknown(&source, &file_key));
                    return Ok(());
                }
            },
        };
        let text = to_text(option.form.kind(), value.get_ref()).map_err(|(shown, expected)| {
            Error::Invalid {
                source: source.clone(),
                value: shown,
                what: String::from("has the wrong type"),
                expected,
            }
        })?;
        self.layer.set(option.key, source, text);
        Ok(())
    }
}

/// Convert a value to the text of a flag.
///
/// # Errors
///
/// The value has another type: the value as text, and the expected type.
fn to_text(kind: Kind, value: &DeValue<'_>) -> Result<String, (String, &'static str)> {
    match (kind, value) {
        (Kind::Bool, DeValue::Boolean(value)) => Ok(value.to_string()),
        (Kind::Bool, other) => Err((show(other), "true or false, without quotes")),
        (Kind::Number, DeValue::Integer(number)) if number.radix() == 10 => {
            Ok(number.as_str().to_owned())
        }
        (Kind::Number, DeValue::Float(number)) => Ok(number.as_str().to_owned()),
        (Kind::Number, other) => Err((show(other), "a number, without quotes")),
        (Kind::Text | Kind::List, DeValue::String(text)) => Ok(text.to_string()),
        (Kind::List, DeValue::Array(items)) => {
            const EXPECTED: &str = "an array of quoted strings";
            let texts = items.iter().map(|item| match item.get_ref() {
                DeValue::String(text) => Ok(text.as_ref()),
                DeValue::Integer(_)
                | DeValue::Float(_)
                | DeValue::Boolean(_)
                | DeValue::Datetime(_)
                | DeValue::Array(_)
                | DeValue::Table(_) => Err((show(item.get_ref()), EXPECTED)),
            });
            Ok(texts.collect::<Result<Vec<_>, _>>()?.join(","))
        }
        (Kind::List, other) => Err((
            show(other),
            "an array of quoted strings, or one quoted string",
        )),
        (Kind::Text, other) => Err((show(other), "a quoted string")),
    }
}

/// A value as text, for an error message.
fn show(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(_) => String::from("[...]"),
        DeValue::Table(_) => String::from("{...}"),
    }
}

fn find_option(key: &FileKey) -> Option<&'static Opt> {
    OPTIONS
        .iter()
        .find(|option| option.file_keys().contains(key))
}

/// The option with this deprecated key, and its current key.
fn find_old_option(key: &FileKey) -> Option<(&'static Opt, FileKey)> {
    let (_, current) = old::VARIABLES
        .iter()
        .find(|(old, _)| FileKey::from_variable(old) == *key)?;
    let current = FileKey::from_variable(current);
    Some((find_option(&current)?, current))
}

/// The warning about an unknown key.
fn describe_unknown(source: &Source, key: &FileKey) -> String {
    let known: Vec<FileKey> = OPTIONS.iter().flat_map(Opt::file_keys).collect();
    // The same key in another section is more likely than a misspelled one.
    let in_other_section = known.iter().find(|one| one.key == key.key).or_else(|| {
        let flat = |one: &FileKey| one.section.map(|section| format!("{section}_{}", one.key));
        known
            .iter()
            .find(|one| flat(one).as_ref() == Some(&key.key))
    });
    let meant = in_other_section.or_else(|| {
        let here = known.iter().filter(|one| one.section == key.section);
        let near = nearest(&key.key, here.map(|one| one.key.as_str()))?;
        known
            .iter()
            .find(|one| one.section == key.section && one.key == near)
    });
    match meant {
        Some(meant) => format!("{source}: unknown option, ignored; did you mean {meant}?"),
        None => format!("{source}: unknown option, ignored"),
    }
}

/// The line and column of a byte, both from 1.
fn find_position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    (line, before[line_start..].chars().count() + 1)
}
