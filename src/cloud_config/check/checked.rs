//! A document in which every value has been checked.

use std::collections::BTreeMap;

use super::files::File;
use super::hooks::HookChanges;
use super::units::Unit;
use super::users::{KeyHolder, User};

/// The values of a document, all of which can be applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// The host name to set; `None` to keep it.
    pub hostname: Option<String>,
    /// The host name for `/etc/hosts`; `None` to keep that file.
    pub hosts: Option<String>,
    /// The users to create or change.
    pub users: Vec<User>,
    /// The users who get SSH keys.
    pub key_holders: Vec<KeyHolder>,
    /// The files to write, each path once.
    pub files: Vec<File>,
    /// The environment variables by service, such as `etcd.service`.
    pub environments: BTreeMap<&'static str, BTreeMap<String, String>>,
    /// The variables of flannel, which are written to a file of their own.
    pub flannel: BTreeMap<String, String>,
    /// The units.
    pub units: Vec<Unit>,
    /// The hooks to write and to remove; `None` to keep them as they are.
    pub hooks: Option<HookChanges>,
}
