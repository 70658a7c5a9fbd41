//! The files of hooks, and the service that runs them.

use super::step::{Notify, Plan, Step};
use crate::cloud_config::check::{HookChanges, Verb};
use crate::cloud_config::hook_record::{self, HookFile};
use crate::cloud_config::paths::{self, HOOK_RECORD};

/// The service that runs all hooks.
const HOOKS_SERVICE: &str = "etcd-hooks.service";

impl Plan {
    /// Writes the hooks of the document and removes those that it no longer has.
    ///
    /// The record lists each file before it is written and until it is removed, so that an interrupted run
    /// does not lose track of it.
    pub(super) fn add_hooks(&mut self, hooks: &HookChanges) {
        let notify = || Notify::Service(String::from(HOOKS_SERVICE));
        if !hooks.write.is_empty() || !hooks.remove.is_empty() {
            self.write_record(hooks.write.iter().chain(&hooks.remove));
        }
        for hook in &hooks.write {
            let content = hook.content.clone().into_bytes();
            self.write(paths::hook(&hook.name), content, notify());
        }
        for hook in &hooks.remove {
            let path = paths::hook(&hook.name);
            let notify = notify();
            self.steps.push(Step::Remove { path, notify });
        }
        if !hooks.write.is_empty() {
            if !hooks.remove.is_empty() {
                self.write_record(&hooks.write);
            }
        } else if hooks.has_record {
            self.steps.push(Step::Remove {
                path: String::from(HOOK_RECORD),
                notify: Notify::Nothing,
            });
        }
        self.queue_hook_services(hooks);
    }

    fn write_record<'h>(&mut self, hooks: impl IntoIterator<Item = &'h HookFile>) {
        let text = hook_record::to_text(hooks);
        let path = String::from(HOOK_RECORD);
        self.write(path, text.into_bytes(), Notify::Nothing);
    }

    /// Queues the service of all hooks and stops those of removed hooks, unless the document lists them.
    fn queue_hook_services(&mut self, hooks: &HookChanges) {
        for hook in &hooks.remove {
            let unit = format!("etcd-hook@{}.service", hook.name);
            self.queue_unless_listed(unit, Some(Verb::Stop));
        }
        let service = String::from(HOOKS_SERVICE);
        if !hooks.write.is_empty() {
            self.queue_unless_listed(service, Some(Verb::Start));
        } else if !hooks.remove.is_empty() {
            // With other hook files the service keeps running, without the removed hooks.
            let verb = (!hooks.has_others).then_some(Verb::Stop);
            self.queue_unless_listed(service, verb);
        }
    }
}
