//! Paths that several parts of a document write. As in coreos-cloudinit the last one is kept, and the others
//! are reported.

use std::collections::BTreeMap;

use super::checked::Checked;
use crate::cloud_config::document::Document;
use crate::cloud_config::paths;
use crate::cloud_config::report::{Position, Report};

/// A part of a document that writes a path.
struct Writer {
    path: String,
    position: Position,
    /// Its name in a message.
    name: String,
}

/// Warns of each path that another part overwrites. Several items of `write_files` with one path are not
/// reported: of them [`Checked`] has only the last.
pub(super) fn check(document: &Document, checked: &Checked, report: &mut Report) {
    let writers = list_writers(document, checked);
    let last: BTreeMap<&str, &Writer> = writers
        .iter()
        .map(|writer| (writer.path.as_str(), writer))
        .collect();
    for writer in &writers {
        let winner = last.get(writer.path.as_str());
        let Some(winner) = winner.filter(|winner| winner.name != writer.name) else {
            continue;
        };
        let message = format!(
            "{} is written by {} and by {}; the latter is used",
            writer.path, writer.name, winner.name
        );
        report.warning(writer.position, message);
    }
}

/// All writers, in the order in which a plan writes.
fn list_writers(document: &Document, checked: &Checked) -> Vec<Writer> {
    let mut writers = Vec::new();
    let mut add = |path: String, position: Position, name: String| {
        writers.push(Writer {
            path,
            position,
            name,
        });
    };
    let start = Position::default();
    if checked.hosts.is_some() {
        let key = document.manage_etc_hosts.as_ref();
        let position = key.map_or(start, |key| key.position);
        let name = String::from("manage_etc_hosts");
        add(String::from(paths::HOSTS), position, name);
    }
    let files = document.write_files.iter();
    for path in files.filter_map(|file| file.path.as_ref()) {
        let name = String::from("write_files");
        add(paths::clean(&path.value), path.position, name);
    }
    if !checked.flannel.is_empty() {
        let name = String::from("coreos.flannel");
        add(String::from(paths::FLANNEL_OPTIONS), start, name);
    }
    for unit in &checked.units {
        let mut items = document.units.iter().filter(|item| {
            let name = item.name.as_ref();
            name.is_some_and(|name| name.value == unit.name)
        });
        let position = items.next().map_or(start, |item| item.position);
        let name = format!("unit {}", unit.name);
        if unit.content.is_some() || unit.mask {
            add(unit.path(), position, name.clone());
        }
        for drop_in in &unit.drop_ins {
            add(unit.drop_in_path(&drop_in.name), position, name.clone());
        }
    }
    for service in checked.environments.keys() {
        let name = format!("the variables of {service}");
        add(paths::variables(service), start, name);
    }
    for hook in checked.hooks.iter().flat_map(|hooks| &hooks.write) {
        add(
            paths::hook(&hook.name),
            start,
            format!("hook {}", hook.name),
        );
    }
    writers
}
