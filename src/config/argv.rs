//! Normalizing a command line: flags in Go's style, with one dash or two, as the programs of 0.4 took them.
//!
//! clap takes long flags with two dashes only. These functions bring flags into the form `--name=value`;
//! [`normalize`] does it for a whole command line with subcommands, guided by its clap definition.

use std::ffi::OsString;
use std::fmt;

use clap::{Arg, ArgAction, Command};

/// A switch with a value that is neither true nor false.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidSwitch {
    /// The switch, with its dashes.
    pub switch: String,
    /// The value.
    pub value: String,
}

impl fmt::Display for InvalidSwitch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { switch, value } = self;
        write!(
            f,
            "{switch}: {value:?} is not a boolean; expected true or false"
        )
    }
}

impl std::error::Error for InvalidSwitch {}

/// The name of a flag without its dashes, and the value after `=`; none for an argument that is not a flag.
pub fn split_flag(argument: &str) -> Option<(&str, Option<&str>)> {
    let name = argument.strip_prefix('-')?;
    let name = name.strip_prefix('-').unwrap_or(name);
    if name.is_empty() {
        return None;
    }
    match name.split_once('=') {
        Some((name, value)) => Some((name, Some(value))),
        None => Some((name, None)),
    }
}

/// The same command line with each known flag in the form `--name` or `--name=value`.
///
/// Flags take one dash or two, and a value whatever it starts with; they may be anywhere before `--`. A switch
/// may have a value, as in `--switch=false`. `command` must be built. Flags that it does not have are left for
/// clap to report. If the last argument of a command is behind `--`, the first surplus argument starts it.
///
/// # Errors
///
/// [`InvalidSwitch`]: a switch has a value that is not a boolean.
pub fn normalize(
    command: &Command,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Vec<OsString>, InvalidSwitch> {
    let mut arguments = arguments.into_iter();
    let mut words: Vec<OsString> = arguments.next().into_iter().collect();
    let mut command = command;
    // The number of positional arguments of the current command so far.
    let mut positionals = 0;
    while let Some(word) = arguments.next() {
        let text = word.to_str();
        if text == Some("--") {
            words.push(word);
            break;
        }
        if let Some((name, value)) = text.and_then(split_flag) {
            match find_flag(command, name) {
                Some(flag) => push_flag(&mut words, flag, value, &mut arguments)?,
                None => words.push(complete_unknown(command, &word)),
            }
        } else if let Some(inner) = text.and_then(|name| find_subcommand(command, name))
            && positionals == 0
        {
            words.push(OsString::from(inner.get_name()));
            command = inner;
        } else if Some(positionals) == positionals_before_last(command) {
            // The rest is the command line of another program.
            words.extend([OsString::from("--"), word]);
            break;
        } else {
            positionals += 1;
            words.push(word);
        }
    }
    words.extend(arguments);
    Ok(words)
}

fn find_flag<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    let mut chars = name.chars();
    let short = chars.next().filter(|_| chars.next().is_none());
    command
        .get_arguments()
        .find(|flag| flag.get_long() == Some(name) || short.is_some() && flag.get_short() == short)
}

/// Append a known flag with its value, which may be the next argument.
fn push_flag(
    words: &mut Vec<OsString>,
    flag: &Arg,
    value: Option<&str>,
    arguments: &mut impl Iterator<Item = OsString>,
) -> Result<(), InvalidSwitch> {
    let mut word = match (flag.get_long(), flag.get_short()) {
        (Some(long), _) => OsString::from(format!("--{long}")),
        (None, short) => OsString::from(format!("-{}", short.unwrap_or_default())),
    };
    if flag.get_action().takes_values() {
        let value = value.map(OsString::from).or_else(|| arguments.next());
        if let Some(value) = value {
            word.push("=");
            word.push(value);
        }
        words.push(word);
        return Ok(());
    }
    let is_on = match value {
        None => true,
        Some(value) => parse_switch(value).ok_or_else(|| InvalidSwitch {
            switch: word.to_string_lossy().into_owned(),
            value: value.to_owned(),
        })?,
    };
    if matches!(flag.get_action(), ArgAction::SetTrue) {
        // The last one wins.
        words.retain(|earlier| *earlier != word);
    }
    if is_on {
        words.push(word);
    }
    Ok(())
}

