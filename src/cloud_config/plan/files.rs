//! The files of a plan besides those of units and hooks.

use super::step::{File, Notify, Plan, Step};
use crate::cloud_config::check::Checked;
use crate::cloud_config::document::FLANNEL;
use crate::cloud_config::paths::{FLANNEL_OPTIONS, HOSTS};
use crate::cloud_config::quote;

/// The service that reads the options of flannel.
pub(super) const FLANNELD: &str = "flanneld.service";

impl Plan {
    /// Writes `/etc/hosts`, the items of `write_files` and the options of flannel.
    pub(super) fn add_files(&mut self, checked: &Checked) {
        if let Some(name) = &checked.hosts {
            let content = format!("127.0.0.1 {name}\n");
            self.write(String::from(HOSTS), content.into_bytes(), Notify::Nothing);
        }
        for file in &checked.files {
            self.steps.push(Step::Write(File {
                path: file.path.clone(),
                content: file.content.clone(),
                mode: file.mode,
                owner: file.owner.clone(),
                notify: notify_by_path(&file.path),
            }));
        }
        if !checked.flannel.is_empty() {
            let values = &checked.flannel;
            let lines: Vec<String> = FLANNEL
                .iter()
                .filter_map(|(_, name)| Some(quote::file_line(name, values.get(*name)?)))
                .collect();
            let path = String::from(FLANNEL_OPTIONS);
            let notify = Notify::Service(String::from(FLANNELD));
            self.write(path, lines.join("\n").into_bytes(), notify);
        }
    }
}

/// The unit that a file of `write_files` in a directory of systemd configures.
fn notify_by_path(path: &str) -> Notify {
    for directory in ["/etc/systemd/system/", "/run/systemd/system/"] {
        let Some(below) = path.strip_prefix(directory) else {
            continue;
        };
        let first = below.split('/').next().unwrap_or_default();
        return Notify::UnitFile(String::from(first.strip_suffix(".d").unwrap_or(first)));
    }
    match path.starts_with("/etc/systemd/network/") || path.starts_with("/run/systemd/network/") {
        true => Notify::Networkd,
        false => Notify::Nothing,
    }
}
