//! The environment: `ETCD_*` variables and the host's name.

use std::ffi::OsString;

use super::Error;
use super::layer::{Layer, Source};
use super::nearest::nearest;
use super::old;
use super::options::{OPTIONS, Opt};

/// What all our variables begin with.
const PREFIX: &str = "ETCD_";

/// What a command that is run for a change finds in its environment. They are not for the daemon, which such
/// a command may well start.
pub const OF_A_CHANGE: [&str; 7] = [
    "ETCD_WATCH_ACTION",
    "ETCD_WATCH_DIR",
    "ETCD_WATCH_KEY",
    "ETCD_WATCH_MODIFIED_INDEX",
    "ETCD_WATCH_PREV_VALUE",
    "ETCD_WATCH_TTL",
    "ETCD_WATCH_VALUE",
];

/// What the variables say; `lookup` gives the value of one. A blank one says nothing, as in 0.4.
///
/// # Errors
///
/// A value that is no text.
pub fn read(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Layer, Error> {
    let mut layer = Layer::default();
    for (variable, current) in old::VARIABLES {
        if let Some(option) = find(current)
            && take(&mut layer, option, variable, &lookup)?
        {
            layer.note(old::note(variable, current));
        }
    }
    take_all(&mut layer, OPTIONS, &lookup)?;
    Ok(layer)
}

/// The same for a program with these options.
pub(super) fn read_by(
    options: &[Opt],
    lookup: impl Fn(&str) -> Option<OsString>,
) -> Result<Layer, Error> {
    let mut layer = Layer::default();
    take_all(&mut layer, options, &lookup)?;
    Ok(layer)
}

fn take_all(
    layer: &mut Layer,
    options: &[Opt],
    lookup: impl Fn(&str) -> Option<OsString>,
) -> Result<(), Error> {
    for option in options {
        for variable in option.variables.iter().rev() {
            take(layer, option, variable, &lookup)?;
        }
    }
    Ok(())
}

/// Let a variable speak for an option; whether it said anything.
fn take(
    layer: &mut Layer,
    option: &Opt,
    variable: &str,
    lookup: impl Fn(&str) -> Option<OsString>,
) -> Result<bool, Error> {
    let Some(text) = lookup(variable) else {
        return Ok(false);
    };
    let source = Source::Variable(String::from(variable));
    let Ok(text) = text.into_string() else {
        return Err(Error::NotText(source));
    };
    let text = text.trim();
    if !text.is_empty() {
        layer.set(option.key, source, String::from(text));
    }
    Ok(!text.is_empty())
}

/// A line for each of these names that looks as if it were one of our variables and is none.
pub fn unknown(names: impl IntoIterator<Item = String>) -> Vec<String> {
    let known = || OPTIONS.iter().flat_map(|option| option.variables).copied();
    let mut notes: Vec<String> = names
        .into_iter()
        .filter(|name| name.starts_with(PREFIX) && !OF_A_CHANGE.contains(&name.as_str()))
        .filter(|name| {
            known()
                .chain(old::VARIABLES.iter().map(|(old, _)| *old))
                .all(|one| one != name)
        })
        .map(|name| {
            let short = name.strip_prefix(PREFIX).unwrap_or(&name);
            let shorts = known().filter_map(|one| one.strip_prefix(PREFIX));
            match nearest(short, shorts) {
                Some(near) => {
                    format!("{name}: no variable of etcd's, ignored; did you mean {PREFIX}{near}?")
                }
                None => format!("{name}: no variable of etcd's, ignored"),
            }
        })
        .collect();
    notes.sort();
    notes
}

fn find(variable: &str) -> Option<&'static Opt> {
    OPTIONS
        .iter()
        .find(|option| option.variables.contains(&variable))
}

/// The name of this host, if it has one.
pub fn hostname() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| std::fs::read_to_string("/etc/hostname"))
        .ok()?;
    let name = text.trim();
    (!name.is_empty() && name != "(none)").then(|| String::from(name))
}