/// The value of a switch, in the spellings that 0.4's programs took.
fn parse_switch(value: &str) -> Option<bool> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// An unknown flag with two dashes, so that clap's error has its whole name and not only its first character. A
/// word that starts with a known short flag is left: its value or more short flags follow.
fn complete_unknown(command: &Command, word: &OsString) -> OsString {
    let text = word.to_string_lossy();
    let mut chars = text.chars().skip(1);
    let (first, has_more) = (chars.next(), chars.next().is_some());
    let is_short = first.is_some_and(|char| find_flag(command, &char.to_string()).is_some());
    if text.starts_with("--") || !has_more || is_short {
        word.clone()
    } else {
        OsString::from(format!("-{text}"))
    }
}

/// The subcommand of this name; `h` is short for help, as in 0.4.
fn find_subcommand<'a>(command: &'a Command, name: &str) -> Option<&'a Command> {
    let name = if name == "h" { "help" } else { name };
    command.find_subcommand(name)
}

/// The number of positional arguments before the one behind `--`; none if the command has no such argument.
fn positionals_before_last(command: &Command) -> Option<usize> {
    let has_last = command.get_positionals().any(Arg::is_last_set);
    has_last.then(|| command.get_positionals().count() - 1)
}

#[cfg(test)]
mod tests {
    use clap::value_parser;

    use super::*;

    fn switch(name: &'static str) -> Arg {
        Arg::new(name).long(name).action(ArgAction::SetTrue)
    }

    /// A command line like that of etcdctl: `run`, like `exec-watch`, takes another command behind its key.
    fn command() -> Command {
        let mut command = Command::new("etcdctl")
            .arg(Arg::new("peers").short('C').long("peers").global(true))
            .subcommands([
                Command::new("set").args([
                    Arg::new("key"),
                    Arg::new("value"),
                    Arg::new("ttl").long("ttl"),
                    switch("quiet"),
                ]),
                Command::new("run").args([
                    Arg::new("key"),
                    switch("recursive"),
                    Arg::new("command")
                        .num_args(1..)
                        .last(true)
                        .value_parser(value_parser!(OsString)),
                ]),
            ]);
        command.build();
        command
    }

    fn read(line: &str) -> Result<String, InvalidSwitch> {
        let arguments = line.split(' ').map(OsString::from);
        let words = normalize(&command(), arguments)?;
        let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
        Ok(words.join(" "))
    }

    #[test]
    fn flags_are_brought_into_one_form() {
        for (typed, wanted) in [
            ("etcdctl", "etcdctl"),
            ("etcdctl -C a set k v", "etcdctl --peers=a set k v"),
            ("etcdctl set -ttl 5 k v", "etcdctl set --ttl=5 k v"),
            ("etcdctl set k --ttl -5 v", "etcdctl set k --ttl=-5 v"),
            (
                "etcdctl set k v -ttl=5 --C b",
                "etcdctl set k v --ttl=5 --peers=b",
            ),
            ("etcdctl set --ttl", "etcdctl set --ttl"),
            ("etcdctl set -quiet k -quiet=false", "etcdctl set k"),
            ("etcdctl set -quiet=T k --quiet", "etcdctl set k --quiet"),
            ("etcdctl set -- k -ttl 5", "etcdctl set -- k -ttl 5"),
            ("etcdctl set set -", "etcdctl set set -"),
            ("etcdctl h set", "etcdctl help set"),
            ("etcdctl set -h", "etcdctl set --help"),
            // Unknown flags are left for clap, with their whole name.
            ("etcdctl set -tll 5", "etcdctl set --tll 5"),
            ("etcdctl set k -5 -q --x -Cz", "etcdctl set k -5 -q --x -Cz"),
        ] {
            assert_eq!(read(typed).expect(typed), wanted, "{typed}");
        }
        let error = read("etcdctl set -quiet=maybe k").expect_err("not a boolean");
        assert!(error.to_string().starts_with("--quiet: \"maybe\""));
    }

    #[test]
    fn the_words_behind_the_key_are_another_command() {
        let wanted = "etcdctl run --recursive k -- sh -c x --recursive";
        for typed in [
            "etcdctl run -recursive k sh -c x --recursive",
            "etcdctl run --recursive k -- sh -c x --recursive",
        ] {
            assert_eq!(read(typed).expect(typed), wanted);
        }
        assert_eq!(read("etcdctl run k").expect("a key"), "etcdctl run k");
        assert_eq!(
            read("etcdctl run -- sh").expect("no key"),
            "etcdctl run -- sh"
        );
    }
}
