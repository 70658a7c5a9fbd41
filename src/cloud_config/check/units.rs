//! `coreos.units`

use std::collections::{BTreeMap, BTreeSet};

use crate::cloud_config::document::{self, Located};
use crate::cloud_config::report::{Report, quoted, suggestion};

/// A unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Its name: a file name without white space, so that systemctl takes it as one unit.
    pub name: String,
    /// The content of the unit file; `None` to keep an existing file.
    pub content: Option<String>,
    /// Its drop-ins.
    pub drop_ins: Vec<DropIn>,
    /// Whether it is masked.
    pub mask: bool,
    /// Whether it is enabled.
    pub enable: bool,
    /// Whether unit file, mask and enablement last until the next boot only.
    pub runtime: bool,
    /// The command to run for it.
    pub verb: Option<Verb>,
}

impl Unit {
    /// Whether it is a file of systemd-networkd.
    pub fn is_network(&self) -> bool {
        let endings = [".network", ".netdev", ".link"];
        endings.iter().any(|ending| self.name.ends_with(ending))
    }

    /// The path of its unit file.
    pub fn path(&self) -> String {
        let top = if self.runtime { "run" } else { "etc" };
        let directory = if self.is_network() {
            "network"
        } else {
            "system"
        };
        format!("/{top}/systemd/{directory}/{}", self.name)
    }

    /// The path of a drop-in.
    pub fn drop_in_path(&self, name: &str) -> String {
        format!("{}.d/{name}", self.path())
    }
}

/// A drop-in of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropIn {
    /// Its file name.
    pub name: String,
    /// Its content.
    pub content: String,
}

/// A command for a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// Start the unit.
    Start,
    /// Stop the unit.
    Stop,
    /// Restart the unit; start it if it is not running.
    Restart,
    /// Reload the configuration of the unit.
    Reload,
    /// Restart the unit if it is running.
    TryRestart,
    /// Reload the unit if it supports that, otherwise restart it.
    ReloadOrRestart,
    /// The same if the unit is running.
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

    /// The command as a document writes it.
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

    /// The command as systemctl(1) accepts it.
    pub fn systemctl_word(self) -> &'static str {
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

    /// Whether it can start the unit, which fails if the unit is masked.
    fn is_start(self) -> bool {
        match self {
            Self::Start | Self::Restart | Self::ReloadOrRestart => true,
            Self::Stop | Self::Reload | Self::TryRestart | Self::ReloadOrTryRestart => false,
        }
    }
}

/// The suffixes of the names of units and of systemd-networkd files.
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
        .filter_map(|unit| Some((check_unit(unit, report)?, unit)))
        .collect();
    report_duplicates(&checked, report);
    let masked: BTreeSet<&str> = checked
        .iter()
        .filter(|(unit, _)| unit.mask)
        .map(|(unit, _)| unit.name.as_str())
        .collect();
    for (unit, written) in &checked {
        if !masked.contains(unit.name.as_str()) {
            continue;
        }
        if let Some(verb) = unit.verb.filter(|verb| verb.is_start()) {
            let position = written
                .command
                .as_ref()
                .map_or(written.position, |command| command.position);
            let message = format!(
                "{} is masked; the command {} would fail",
                unit.name,
                verb.word()
            );
            report.error(position, message);
        }
        if unit.enable {
            let message = format!("{} is masked and cannot be enabled", unit.name);
            report.error(written.position, message);
        }
    }
    checked.into_iter().map(|(unit, _)| unit).collect()
}

/// Warns of a unit that is listed more than once. All items are applied, but it is probably not intended.
fn report_duplicates(checked: &[(Unit, &document::Unit)], report: &mut Report) {
    let mut lines: BTreeMap<&str, usize> = BTreeMap::new();
    for (unit, written) in checked {
        let line = written.position.line;
        if let Some(first) = lines.insert(&unit.name, line) {
            let message = format!(
                "duplicate unit {}, first on line {first}: both are applied, and of the same file the last is used",
                unit.name
            );
            report.warning(written.position, message);
        }
    }
}

fn check_unit(unit: &document::Unit, report: &mut Report) -> Option<Unit> {
    let Some(name) = unit.name.as_ref().filter(|name| !name.value.is_empty()) else {
        report.note(unit.position, "a unit has no name; ignored");
        return None;
    };
    let file_name = check_file_name(name, "a unit", report)?;
    let suffix = file_name.rsplit_once('.').map_or("", |(_, suffix)| suffix);
    if !SUFFIXES.contains(&suffix) {
        let message = format!(
            "{} does not have the suffix of a unit, such as .service",
            quoted(&file_name)
        );
        report.warning(name.position, message);
    }
    let verb = match &unit.command {
        Some(command) if !command.value.is_empty() => Some(parse_verb(command, report)?),
        Some(_) | None => None,
    };
    if unit.mask && unit.content.is_some() {
        let message = format!("{file_name} is masked; its content is ignored");
        report.note(unit.position, message);
    }
    Some(Unit {
        name: file_name,
        content: unit
            .content
            .clone()
            .filter(|content| !content.is_empty() && !unit.mask),
        drop_ins: unit
            .drop_ins
            .iter()
            .filter_map(|one| check_drop_in(one, report))
            .collect(),
        mask: unit.mask,
        enable: unit.enable,
        runtime: unit.runtime,
        verb,
    })
}

fn check_drop_in(drop_in: &document::DropIn, report: &mut Report) -> Option<DropIn> {
    let Some(name) = drop_in.name.as_ref().filter(|name| !name.value.is_empty()) else {
        report.warning(drop_in.position, "a drop-in has no name; ignored");
        return None;
    };
    let file_name = check_file_name(name, "a drop-in", report)?;
    if !file_name.ends_with(".conf") {
        let message = format!(
            "{} does not have the suffix .conf; systemd does not read it",
            quoted(&file_name)
        );
        report.warning(name.position, message);
    }
    Some(DropIn {
        name: file_name,
        content: drop_in.content.clone(),
    })
}

/// The name of one file in one directory.
fn check_file_name(name: &Located<String>, what: &str, report: &mut Report) -> Option<String> {
    let value = &name.value;
    let is_allowed = |c: char| !c.is_control() && !c.is_whitespace() && c != '/';
    let is_valid = value.chars().all(is_allowed) && value.len() <= 255;
    if !is_valid || matches!(value.as_str(), "." | "..") {
        let message = format!(
            "{} is not a valid name of {what}, expected a file name of at most 255 bytes without / and white space",
            quoted(value)
        );
        return report.reject(name.position, message);
    }
    Some(value.clone())
}

fn parse_verb(command: &Located<String>, report: &mut Report) -> Option<Verb> {
    let found = Verb::ALL
        .into_iter()
        .find(|verb| verb.word() == command.value);
    if found.is_none() {
        let words = Verb::ALL.map(Verb::word);
        let suggestion = suggestion(&command.value, words);
        let message = format!(
            "command is {}, expected one of {}{suggestion}",
            quoted(&command.value),
            words.join(", ")
        );
        report.error(command.position, message);
    }
    found
}
