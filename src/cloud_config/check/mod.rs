//! Verifies that everything in a document can be applied, before anything is changed.
//!
//! What cannot be applied is an error, and then there is no [`Checked`]. What coreos-cloudinit applied although
//! it will probably not have the intended effect is a warning.

mod checked;
mod conflicts;
mod files;
mod hooks;
mod host;
mod text;
mod units;
mod users;
mod variables;

pub use checked::Checked;
pub use files::{File, MODE};
pub use hooks::HookChanges;
pub use units::{DropIn, Unit, Verb};
pub use users::{KeyHolder, User};

use super::merge::{HostState, Merged};
use super::report::Report;

/// Checks a document; `None` if the report has an error. `ssh_user` gets the keys at the top level.
pub fn check(
    merged: &Merged,
    host: &HostState,
    ssh_user: &str,
    report: &mut Report,
) -> Option<Checked> {
    let document = &merged.document;
    let accounts = &host.accounts;
    let checked = Checked {
        hostname: document
            .hostname
            .as_ref()
            .and_then(|name| host::hostname(name, report)),
        hosts: host::hosts(merged, report),
        users: users::check(&document.users, accounts, report),
        key_holders: users::key_holders(document, accounts, ssh_user, report),
        files: files::check(document, accounts, report),
        environments: variables::environments(document, report),
        flannel: variables::checked(&document.flannel, "coreos.flannel", report),
        units: units::check(&document.units, report),
        hooks: hooks::check(document, &host.hooks, report),
    };
    conflicts::check(document, &checked, report);
    (!report.has_errors()).then_some(checked)
}
