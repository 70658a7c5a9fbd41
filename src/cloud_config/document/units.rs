//! `coreos.units`

use super::{Placed, text};
use crate::cloud_config::node::Node;
use crate::cloud_config::report::{Place, Report};

/// A unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unit {
    /// Where it begins.
    pub place: Place,
    /// Its name, such as `etcd.service`.
    pub name: Option<Placed<String>>,
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
    pub command: Option<Placed<String>>,
}

/// A part of a unit's configuration, in a file of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DropIn {
    /// Where it begins.
    pub place: Place,
    /// The name of its file.
    pub name: Option<Placed<String>>,
    /// What is in it.
    pub content: String,
}

const KEYS: &[&str] = &[
    "command", "content", "drop_ins", "enable", "mask", "name", "runtime",
];

pub(super) fn parse(node: &Node, report: &mut Report) -> Option<Unit> {
    const WHAT: &str = "a unit";
    let mut unit = Unit {
        place: node.place.whole_line(),
        ..Unit::default()
    };
    let entries = node.entries(WHAT, report);
    if !node.is_map() {
        return None;
    }
    for entry in entries {
        let what = format!("a unit's {}", entry.name);
        match entry.name.as_str() {
            "name" => unit.name = text(&entry, &what, report).or(unit.name),
            "content" => unit.content = entry.value.text(&what, report).or(unit.content),
            "drop_ins" => {
                let items = entry.value.items(&what, report);
                unit.drop_ins
                    .extend(items.iter().map(|item| drop_in(item, report)));
            }
            "mask" => unit.mask = entry.value.truth(&what, report).unwrap_or(unit.mask),
            "enable" => unit.enable = entry.value.truth(&what, report).unwrap_or(unit.enable),
            "runtime" => unit.runtime = entry.value.truth(&what, report).unwrap_or(unit.runtime),
            "command" => unit.command = text(&entry, &what, report).or(unit.command),
            _ => entry.is_unknown(WHAT, KEYS, report),
        }
    }
    Some(unit)
}

fn drop_in(node: &Node, report: &mut Report) -> DropIn {
    const WHAT: &str = "a drop-in";
    let mut drop_in = DropIn {
        place: node.place.whole_line(),
        ..DropIn::default()
    };
    for entry in node.entries(WHAT, report) {
        match entry.name.as_str() {
            "name" => drop_in.name = text(&entry, "a drop-in's name", report).or(drop_in.name),
            "content" => {
                let content = entry.value.text("a drop-in's content", report);
                drop_in.content = content.unwrap_or(drop_in.content);
            }
            _ => entry.is_unknown(WHAT, &["content", "name"], report),
        }
    }
    drop_in
}
