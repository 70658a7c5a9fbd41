//! What a document says: each section as it is written, nothing checked but its kind.
//!
//! A part of the wrong kind, or with a key nobody knows, is left out with a warning; the rest counts.

mod files;
mod hooks;
mod units;
mod users;
mod variables;

pub use files::FileEntry;
pub use hooks::{Hook, Setting};
pub use units::{DropIn, Unit};
pub use users::User;
pub use variables::{FLANNEL, Variable, Variables};

use super::node::{Entry, Node, Value};
use super::report::{Place, Report, nearest, shown};
use super::substitute;

/// A value, and where its key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed<T> {
    /// The value.
    pub value: T,
    /// Where it is.
    pub place: Place,
}

/// A document, as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// `hostname`
    pub hostname: Option<Placed<String>>,
    /// `manage_etc_hosts`
    pub manage_etc_hosts: Option<Placed<String>>,
    /// `ssh_authorized_keys`
    pub ssh_authorized_keys: Vec<Placed<String>>,
    /// `users`
    pub users: Vec<User>,
    /// `write_files`
    pub write_files: Vec<FileEntry>,
    /// `coreos.etcd`
    pub etcd: Variables,
    /// `coreos.fleet`
    pub fleet: Variables,
    /// `coreos.flannel`
    pub flannel: Variables,
    /// `coreos.locksmith`
    pub locksmith: Variables,
    /// `coreos.units`
    pub units: Vec<Unit>,
    /// `coreos.exec-watch`; none if that section does not count.
    pub hooks: Option<Vec<Hook>>,
}

/// The sections at the top of a document.
const TOP: &[&str] = &[
    "coreos",
    "hostname",
    "manage_etc_hosts",
    "ssh_authorized_keys",
    "users",
    "write_files",
];

/// The sections below `coreos`.
const COREOS: &[&str] = &[
    "etcd",
    "exec_watch",
    "flannel",
    "fleet",
    "locksmith",
    "units",
];

/// Sections below `coreos` that other tools handled.
const NOT_OURS: &[&str] = &["etcd2", "oem", "update"];

/// Which sections count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sections(Option<Vec<String>>);

impl Sections {
    /// From names such as `coreos`, `write_files` or `coreos.units`, with `-` or `_`.
    ///
    /// # Errors
    ///
    /// A name that is no section, as a sentence.
    pub fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut chosen = Vec::new();
        for name in names {
            let name = name.trim().replace('-', "_");
            let known = match name.strip_prefix("coreos.") {
                Some(below) => COREOS.contains(&below),
                None => TOP.contains(&name.as_str()),
            };
            if !known {
                let near = nearest(&name, TOP.iter().copied());
                return Err(format!("{} is no section{near}", shown(&name)));
            }
            chosen.push(name);
        }
        Ok(Self(Some(chosen)))
    }

    fn top(&self, name: &str) -> bool {
        self.0.as_ref().is_none_or(|chosen| {
            let below = |one: &String| one.split('.').next() == Some(name);
            chosen.iter().any(below)
        })
    }

    fn coreos(&self, name: &str) -> bool {
        self.0.as_ref().is_none_or(|chosen| {
            let covers =
                |one: &String| one == "coreos" || one.strip_prefix("coreos.") == Some(name);
            chosen.iter().any(covers)
        })
    }

    /// Whether keys that no section has are reported.
    fn are_all(&self) -> bool {
        self.0.is_none()
    }
}

/// What a document says in the sections that count.
pub fn parse(node: &Node, sections: &Sections, report: &mut Report) -> Document {
    let mut document = Document {
        hooks: sections.coreos("exec_watch").then(Vec::new),
        ..Document::default()
    };
    if node.value == Value::Null {
        return document;
    }
    for entry in node.entries("the document", report) {
        if !TOP.contains(&entry.name.as_str()) {
            if sections.are_all() {
                entry.is_unknown("a cloud-config", TOP, report);
            }
        } else if sections.top(&entry.name) {
            document.top(&entry, sections, report);
        }
    }
    document
}

