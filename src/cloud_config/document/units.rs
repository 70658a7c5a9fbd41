//! `coreos.units`

use crate::cloud_config::node::{Located, Node};
use crate::cloud_config::report::{Position, Report};

/// An item of `units`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unit {
    /// Its first line.
    pub position: Position,
    /// The name of the unit, such as `etcd.service`.
    pub name: Option<Located<String>>,
    /// The content of the unit file; `None` to keep an existing file.
    pub content: Option<String>,
    /// Drop-ins of the unit.
    pub drop_ins: Vec<DropIn>,
    /// Whether the unit is masked.
    pub mask: bool,
    /// Whether the unit is enabled.
    pub enable: bool,
    /// Whether unit file, mask and enablement last until the next boot only.
    pub runtime: bool,
    /// The command to run for the unit, such as `start`.
    pub command: Option<Located<String>>,
}

/// An item of `drop-ins`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DropIn {
    /// Its first line.
    pub position: Position,
    /// The file name.
    pub name: Option<Located<String>>,
    /// The content.
    pub content: String,
}

const KEYS: &[&str] = &[
    "command", "content", "drop_ins", "enable", "mask", "name", "runtime",
];

pub(super) fn parse(node: &Node, report: &mut Report) -> Option<Unit> {
    const WHAT: &str = "a unit";
    let mut unit = Unit {
        position: node.position.without_column(),
        ..Unit::default()
    };
    let entries = node.entries(WHAT, report);
    if !node.is_map() {
        return None;
    }
    for entry in entries {
        let what = format!("the {} of a unit", entry.name);
        match entry.name.as_str() {
            "name" => unit.name = entry.text(&what, report).or(unit.name),
            "content" => unit.content = entry.value.text(&what, report).or(unit.content),
            "drop_ins" => {
                let items = entry.value.items(&what, report);
                unit.drop_ins
                    .extend(items.iter().map(|item| drop_in(item, report)));
            }
            "mask" => unit.mask = entry.value.bool(&what, report).unwrap_or(unit.mask),
            "enable" => unit.enable = entry.value.bool(&what, report).unwrap_or(unit.enable),
            "runtime" => unit.runtime = entry.value.bool(&what, report).unwrap_or(unit.runtime),
            "command" => unit.command = entry.text(&what, report).or(unit.command),
            _ => entry.report_unknown(WHAT, KEYS, report),
        }
    }
    Some(unit)
}

fn drop_in(node: &Node, report: &mut Report) -> DropIn {
    const WHAT: &str = "a drop-in";
    let mut drop_in = DropIn {
        position: node.position.without_column(),
        ..DropIn::default()
    };
    for entry in node.entries(WHAT, report) {
        match entry.name.as_str() {
            "name" => drop_in.name = entry.text("the name of a drop-in", report).or(drop_in.name),
            "content" => {
                let content = entry.value.text("the content of a drop-in", report);
                drop_in.content = content.unwrap_or(drop_in.content);
            }
            _ => entry.report_unknown(WHAT, &["content", "name"], report),
        }
    }
    drop_in
}
