//! Arguments that several commands take.

use std::ffi::OsString;
use std::io::{Read, stdin};
use std::os::unix::ffi::OsStrExt;

use clap::builder::ValueParser;
use clap::{Arg, ArgAction, ArgMatches, value_parser};

use super::Exit;
use crate::client::Put;

/// A flag without a value; of one given twice the last counts.
pub(crate) fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .action(ArgAction::SetTrue)
        .overrides_with(name)
        .help(help)
}

/// A flag with a value; of one given twice the last counts.
pub(crate) fn option(name: &'static str, placeholder: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .overrides_with(name)
        .value_name(placeholder)
        .help(help)
}

/// A flag with a number that is not negative.
pub(crate) fn number(name: &'static str, placeholder: &'static str, help: &'static str) -> Arg {
    option(name, placeholder, help).value_parser(value_parser!(u64))
}

/// `--ttl`.
pub(crate) fn ttl() -> Arg {
    number(
        "ttl",
        "SECONDS",
        "How long it lives; without it, or with 0, for good",
    )
}

/// The key. It is not required here, since whether a server is there is looked at first.
pub(crate) fn key(help: &'static str) -> Arg {
    Arg::new("key").value_name("KEY").help(help)
}

/// The value, from here or from stdin; any bytes will do.
fn value() -> Arg {
    Arg::new("value")
        .value_name("VALUE")
        .value_parser(ValueParser::os_string())
        .help("What it is to hold; without it, all that comes on stdin")
}

/// What is more than needed is ignored, as it always was.
pub(crate) fn rest() -> Arg {
    Arg::new("rest")
        .num_args(0..)
        .value_parser(ValueParser::os_string())
        .hide(true)
}

/// The arguments of a command that writes a key.
pub(crate) fn writing(key: &'static str) -> [Arg; 4] {
    [self::key(key), value(), rest(), ttl()]
}

/// The key that was given.
///
/// # Errors
///
/// None was.
pub(crate) fn read_key(matches: &ArgMatches) -> Result<&str, Exit> {
    text(matches, "key")
        .filter(|key| !key.is_empty())
        .ok_or_else(|| Exit::refused("Key required"))
}

/// What is to be written: the value, from the arguments or from stdin, and how long it lives.
///
/// An empty value is not sent, as 0.4 did not: to update a key with it is an error of the server's.
///
/// # Errors
///
/// There is no value.
pub(crate) fn read_put(matches: &ArgMatches) -> Result<Put, Exit> {
    let value = match matches.get_one::<OsString>("value") {
        Some(value) => value.as_bytes().to_vec(),
        None => read_stdin()?,
    };
    Ok(Put {
        value: (!value.is_empty()).then(|| value.into()),
        ttl: read_number(matches, "ttl"),
        ..Put::default()
    })
}

fn read_stdin() -> Result<Vec<u8>, Exit> {
    let mut value = Vec::new();
    match stdin().read_to_end(&mut value) {
        Ok(read) if read > 0 => Ok(value),
        Ok(_) => Err(Exit::refused("Value required")),
        Err(error) => Err(Exit::refused(format!(
            "Value required, and stdin cannot be read: {error}"
        ))),
    }
}

/// The text of an argument.
pub(crate) fn text<'a>(matches: &'a ArgMatches, name: &str) -> Option<&'a str> {
    matches.get_one::<String>(name).map(String::as_str)
}

/// A number that was given; 0 is as good as none, as it was in 0.4.
pub(crate) fn read_number(matches: &ArgMatches, name: &str) -> Option<u64> {
    matches
        .get_one::<u64>(name)
        .copied()
        .filter(|number| *number > 0)
}

/// A condition that was given; an empty one is none, as it was in 0.4.
pub(crate) fn read_condition(matches: &ArgMatches, name: &str) -> Option<String> {
    text(matches, name)
        .filter(|value| !value.is_empty())
        .map(String::from)
}
