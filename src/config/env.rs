//! The environment: `ETCD_*` variables and the host name.

use std::ffi::OsString;

use super::error::Error;
use super::layer::Layer;
use super::nearest::nearest;
use super::old;
use super::options::{OPTIONS, Opt};
use super::source::Source;

/// The prefix of all variables.
const PREFIX: &str = "ETCD_";

/// The variables of a command run on changes (`etcdctl exec-watch`, hooks). Such a command may start etcd, so
/// they are not reported as unknown.
pub const CHANGE_VARIABLES: [&str; 7] = [
    "ETCD_WATCH_ACTION",
    "ETCD_WATCH_DIR",
    "ETCD_WATCH_KEY",
    "ETCD_WATCH_MODIFIED_INDEX",
    "ETCD_WATCH_PREV_VALUE",
    "ETCD_WATCH_TTL",
    "ETCD_WATCH_VALUE",
];

/// Read the variables of `etcd`; `lookup` returns the value of one. A blank value counts as not set, as in 0.4.
///
/// # Errors
///
/// [`Error::NotUtf8`]: a value is not UTF-8.
pub fn read(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Layer, Error> {
    let mut layer = Layer::default();
    for (variable, current) in old::VARIABLES {
        if let Some(option) = find_option(current)
            && read_variable(&mut layer, option, variable, &lookup)?
        {
            layer.note(old::note(variable, current));
        }
    }
    read_variables(&mut layer, OPTIONS, &lookup)?;
    Ok(layer)
}

/// Read the variables of a table of options.
///
/// # Errors
///
/// [`Error::NotUtf8`]: a value is not UTF-8.
pub(super) fn read_table(
    options: &[Opt],
    lookup: impl Fn(&str) -> Option<OsString>,
) -> Result<Layer, Error> {
    let mut layer = Layer::default();
    read_variables(&mut layer, options, &lookup)?;
    Ok(layer)
}

fn read_variables(
    layer: &mut Layer,
    options: &[Opt],
    lookup: impl Fn(&str) -> Option<OsString>,
) -> Result<(), Error> {
    for option in options {
        for variable in option.variables.iter().rev() {
            read_variable(layer, option, variable, &lookup)?;
        }
    }
    Ok(())
}

/// Set an option from a variable; false if the variable is not set or blank.
fn read_variable(
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
        return Err(Error::NotUtf8(source));
    };
    let text = text.trim();
    if !text.is_empty() {
        layer.set(option.key, source, String::from(text));
    }
    Ok(!text.is_empty())
}

/// A warning for each name that has the prefix of our variables and is not one of them.
pub fn find_unknown(names: impl IntoIterator<Item = String>) -> Vec<String> {
    let known = || OPTIONS.iter().flat_map(|option| option.variables).copied();
    let mut notes: Vec<String> = names
        .into_iter()
        .filter(|name| name.starts_with(PREFIX) && !CHANGE_VARIABLES.contains(&name.as_str()))
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
                    format!("{name}: unknown variable, ignored; did you mean {PREFIX}{near}?")
                }
                None => format!("{name}: unknown variable, ignored"),
            }
        })
        .collect();
    notes.sort();
    notes
}

fn find_option(variable: &str) -> Option<&'static Opt> {
    OPTIONS
        .iter()
        .find(|option| option.variables.contains(&variable))
}

/// The host name; none if it is not set.
pub fn hostname() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| std::fs::read_to_string("/etc/hostname"))
        .ok()?;
    let name = text.trim();
    (!name.is_empty() && name != "(none)").then(|| String::from(name))
}
