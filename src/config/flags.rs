//! The command line: flags take one dash or two, and the last of a repeated flag wins.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Command};

use super::argv;
use super::error::Error;
use super::layer::Layer;
use super::old;
use super::options::{Form, OPTIONS, Opt};
use super::source::Source;

/// Read the arguments of `etcd`, without the name of the program. Values are not validated.
///
/// # Errors
///
/// - [`Error::UnknownFlag`]: a flag does not exist.
/// - [`Error::ValueMissing`]: the last flag requires a value.
/// - [`Error::UnexpectedArgument`]: an argument is neither a flag nor a value.
/// - [`Error::NotUtf8`]: an argument is not UTF-8.
pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Layer, Error> {
    read_table(OPTIONS, arguments)
}

/// Read the arguments of a program with this table of options.
///
/// # Errors
///
/// Those of [`read`].
pub(super) fn read_table(
    options: &'static [Opt],
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Layer, Error> {
    let (normal, notes) = normalise(options, arguments)?;
    let matches = command(options)
        .try_get_matches_from(normal)
        .map_err(|error| explain(&error))?;
    let mut layer = Layer::default();
    for note in notes {
        layer.note(note);
    }
    for option in options {
        if let Some(text) = matches.get_one::<String>(option.name()) {
            layer.set(option.key, Source::Flag(option.flag()), text.clone());
        }
    }
    Ok(layer)
}

/// The parser of a table of options. Its input is normalised to `--name=value`.
fn command(options: &'static [Opt]) -> Command {
    let options = options.iter().map(|option| {
        let rest = option.names.get(1..).unwrap_or_default();
        Arg::new(option.name())
            .long(option.name())
            .aliases(rest.iter().copied())
            .num_args(1)
    });
    Command::new("etcd")
        .no_binary_name(true)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args_override_self(true)
        .args(options)
}

/// Normalise every flag to `--name=value`. Also returns the warnings about
/// deprecated spellings.
fn normalise(
    options: &'static [Opt],
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<(Vec<String>, Vec<String>), Error> {
    let mut arguments = arguments.into_iter();
    let (mut normal, mut notes) = (Vec::new(), Vec::new());
    let mut switch = None;
    while let Some(argument) = arguments.next() {
        let argument = argument
            .into_string()
            .map_err(|bytes| Error::NotUtf8(Source::Flag(bytes.to_string_lossy().into_owned())))?;
        let Some((name, value)) = argv::split_flag(&argument) else {
            return Err(stray(argument, switch));
        };
        let current = old::FLAGS.iter().find(|(old, _)| *old == name);
        if let Some((_, current)) = current {
            notes.push(old::note(&format!("-{name}"), &format!("-{current}")));
        }
        let Some(option) = find(options, current.map_or(name, |(_, current)| current)) else {
            // The parser reports it, with a suggestion. The next argument may be its value.
            normal.push(format!("--{name}"));
            break;
        };
        switch = None;
        let value = match (option.form, value) {
            (_, Some(value)) => String::from(value),
            (Form::Switch, None) => {
                switch = Some(option.flag());
                String::from("true")
            }
            (Form::Value(placeholder), None) => match arguments.next() {
                Some(value) => value
                    .into_string()
                    .map_err(|_| Error::NotUtf8(Source::Flag(option.flag())))?,
                None => {
                    return Err(Error::ValueMissing {
                        flag: option.flag(),
                        placeholder,
                    });
                }
            },
        };
        normal.push(format!("--{}={value}", option.name()));
    }
    Ok((normal, notes))
}

fn find(options: &'static [Opt], name: &str) -> Option<&'static Opt> {
    options.iter().find(|option| option.names.contains(&name))
}

fn stray(word: String, switch: Option<String>) -> Error {
    let switch = switch.filter(|_| super::value::parse_bool(&word).is_ok());
    Error::UnexpectedArgument {
        argument: word,
        switch,
    }
}

/// Convert the error of the parser, which can only be an unknown flag.
fn explain(error: &clap::Error) -> Error {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => texts.first().cloned(),
        _ => None,
    };
    let given = context(ContextKind::InvalidArg).unwrap_or_default();
    Error::UnknownFlag {
        given: format!("-{}", given.trim_start_matches('-')),
        nearest: context(ContextKind::SuggestedArg)
            .map(|nearest| format!("-{}", nearest.trim_start_matches('-'))),
    }
}
