//! The document over what else is known: what came beside it, and the machine itself.

use super::accounts::Accounts;
use super::document::{Document, Placed, Variable};
use super::report::Place;
use super::written::Hooks;

/// What the machine says about itself.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// `/etc/machine-id`
    pub machine_id: Option<String>,
    /// `/etc/hostname`, or the kernel's name where nobody asked for another root.
    pub hostname: Option<String>,
    /// Its users and groups.
    pub accounts: Accounts,
    /// Its hooks.
    pub hooks: Hooks,
}

/// What came beside a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The host name, used where the document has none.
    pub hostname: Option<String>,
    /// Keys beside those of the document.
    pub ssh_authorized_keys: Vec<String>,
}

/// A document with all that it leaves to others.
#[derive(Clone, Debug)]
pub struct Merged {
    /// The document.
    pub document: Document,
    /// The name the machine will have; none if nobody knows one.
    pub hostname: Option<String>,
}

impl Document {
    /// This document over what came beside it, over what the machine says.
    #[must_use]
    pub fn merge(mut self, metadata: &Metadata, machine: &Machine) -> Merged {
        let placed = |value: &String| Placed {
            value: value.clone(),
            place: Place::default(),
        };
        let is_named = |name: &Placed<String>| !name.value.trim().is_empty();
        self.hostname = self.hostname.filter(is_named);
        self.hostname = self.hostname.or(metadata.hostname.as_ref().map(placed));
        let keys = metadata.ssh_authorized_keys.iter().map(placed);
        self.ssh_authorized_keys.extend(keys);
        let own = self.hostname.as_ref().map(|name| host_name(&name.value));
        let hostname = own.or_else(|| machine.hostname.clone());
        self.name_the_member(machine.machine_id.as_ref().or(hostname.as_ref()));
        Merged {
            document: self,
            hostname,
        }
    }

    /// A member without a name has the machine's id for one, as it stays the same when the host's name
    /// changes.
    fn name_the_member(&mut self, name: Option<&String>) {
        const NAME: &str = "ETCD_NAME";
        let etcd = &mut self.etcd;
        let named = etcd
            .values
            .get(NAME)
            .is_some_and(|name| !name.value.is_empty());
        if let (true, false, Some(name)) = (etcd.given, named, name) {
            let variable = Variable {
                value: name.clone(),
                place: Place::default(),
            };
            etcd.values.insert(String::from(NAME), variable);
        }
    }
}

/// The name that a host can have by a text, as hostnamectl(1) simplifies one: `-` for white space, and nothing
/// for other letters that no name has.
pub(super) fn host_name(text: &str) -> String {
    let letter = |letter: char| match letter {
        letter if letter.is_whitespace() => Some('-'),
        letter if letter.is_ascii_alphanumeric() || "-._".contains(letter) => Some(letter),
        _ => None,
    };
    text.trim().chars().filter_map(letter).collect()
}
