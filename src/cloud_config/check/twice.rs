//! Paths that several parts of a document write: the last one wins, as it did with the tools of the time,
//! and whoever loses is told.

use std::collections::BTreeMap;

use super::{Checked, files};
use crate::cloud_config::document::Document;
use crate::cloud_config::plan;
use crate::cloud_config::report::{Place, Report};
use crate::cloud_config::written;

/// One that writes a path.
struct Writer {
    path: String,
    place: Place,
    /// As it is called in a sentence.
    what: String,
}

/// Warn of each path that is written again by another part. Files of `write_files` among themselves are not
/// meant, as only the last of them is left by now.
pub(super) fn check(document: &Document, checked: &Checked, report: &mut Report) {
    let writers = writers(document, checked);
    let last: BTreeMap<&str, &Writer> = writers
        .iter()
        .map(|writer| (writer.path.as_str(), writer))
        .collect();
    for writer in &writers {
        let winner = last.get(writer.path.as_str());
        let Some(winner) = winner.filter(|winner| winner.what != writer.what) else {
            continue;
        };
        let message = format!(
            "{} is written by {} and by {}, and the latter wins",
            writer.path, writer.what, winner.what
        );
        report.warning(writer.place, message);
    }
}

/// All of them, in the order in which a plan writes.
fn writers(document: &Document, checked: &Checked) -> Vec<Writer> {
    let mut writers = Vec::new();
    let mut add = |path: String, place: Place, what: String| {
        writers.push(Writer { path, place, what });
    };
    if checked.hosts.is_some() {
        let asked = document.manage_etc_hosts.as_ref();
        let place = asked.map_or_else(Place::default, |asked| asked.place);
        add(
            String::from(plan::HOSTS),
            place,
            String::from("manage_etc_hosts"),
        );
    }
    for path in document
        .write_files
        .iter()
        .filter_map(|file| file.path.as_ref())
    {
        add(
            files::clean(&path.value),
            path.place,
            String::from("write_files"),
        );
    }
    if !checked.flannel.is_empty() {
        let what = String::from("coreos.flannel");
        add(String::from(plan::FLANNEL_OPTIONS), Place::default(), what);
    }
    for unit in &checked.units {
        let mut named = document.units.iter().filter(|one| {
            let name = one.name.as_ref();
            name.is_some_and(|name| name.value == unit.name)
        });
        let place = named.next().map_or_else(Place::default, |one| one.place);
        let what = format!("unit {}", unit.name);
        if unit.content.is_some() || unit.mask {
            add(unit.path(), place, what.clone());
        }
        for drop_in in &unit.drop_ins {
            add(unit.drop_in_path(&drop_in.name), place, what.clone());
        }
    }
    for service in checked.environments.keys() {
        let what = format!("the variables of {service}");
        add(plan::variables_path(service), Place::default(), what);
    }
    for hook in checked.hooks.iter().flat_map(|hooks| &hooks.wanted) {
        let what = format!("hook {}", hook.name);
        add(written::path(&hook.name), Place::default(), what);
    }
    writers
}
