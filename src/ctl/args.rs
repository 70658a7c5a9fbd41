//! Arguments that several commands share.

use std::ffi::OsString;
use std::io::{Read, stdin};
use std::os::unix::ffi::OsStrExt;

use clap::builder::ValueParser;
use clap::{Arg, ArgAction, ArgMatches, value_parser};

use super::Exit;
use crate::client::Put;

/// A flag without a value. If it is given twice, the last one wins.
pub(crate) fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .action(ArgAction::SetTrue)
        .overrides_with(name)
        .help(help)
}

/// A flag with a value. If it is given twice, the last one wins.
pub(crate) fn option(name: &'static str, placeholder: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .overrides_with(name)
        .value_name(placeholder)
        .help(help)
}

/// A flag with an unsigned number.
pub(crate) fn number(name: &'static str, placeholder: &'static str, help: &'static str) -> Arg {
    option(name, placeholder, help).value_parser(value_parser!(u64))
}

/// `--ttl`.
pub(crate) fn ttl() -> Arg {
    number(
        "ttl",
        "SECONDS",
        "Time to live, in seconds (0 = none; default: none).",
    )
}

/// The key. clap does not require it, since an unreachable cluster is reported before a missing key.
pub(crate) fn key(help: &'static str) -> Arg {
    Arg::new("key").value_name("KEY").help(help)
}

/// The value, any bytes; read from stdin if it is omitted.
fn value() -> Arg {
    Arg::new("value")
        .value_name("VALUE")
        .value_parser(ValueParser::os_string())
        .help("Value to write (default: read from stdin).")
}

/// Surplus arguments, which are ignored as in 0.4.
pub(crate) fn rest() -> Arg {
    Arg::new("rest")
        .num_args(0..)
        .value_parser(ValueParser::os_string())
        .hide(true)
}

/// The arguments of a command that writes a file.
pub(crate) fn writing(key: &'static str) -> [Arg; 4] {
    [self::key(key), value(), rest(), ttl()]
}

/// The key.
///
/// # Errors
///
/// It is missing or empty.
pub(crate) fn read_key(matches: &ArgMatches) -> Result<&str, Exit> {
    text(matches, "key")
        .filter(|key| !key.is_empty())
        .ok_or_else(|| Exit::refused("Key required"))
}

/// The write that the arguments describe: the value, from the arguments or from stdin, and the TTL.
///
/// An empty value is not sent, as in 0.4, so the server refuses an update with an empty value.
///
/// # Errors
///
/// No value was given and stdin is empty or cannot be read.
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
            "Value required; cannot read stdin: {error}"
        ))),
    }
}

/// The string of an argument.
pub(crate) fn text<'a>(matches: &'a ArgMatches, name: &str) -> Option<&'a str> {
    matches.get_one::<String>(name).map(String::as_str)
}

/// The number of an argument; none for 0, as in 0.4.
pub(crate) fn read_number(matches: &ArgMatches, name: &str) -> Option<u64> {
    matches
        .get_one::<u64>(name)
        .copied()
        .filter(|number| *number > 0)
}

/// The condition of an argument; none for an empty one, as in 0.4.
pub(crate) fn read_condition(matches: &ArgMatches, name: &str) -> Option<String> {
    text(matches, name)
        .filter(|value| !value.is_empty())
        .map(String::from)
}
