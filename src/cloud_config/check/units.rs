//! `coreos.units`

use std::collections::{BTreeMap, BTreeSet};

use super::refuse;
use crate::cloud_config::document::{self, Placed};
use crate::cloud_config::report::{Report, nearest, shown};

/// A unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Its name: no path, nothing that systemctl would take for several.
    pub name: String,
    /// Its file; none to leave the one that is there.
    pub content: Option<String>,
    /// Parts of other files for it.
    pub drop_ins: Vec<DropIn>,
    /// Whether nobody may start it.
    pub mask: bool,
    /// Whether it is started at each boot.
    pub enable: bool,
    /// Whether all this is for this boot only.
    pub runtime: bool,
    /// What to do with it now.
    pub verb: Option<Verb>,
}

impl Unit {
    /// Whether it is for systemd's network daemon.
    pub fn is_network(&self) -> bool {
        let endings = [".network", ".netdev", ".link"];
        endings.iter().any(|ending| self.name.ends_with(ending))
    }

    /// Where its file goes.
    pub fn path(&self) -> String {
        let volatile = if self.runtime { "run" } else { "etc" };
        let folder = if self.is_network() {
            "network"
        } else {
            "system"
        };
        format!("/{volatile}/systemd/{folder}/{}", self.name)
    }

    /// Where a drop-in of it goes.
    pub fn drop_in_path(&self, name: &str) -> String {
        format!("{}.d/{name}", self.path())
    }
}

/// A part of a unit's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropIn {
    /// The name of its file.
    pub name: String,
    /// What is in it.
    pub content: String,
}

/// What can be done with a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// Start it.
    Start,
    /// Stop it.
    Stop,
    /// Stop and start it, or just start it.
    Restart,
    /// Have it read its configuration again.
    Reload,
    /// Restart it if it runs.
    TryRestart,
    /// Reload it if it can, otherwise restart it.
    ReloadOrRestart,
    /// The same if it runs.
    ReloadOrTryRestart,
}

impl Verb {
    const ALL: [Self; 7] = [
        Self::Start,
        Self::Stop,
        Self::Restart,
        Self::Reload,
        Self::TryRestart,
        Self::ReloadOrRestart,
        Self::ReloadOrTryRestart,
    ];

    /// As a document writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Reload => "reload",
            Self::TryRestart => "try-restart",
            Self::ReloadOrRestart => "reload-or-restart",
            Self::ReloadOrTryRestart => "reload-or-try-restart",
        }
    }

    /// As systemctl takes it, which has a shorter word for the last one.
    pub fn of_systemctl(self) -> &'static str {
        match self {
            Self::ReloadOrTryRestart => "try-reload-or-restart",
            Self::Start
            | Self::Stop
            | Self::Restart
            | Self::Reload
            | Self::TryRestart
            | Self::ReloadOrRestart => self.word(),
        }
    }

    /// Whether a masked unit stands in its way.
    fn starts(self) -> bool {
        match self {
            Self::Start | Self::Restart | Self::ReloadOrRestart => true,
            Self::Stop | Self::Reload | Self::TryRestart | Self::ReloadOrTryRestart => false,
        }
    }
}

/// What systemd takes for a unit, and what its network daemon takes.
const SUFFIXES: &[&str] = &[
    "automount",
    "device",
    "mount",
    "path",
    "scope",
    "service",
    "slice",
    "socket",
    "swap",
    "target",
    "timer",
    "link",
    "netdev",
    "network",
];

pub(super) fn check(units: &[document::Unit], report: &mut Report) -> Vec<Unit> {
    let checked: Vec<(Unit, &document::Unit)> = units
        .iter()
        .filter_map(|unit| Some((one(unit, report)?, unit)))
        .collect();
    once_each(&checked, report);
    let masked: BTreeSet<&str> = checked
        .iter()
        .filter(|(unit, _)| unit.mask)
        .map(|(unit, _)| unit.name.as_str())
        .collect();
    for (unit, written) in &checked {
        if !masked.contains(unit.name.as_str()) {
            continue;
        }
        if let Some(verb) = unit.verb.filter(|verb| verb.starts()) {
            let place = written
                .command
                .as_ref()
                .map_or(written.place, |command| command.place);
            let message = format!("{} is masked, so it cannot {}", unit.name, verb.word());
            report.error(place, message);
        }
        if unit.enable {
            let message = format!("{} is masked, so it cannot be enabled", unit.name);
            report.error(written.place, message);
        }
    }
    checked.into_iter().map(|(unit, _)| unit).collect()
}

