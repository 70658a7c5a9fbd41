//! The units of a plan, and the drop-ins with the variables of services.

use std::collections::BTreeMap;

use super::step::{Enable, Notify, Plan, Service, Step};
use crate::cloud_config::check::Unit;
use crate::cloud_config::{paths, quote};

impl Plan {
    /// Writes the files of a unit, masks, enables and queues it.
    pub(super) fn add_unit(&mut self, unit: &Unit) {
        let name = &unit.name;
        let is_network = unit.is_network();
        let notify = match is_network {
            true => Notify::Networkd,
            false => Notify::UnitFile(name.clone()),
        };
        let path = unit.path();
        match &unit.content {
            Some(content) => self.write(path.clone(), content.clone().into_bytes(), notify.clone()),
            None if unit.runtime && !unit.mask => self.steps.push(Step::Unmask {
                path: path.clone(),
                unit: name.clone(),
            }),
            None => {}
        }
        for drop_in in &unit.drop_ins {
            let path = unit.drop_in_path(&drop_in.name);
            self.write(path, drop_in.content.clone().into_bytes(), notify.clone());
        }
        if unit.mask {
            let unit = name.clone();
            self.steps.push(Step::Mask { path, unit });
        }
        if is_network {
            return;
        }
        if unit.enable {
            self.enables.push(Enable {
                unit: name.clone(),
                runtime: unit.runtime,
            });
        }
        let service = Service {
            unit: name.clone(),
            verb: unit.verb,
        };
        if !self.services.contains(&service) {
            self.services.push(service);
        }
    }

    /// Writes the drop-ins with the variables of services.
    pub(super) fn add_environments(
        &mut self,
        environments: &BTreeMap<&'static str, BTreeMap<String, String>>,
    ) {
        for (service, values) in environments {
            let mut text = String::from("[Service]\n");
            for (name, value) in values {
                text.push_str(&quote::environment_line(name, value));
                text.push('\n');
            }
            let path = paths::variables(service);
            let unit = String::from(*service);
            self.write(path, text.into_bytes(), Notify::UnitFile(unit));
            self.restart_if_changed(service);
        }
    }
}
