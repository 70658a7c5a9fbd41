//! The sections of a document as they are written; only the kinds of the values are checked.
//!
//! A value of the wrong kind and an unknown key are ignored with a warning; the rest is used.

mod files;
mod hooks;
mod units;
mod users;
mod variables;

use std::fmt;

pub use super::node::Located;
pub use files::FileEntry;
pub use hooks::{Hook, Setting};
pub use units::{DropIn, Unit};
pub use users::User;
pub use variables::{FLANNEL, Variable, Variables};

use super::node::{Entry, Node, Value};
use super::report::{Report, quoted, suggestion};
use super::substitute;

/// A document as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// `hostname`
    pub hostname: Option<Located<String>>,
    /// `manage_etc_hosts`
    pub manage_etc_hosts: Option<Located<String>>,
    /// `ssh_authorized_keys`
    pub ssh_authorized_keys: Vec<Located<String>>,
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
    /// `coreos.exec-watch`; `None` if that section is not selected.
    pub hooks: Option<Vec<Hook>>,
}

/// The sections at the top level of a document.
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

/// Sections below `coreos` that this program does not support.
const UNSUPPORTED: &[&str] = &["etcd2", "oem", "update"];

/// The sections to apply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sections(Option<Vec<String>>);

/// The error for a name that is not that of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownSection {
    name: String,
}

impl fmt::Display for UnknownSection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suggestion = suggestion(&self.name, TOP.iter().copied());
        write!(f, "unknown section {}{suggestion}", quoted(&self.name))
    }
}

impl std::error::Error for UnknownSection {}

impl Sections {
    /// The sections with names such as `coreos`, `write_files` or `coreos.units`, spelled with `-` or `_`.
    ///
    /// # Errors
    ///
    /// [`UnknownSection`]: a name is not that of a section.
    pub fn from_names<'a>(
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, UnknownSection> {
        let mut chosen = Vec::new();
        for name in names {
            let name = name.trim().replace('-', "_");
            let known = match name.strip_prefix("coreos.") {
                Some(below) => COREOS.contains(&below),
                None => TOP.contains(&name.as_str()),
            };
            if !known {
                return Err(UnknownSection { name });
            }
            chosen.push(name);
        }
        Ok(Self(Some(chosen)))
    }

    fn has_top(&self, name: &str) -> bool {
        self.0.as_ref().is_none_or(|chosen| {
            let covers = |one: &String| one.split('.').next() == Some(name);
            chosen.iter().any(covers)
        })
    }

    fn has_coreos(&self, name: &str) -> bool {
        self.0.as_ref().is_none_or(|chosen| {
            let covers =
                |one: &String| one == "coreos" || one.strip_prefix("coreos.") == Some(name);
            chosen.iter().any(covers)
        })
    }

    /// Whether all sections are selected; only then unknown ones are reported.
    fn are_all(&self) -> bool {
        self.0.is_none()
    }
}

/// Reads the selected sections of a document.
pub fn parse(node: &Node, sections: &Sections, report: &mut Report) -> Document {
    let mut document = Document {
        hooks: sections.has_coreos("exec_watch").then(Vec::new),
        ..Document::default()
    };
    if node.value == Value::Null {
        return document;
    }
    for entry in node.entries("the document", report) {
        if !TOP.contains(&entry.name.as_str()) {
            if sections.are_all() {
                entry.report_unknown("a cloud-config", TOP, report);
            }
        } else if sections.has_top(&entry.name) {
            document.read_top(&entry, sections, report);
        }
    }
    document
}

impl Document {
    fn read_top(&mut self, entry: &Entry<'_>, sections: &Sections, report: &mut Report) {
        if entry.name != "coreos" {
            report_unknown_addresses(entry, report);
        }
        match entry.name.as_str() {
            "coreos" => {
                for entry in entry.value.entries("coreos", report) {
                    if sections.has_coreos(&entry.name) {
                        report_unknown_addresses(&entry, report);
                        self.read_coreos(&entry, report);
                    }
                }
            }
            "hostname" => self.hostname = entry.text("hostname", report).or(self.hostname.take()),
            "manage_etc_hosts" => {
                let value = entry.text("manage_etc_hosts", report);
                self.manage_etc_hosts = value.or(self.manage_etc_hosts.take());
            }
            "ssh_authorized_keys" => {
                let keys = entry.texts("ssh_authorized_keys", report);
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

    fn read_coreos(&mut self, entry: &Entry<'_>, report: &mut Report) {
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
            name if UNSUPPORTED.contains(&name) => {
                let message = format!("coreos.{name} is not supported; ignored");
                report.warning(entry.position, message);
            }
            name if TOP.contains(&name) => {
                let message = format!("{name} belongs at the top level, not below coreos; ignored");
                report.warning(entry.position, message);
            }
            _ => entry.report_unknown("coreos", COREOS, report),
        }
    }
}

/// Reports each address variable without a known address: its value would be incomplete.
fn report_unknown_addresses(entry: &Entry<'_>, report: &mut Report) {
    let mut parts = vec![entry.value];
    while let Some(node) = parts.pop() {
        match &node.value {
            Value::Null => {}
            Value::List(items) => parts.extend(items),
            Value::Map(pairs) => parts.extend(pairs.iter().flat_map(|(key, value)| [key, value])),
            Value::Scalar { text, .. } => {
                if let Some(kind) = substitute::find_unknown(text) {
                    let (name, variable) = (kind.name(), kind.variable());
                    let message = format!(
                        "${name} is not known; set {variable} in the environment or in /etc/environment, or \
                         use --detect-addresses"
                    );
                    report.error(node.position.without_column(), message);
                }
            }
        }
    }
}
