//! The files of hooks, and the service that runs them.

use super::{Plan, Step, Wakes};
use crate::cloud_config::check::{Hook, Hooks, Verb};
use crate::cloud_config::written::{self, RECORD};

/// The service that runs all hooks.
const ALL: &str = "etcd-hooks.service";

impl Plan {
    /// Write the hooks of the document and take away those it no longer has.
    ///
    /// The record names a file before it is there and until it is gone: nothing is forgotten if this is
    /// cut short.
    pub(super) fn hooks(&mut self, hooks: &Hooks) {
        let wakes = || Wakes::Service(String::from(ALL));
        if !hooks.wanted.is_empty() || !hooks.gone.is_empty() {
            self.record(hooks.wanted.iter().chain(&hooks.gone));
        }
        for hook in &hooks.wanted {
            let content = hook.content.clone().into_bytes();
            self.write(written::path(&hook.name), content, wakes());
        }
        for hook in &hooks.gone {
            let path = written::path(&hook.name);
            let wakes = wakes();
            self.steps.push(Step::Remove { path, wakes });
        }
        if !hooks.wanted.is_empty() {
            if !hooks.gone.is_empty() {
                self.record(&hooks.wanted);
            }
        } else if hooks.recorded {
            self.steps.push(Step::Remove {
                path: String::from(RECORD),
                wakes: Wakes::Nobody,
            });
        }
        self.hook_services(hooks);
    }

    fn record<'h>(&mut self, hooks: impl IntoIterator<Item = &'h Hook>) {
        let text = written::record(hooks);
        self.write(String::from(RECORD), text.into_bytes(), Wakes::Nobody);
    }

    /// Hooks run together or each in a service of its own. Units that the document names itself are left
    /// to it.
    fn hook_services(&mut self, hooks: &Hooks) {
        for hook in &hooks.gone {
            let unit = format!("etcd-hook@{}.service", hook.name);
            self.unless_named(unit, Some(Verb::Stop));
        }
        if !hooks.wanted.is_empty() {
            self.unless_named(String::from(ALL), Some(Verb::Start));
        } else if !hooks.gone.is_empty() {
            // Those that others put there go on without the ones that are gone.
            let verb = (!hooks.others).then_some(Verb::Stop);
            self.unless_named(String::from(ALL), verb);
        }
    }
}
