//! What people type, as the parser of the command line takes it.
//!
//! Flags take one dash or two, long ones too, and a value whatever it begins with; they stand anywhere
//! before `--`; a switch may be given as `--switch=false`.

use std::ffi::OsString;

use clap::{Arg, ArgAction, Command};

use super::Exit;

/// The same words with each flag of `whole`, which is built, in the form `--name` or `--name=value`.
///
/// What is no flag of the command it stands behind is left for the parser to complain about.
///
/// # Errors
///
/// A switch with a value that is neither true nor false.
pub(super) fn plain(
    whole: &Command,
    typed: impl IntoIterator<Item = OsString>,
) -> Result<Vec<OsString>, Exit> {
    let mut typed = typed.into_iter();
    let mut words: Vec<OsString> = typed.next().into_iter().collect();
    let mut command = whole;
    // How many arguments that are no flags the command has had.
    let mut arguments = 0;
    while let Some(word) = typed.next() {
        let text = word.to_str();
        if text == Some("--") {
            words.push(word);
            break;
        }
        if let Some((name, value)) = text.and_then(flag) {
            match find(command, name) {
                Some(found) => take(&mut words, found, value, &mut typed)?,
                None => words.push(unknown(command, &word)),
            }
        } else if let Some(inner) = text.and_then(|name| subcommand(command, name))
            && arguments == 0
        {
            words.push(OsString::from(inner.get_name()));
            command = inner;
        } else if Some(arguments) == before_the_last(command) {
            // From here on it is another program's command line.
            words.extend([OsString::from("--"), word]);
            break;
        } else {
            arguments += 1;
            words.push(word);
        }
    }
    words.extend(typed);
    Ok(words)
}

/// The name of a flag and the value behind its `=`; none for what is no flag.
fn flag(word: &str) -> Option<(&str, Option<&str>)> {
    let name = word.strip_prefix('-').filter(|name| !name.is_empty())?;
    let name = name.strip_prefix('-').unwrap_or(name);
    match name.split_once('=') {
        Some((name, value)) => Some((name, Some(value))),
        None => Some((name, None)),
    }
}

fn find<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    let mut letters = name.chars();
    let letter = letters.next().filter(|_| letters.next().is_none());
    command.get_arguments().find(|known| {
        known.get_long() == Some(name) || letter.is_some() && known.get_short() == letter
    })
}

/// Write down a flag that is known, with its value, which may be the next word.
fn take(
    words: &mut Vec<OsString>,
    found: &Arg,
    value: Option<&str>,
    typed: &mut impl Iterator<Item = OsString>,
) -> Result<(), Exit> {
    let mut word = match (found.get_long(), found.get_short()) {
        (Some(long), _) => OsString::from(format!("--{long}")),
        (None, short) => OsString::from(format!("-{}", short.unwrap_or_default())),
    };
    if found.get_action().takes_values() {
        let value = value.map(OsString::from).or_else(|| typed.next());
        if let Some(value) = value {
            word.push("=");
            word.push(value);
        }
        words.push(word);
        return Ok(());
    }
    let on = value.is_none_or(|value| truth(value) == Some(true));
    if let Some(value) = value.filter(|value| truth(value).is_none()) {
        let flag = word.to_string_lossy();
        return Err(Exit::usage(format!(
            "{flag}: {value:?} is neither true nor false"
        )));
    }
    if matches!(found.get_action(), ArgAction::SetTrue) {
        words.retain(|earlier| *earlier != word);
    }
    if on {
        words.push(word);
    }
    Ok(())
}

/// As 0.4 read it.
fn truth(value: &str) -> Option<bool> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// A flag that is not known, so that the complaint has all of its name and not only its first letter;
/// but what begins with a letter that is known has a value or more letters behind it.
fn unknown(command: &Command, word: &OsString) -> OsString {
    let text = word.to_string_lossy();
    let mut letters = text.chars().skip(1);
    let (first, more) = (letters.next(), letters.next().is_some());
    let known = first.is_some_and(|letter| find(command, &letter.to_string()).is_some());
    if text.starts_with("--") || !more || known {
        word.clone()
    } else {
        OsString::from(format!("-{text}"))
    }
}

/// The command of that name; `h` is help, as it was.
fn subcommand<'a>(command: &'a Command, name: &str) -> Option<&'a Command> {
    let name = if name == "h" { "help" } else { name };
    command.find_subcommand(name)
}

/// How many arguments a command takes before those that go behind a `--`; none if it has no such.
fn before_the_last(command: &Command) -> Option<usize> {
    let has_last = command.get_positionals().any(Arg::is_last_set);
    has_last.then(|| command.get_positionals().count() - 1)
}

#[cfg(test)]
mod tests {
    use clap::value_parser;

    use super::*;
    use crate::ctl::args;

    /// A command line with a command as `exec-watch` is, which takes another one behind its key.
    fn whole() -> Command {
        let mut whole = Command::new("etcdctl")
            .arg(Arg::new("peers").short('C').long("peers").global(true))
            .subcommands([
                Command::new("set")
                    .args(args::writing(""))
                    .arg(args::switch("quiet", "")),
                Command::new("run").args([
                    args::key(""),
                    args::switch("recursive", ""),
                    Arg::new("command")
                        .num_args(1..)
                        .last(true)
                        .value_parser(value_parser!(OsString)),
                ]),
            ]);
        whole.build();
        whole
    }

    fn read(typed: &str) -> Result<String, Exit> {
        let typed = typed.split(' ').map(OsString::from);
        let words = plain(&whole(), typed)?;
        let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
        Ok(words.join(" "))
    }

    #[test]
    fn flags_come_into_one_form() {
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
            // What is not known is left to complain about, with all of its name.
            ("etcdctl set -tll 5", "etcdctl set --tll 5"),
            ("etcdctl set k -5 -q --x -Cz", "etcdctl set k -5 -q --x -Cz"),
        ] {
            assert_eq!(read(typed).expect(typed), wanted, "{typed}");
        }
        let exit = read("etcdctl set -quiet=maybe k").expect_err("neither true nor false");
        assert!(exit.code == 1 && exit.message.contains("--quiet: \"maybe\""));
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
