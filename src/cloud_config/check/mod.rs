//! From what a document says to what can be done: every value is looked at before anything is touched.
//!
//! What cannot be done is an error, and then there is no [`Checked`]. What the tools of the time applied
//! although it will hardly do what was meant is a warning.

mod files;
mod hooks;
mod twice;
mod units;
mod users;
mod variables;

use std::collections::BTreeMap;

pub use files::{File, MODE};
pub use hooks::{Hook, Hooks};
pub use units::{DropIn, Unit, Verb};
pub use users::{KeyHolder, User};

use super::document::Placed;
use super::merge::{Machine, Merged, host_name};
use super::report::{Place, Report, shown};

/// What a document asks for, all of it possible.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// The name the machine shall have; none to leave it.
    pub hostname: Option<String>,
    /// The name for `/etc/hosts`; none to leave that file.
    pub hosts: Option<String>,
    /// Users to make or change.
    pub users: Vec<User>,
    /// Whose keys there are.
    pub key_holders: Vec<KeyHolder>,
    /// Files to write, of which a later one wins.
    pub files: Vec<File>,
    /// Variables by service, such as `etcd.service`.
    pub environments: BTreeMap<&'static str, BTreeMap<String, String>>,
    /// Variables of flannel, which has a file for them.
    pub flannel: BTreeMap<String, String>,
    /// Units.
    pub units: Vec<Unit>,
    /// Hooks; none to leave them.
    pub hooks: Option<Hooks>,
}

/// Look at a whole document; none if there is an error in the report. `ssh_user` is who gets the keys at
/// the top of the document.
pub fn check(
    merged: &Merged,
    machine: &Machine,
    ssh_user: &str,
    report: &mut Report,
) -> Option<Checked> {
    let document = &merged.document;
    let accounts = &machine.accounts;
    let checked = Checked {
        hostname: document
            .hostname
            .as_ref()
            .and_then(|name| hostname(name, report)),
        hosts: hosts(merged, report),
        users: users::check(&document.users, accounts, report),
        key_holders: users::key_holders(document, accounts, ssh_user, report),
        files: files::check(document, accounts, report),
        environments: variables::environments(document, report),
        flannel: variables::checked(&document.flannel, "coreos.flannel", report),
        units: units::check(&document.units, report),
        hooks: hooks::check(document, &machine.hooks, report),
    };
    twice::check(document, &checked, report);
    (!report.has_errors()).then_some(checked)
}

fn hostname(name: &Placed<String>, report: &mut Report) -> Option<String> {
    const EXPECTED: &str = "expected letters, digits, - and ., at most 253";
    let given = name.value.trim();
    let value = host_name(given);
    let good = is_plain_line(given)
        && !value.is_empty()
        && value.len() <= 253
        && !value.starts_with(['-', '.']);
    if !good {
        let message = format!("hostname is {}, {EXPECTED}", shown(given));
        return refuse(name.place, message, report);
    }
    if value != given {
        let message = format!("hostname is {}, {EXPECTED}; {value} is used", shown(given));
        report.warning(name.place, message);
    }
    Some(value)
}

fn hosts(merged: &Merged, report: &mut Report) -> Option<String> {
    let asked = merged.document.manage_etc_hosts.as_ref()?;
    match (asked.value.as_str(), &merged.hostname) {
        ("", _) => None,
        ("localhost", Some(name)) => Some(name.clone()),
        ("localhost", None) => {
            let message = "manage_etc_hosts needs a host name, and nobody knows one; set hostname";
            report.error(asked.place, message);
            None
        }
        (other, _) => {
            let message = format!("manage_etc_hosts is {}, expected localhost", shown(other));
            report.error(asked.place, message);
            None
        }
    }
}

/// A text that stands in a file of lines, or as one argument.
fn is_plain_line(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

/// Refuse the value of a key.
fn refuse<T>(place: Place, message: String, report: &mut Report) -> Option<T> {
    report.error(place, message);
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_a_name_that_a_host_can_have() {
        let named = |text: &str| {
            let mut report = Report::default();
            let name = Placed {
                value: String::from(text),
                place: Place::line(2),
            };
            (hostname(&name, &mut report), report.text("f"))
        };
        for good in ["a", "node-1.example", "a_b"] {
            assert_eq!(named(good), (Some(String::from(good)), String::new()));
        }
        assert_eq!(named("a\n"), (Some(String::from("a")), String::new()));
        let (name, said) = named("Anna's Host");
        assert_eq!(name.as_deref(), Some("Annas-Host"));
        assert!(said.starts_with("f:2: warning: "), "{said}");
        for bad in ["a\nb", "-a", ".", "\u{4e2d}", &"a".repeat(254)] {
            assert_eq!(named(bad).0, None, "{bad:?}");
        }
    }
}
