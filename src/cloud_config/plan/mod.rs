//! Makes a plan of a checked document: the files to write and the commands to run; pure.

mod environment;
mod files;
mod hooks;
mod queue;
mod step;
mod units;
mod users;

use std::collections::BTreeSet;

pub use environment::merge_environment;
pub use queue::{Changes, Remaining, remaining_commands};
pub use step::{Command, Enable, File, Notify, Plan, Service, Step};

use super::accounts::Accounts;
use super::check::Checked;
use super::paths::HOOK_RECORD;

/// Makes a plan of a checked document.
pub fn plan(checked: &Checked, accounts: &Accounts) -> Plan {
    let mut plan = Plan::default();
    plan.steps
        .extend(checked.hostname.clone().map(Step::Hostname));
    for user in &checked.users {
        plan.steps
            .extend(users::to_command(user, accounts).map(Step::Run));
    }
    let keys = checked.key_holders.iter().cloned();
    plan.steps.extend(keys.map(Step::Keys));
    plan.add_files(checked);
    for unit in &checked.units {
        plan.add_unit(unit);
    }
    plan.add_environments(&checked.environments);
    if !checked.flannel.is_empty() {
        plan.restart_if_changed(files::FLANNELD);
    }
    if let Some(hooks) = &checked.hooks {
        plan.add_hooks(hooks);
    }
    keep_last_writes(&mut plan);
    plan
}

/// Removes all but the last write of each path: otherwise each run would change the file and change it back.
/// The record of hooks is intentionally written twice.
fn keep_last_writes(plan: &mut Plan) {
    let mut later: BTreeSet<String> = BTreeSet::new();
    let mut kept = Vec::new();
    for step in std::mem::take(&mut plan.steps).into_iter().rev() {
        match &step {
            Step::Write(file) => {
                if file.path != HOOK_RECORD && !later.insert(file.path.clone()) {
                    continue;
                }
            }
            Step::Mask { path, .. } => {
                later.insert(path.clone());
            }
            Step::Hostname(_)
            | Step::Run(_)
            | Step::Keys(_)
            | Step::Remove { .. }
            | Step::Unmask { .. } => {}
        }
        kept.push(step);
    }
    kept.reverse();
    plan.steps = kept;
}