/// Nothing is lost of a unit that is listed again unless both have the same file, but it will hardly be meant.
fn once_each(checked: &[(Unit, &document::Unit)], report: &mut Report) {
    let mut lines: BTreeMap<&str, usize> = BTreeMap::new();
    for (unit, written) in checked {
        let line = written.place.line;
        if let Some(first) = lines.insert(&unit.name, line) {
            let message = format!(
                "unit {} is on line {first} already; both are carried out, and of the same file the later one wins",
                unit.name
            );
            report.warning(written.place, message);
        }
    }
}

fn one(unit: &document::Unit, report: &mut Report) -> Option<Unit> {
    let Some(name) = unit.name.as_ref().filter(|name| !name.value.is_empty()) else {
        report.note(unit.place, "a unit has no name; left out");
        return None;
    };
    let good = file_name(name, "a unit", report)?;
    let suffix = good.rsplit_once('.').map_or("", |(_, suffix)| suffix);
    if !SUFFIXES.contains(&suffix) {
        let message = format!(
            "{} does not end as a unit's name does, such as .service",
            shown(&good)
        );
        report.warning(name.place, message);
    }
    let verb = match &unit.command {
        Some(command) if !command.value.is_empty() => Some(verb(command, report)?),
        Some(_) | None => None,
    };
    if unit.mask && unit.content.is_some() {
        let message = format!("{good} is masked, so its content is left out");
        report.note(unit.place, message);
    }
    Some(Unit {
        name: good,
        content: unit
            .content
            .clone()
            .filter(|content| !content.is_empty() && !unit.mask),
        drop_ins: unit
            .drop_ins
            .iter()
            .filter_map(|one| drop_in(one, report))
            .collect(),
        mask: unit.mask,
        enable: unit.enable,
        runtime: unit.runtime,
        verb,
    })
}

fn drop_in(drop_in: &document::DropIn, report: &mut Report) -> Option<DropIn> {
    let Some(name) = drop_in.name.as_ref().filter(|name| !name.value.is_empty()) else {
        report.warning(drop_in.place, "a drop-in has no name; left out");
        return None;
    };
    let good = file_name(name, "a drop-in", report)?;
    if !good.ends_with(".conf") {
        let message = format!(
            "{} does not end with .conf, so systemd will not read it",
            shown(&good)
        );
        report.warning(name.place, message);
    }
    Some(DropIn {
        name: good,
        content: drop_in.content.clone(),
    })
}

/// A name that is one file in one directory.
fn file_name(name: &Placed<String>, what: &str, report: &mut Report) -> Option<String> {
    let value = &name.value;
    let letters = value
        .chars()
        .all(|letter| !letter.is_control() && !letter.is_whitespace());
    if value.contains('/') || !letters || value.len() > 255 || matches!(value.as_str(), "." | "..")
    {
        let message = format!(
            "{} is no name for {what}, expected a file name without a path or blanks",
            shown(value)
        );
        return refuse(name.place, message, report);
    }
    Some(value.clone())
}

fn verb(command: &Placed<String>, report: &mut Report) -> Option<Verb> {
    let found = Verb::ALL
        .into_iter()
        .find(|verb| verb.word() == command.value);
    if found.is_none() {
        let words = Verb::ALL.map(Verb::word);
        let near = nearest(&command.value, words);
        let message = format!(
            "command is {}, expected one of {}{near}",
            shown(&command.value),
            words.join(", ")
        );
        report.error(command.place, message);
    }
    found
}
