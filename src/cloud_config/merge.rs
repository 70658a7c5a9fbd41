//! Merges the document over the metadata that came with it and over the state of the host.

use super::accounts::Accounts;
use super::document::{Document, Located, Variable};
use super::hook_record::HostHooks;
use super::report::Position;

/// The state of the host before the run.
#[derive(Clone, Debug, Default)]
pub struct HostState {
    /// `/etc/machine-id`
    pub machine_id: Option<String>,
    /// `/etc/hostname`, or else the kernel's host name unless `--root` is given.
    pub hostname: Option<String>,
    /// Its users and groups.
    pub accounts: Accounts,
    /// Its hooks.
    pub hooks: HostHooks,
}

/// Metadata from the source of the document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The host name, used if the document sets none.
    pub hostname: Option<String>,
    /// SSH keys, added to those of the document.
    pub ssh_authorized_keys: Vec<String>,
}

/// A document with the values that it does not set itself.
#[derive(Clone, Debug)]
pub struct Merged {
    /// The document.
    pub document: Document,
    /// The host name that the host will have; `None` if it is not known.
    pub hostname: Option<String>,
}

impl Document {
    /// This document merged over the metadata and the state of the host.
    #[must_use]
    pub fn merge(mut self, metadata: &Metadata, host: &HostState) -> Merged {
        let located = |value: &String| Located {
            value: value.clone(),
            position: Position::default(),
        };
        let is_named = |name: &Located<String>| !name.value.trim().is_empty();
        self.hostname = self.hostname.filter(is_named);
        self.hostname = self.hostname.or(metadata.hostname.as_ref().map(located));
        let keys = metadata.ssh_authorized_keys.iter().map(located);
        self.ssh_authorized_keys.extend(keys);
        let set = self.hostname.as_ref().map(|name| to_host_name(&name.value));
        let hostname = set.or_else(|| host.hostname.clone());
        self.set_default_member_name(host.machine_id.as_ref().or(hostname.as_ref()));
        Merged {
            document: self,
            hostname,
        }
    }

    /// Names a member that the document does not name. The machine id is preferred because it does not change
    /// with the host name.
    fn set_default_member_name(&mut self, name: Option<&String>) {
        const NAME: &str = "ETCD_NAME";
        let etcd = &mut self.etcd;
        let is_named = etcd
            .values
            .get(NAME)
            .is_some_and(|name| !name.value.is_empty());
        if let (true, false, Some(name)) = (etcd.is_set, is_named, name) {
            let variable = Variable {
                value: name.clone(),
                position: Position::default(),
            };
            etcd.values.insert(String::from(NAME), variable);
        }
    }
}

/// A valid host name from a text, simplified as by hostnamectl(1): white space becomes `-`, other characters
/// that are not allowed are removed.
pub(super) fn to_host_name(text: &str) -> String {
    let simplify = |c: char| match c {
        c if c.is_whitespace() => Some('-'),
        c if c.is_ascii_alphanumeric() || "-._".contains(c) => Some(c),
        _ => None,
    };
    text.trim().chars().filter_map(simplify).collect()
}