impl Document {
    fn top(&mut self, entry: &Entry<'_>, sections: &Sections, report: &mut Report) {
        if entry.name != "coreos" {
            addresses_are_known(entry, report);
        }
        match entry.name.as_str() {
            "coreos" => {
                for entry in entry.value.entries("coreos", report) {
                    if sections.coreos(&entry.name) {
                        addresses_are_known(&entry, report);
                        self.coreos(&entry, report);
                    }
                }
            }
            "hostname" => self.hostname = text(entry, "hostname", report).or(self.hostname.take()),
            "manage_etc_hosts" => {
                let value = text(entry, "manage_etc_hosts", report);
                self.manage_etc_hosts = value.or(self.manage_etc_hosts.take());
            }
            "ssh_authorized_keys" => {
                let keys = texts(entry, "ssh_authorized_keys", report);
                self.ssh_authorized_keys.extend(keys);
            }
            "users" => {
                let items = entry.value.items("users", report);
                self.users
                    .extend(items.iter().filter_map(|item| users::parse(item, report)));
            }
            _ => {
                let items = entry.value.items("write_files", report);
                self.write_files
                    .extend(items.iter().filter_map(|item| files::parse(item, report)));
            }
        }
    }

    fn coreos(&mut self, entry: &Entry<'_>, report: &mut Report) {
        match entry.name.as_str() {
            "etcd" => variables::etcd(entry.value, &mut self.etcd, report),
            "fleet" => variables::fleet(entry.value, &mut self.fleet, report),
            "flannel" => variables::flannel(entry.value, &mut self.flannel, report),
            "locksmith" => variables::locksmith(entry.value, &mut self.locksmith, report),
            "units" => {
                let items = entry.value.items("coreos.units", report);
                self.units
                    .extend(items.iter().filter_map(|item| units::parse(item, report)));
            }
            "exec_watch" => {
                let items = entry.value.items("coreos.exec-watch", report);
                let hooks = items.iter().filter_map(|item| hooks::parse(item, report));
                self.hooks.get_or_insert_default().extend(hooks);
            }
            name if NOT_OURS.contains(&name) => {
                let message = format!("coreos.{name} is not handled here; left out");
                report.warning(entry.place, message);
            }
            name if TOP.contains(&name) => {
                let message = format!("{name} belongs at the top, not below coreos; left out");
                report.warning(entry.place, message);
            }
            _ => entry.is_unknown("coreos", COREOS, report),
        }
    }
}

/// A text, with the place of its key.
fn text(entry: &Entry<'_>, what: &str, report: &mut Report) -> Option<Placed<String>> {
    let value = entry.value.text(what, report)?;
    Some(Placed {
        value,
        place: entry.place,
    })
}

/// A list of texts, each with its own place.
fn texts(entry: &Entry<'_>, what: &str, report: &mut Report) -> Vec<Placed<String>> {
    let mut found = Vec::new();
    let item_of = format!("an item of {what}");
    for item in entry.value.items(what, report) {
        found.extend(item.text(&item_of, report).map(|value| Placed {
            value,
            place: item.place.whole_line(),
        }));
    }
    found
}

/// An address that is asked for and unknown would leave a hole in the document.
fn addresses_are_known(entry: &Entry<'_>, report: &mut Report) {
    let mut parts = vec![entry.value];
    while let Some(node) = parts.pop() {
        match &node.value {
            Value::Null => {}
            Value::List(items) => parts.extend(items),
            Value::Map(pairs) => parts.extend(pairs.iter().flat_map(|(key, value)| [key, value])),
            Value::Scalar { text, .. } => {
                if let Some(kind) = substitute::unknown(text) {
                    let (name, variable) = (kind.name(), kind.variable());
                    let message = format!(
                        "${name} is not known; set {variable} in the environment or /etc/environment, or \
                         use --detect-addresses"
                    );
                    report.error(node.place.whole_line(), message);
                }
            }
        }
    }
}
