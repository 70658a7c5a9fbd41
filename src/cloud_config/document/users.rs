//! `users`

use super::{Placed, text, texts};
use crate::cloud_config::node::Node;
use crate::cloud_config::report::{Place, Report};

/// A user. One that is there already only gets the password and the keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// Where it begins.
    pub place: Place,
    /// The login name.
    pub name: Option<Placed<String>>,
    /// The password's hash.
    pub password: Option<String>,
    /// Keys that may log in.
    pub ssh_authorized_keys: Vec<Placed<String>>,
    /// The full name.
    pub gecos: Option<String>,
    /// The home directory.
    pub home: Option<Placed<String>>,
    /// Whether it is not made.
    pub no_create_home: bool,
    /// The group it belongs to first.
    pub primary_group: Option<String>,
    /// Other groups.
    pub groups: Vec<Placed<String>>,
    /// Whether no group of the same name is made.
    pub no_user_group: bool,
    /// Whether it is for a service.
    pub system: bool,
    /// Whether it is kept out of the logs of logins.
    pub no_log_init: bool,
    /// The shell.
    pub shell: Option<String>,
}

const KEYS: &[&str] = &[
    "gecos",
    "groups",
    "homedir",
    "name",
    "no_create_home",
    "no_log_init",
    "no_user_group",
    "passwd",
    "primary_group",
    "shell",
    "ssh_authorized_keys",
    "system",
];

pub(super) fn parse(node: &Node, report: &mut Report) -> Option<User> {
    const WHAT: &str = "a user";
    let mut user = User {
        place: node.place.whole_line(),
        ..User::default()
    };
    let entries = node.entries(WHAT, report);
    if !node.is_map() {
        return None;
    }
    for entry in entries {
        let what = format!("a user's {}", entry.name);
        let node = entry.value;
        match entry.name.as_str() {
            "name" => user.name = text(&entry, &what, report).or(user.name),
            "passwd" => user.password = node.text(&what, report).or(user.password),
            "gecos" => user.gecos = node.text(&what, report).or(user.gecos),
            "homedir" => user.home = text(&entry, &what, report).or(user.home),
            "primary_group" => user.primary_group = node.text(&what, report).or(user.primary_group),
            "shell" => user.shell = node.text(&what, report).or(user.shell),
            "groups" => user.groups.extend(texts(&entry, &what, report)),
            "ssh_authorized_keys" => {
                let keys = texts(&entry, &what, report);
                user.ssh_authorized_keys.extend(keys);
            }
            "no_create_home" => set(&mut user.no_create_home, node, &what, report),
            "no_user_group" => set(&mut user.no_user_group, node, &what, report),
            "system" => set(&mut user.system, node, &what, report),
            "no_log_init" => set(&mut user.no_log_init, node, &what, report),
            _ => entry.is_unknown(WHAT, KEYS, report),
        }
    }
    Some(user)
}

fn set(flag: &mut bool, node: &Node, what: &str, report: &mut Report) {
    *flag = node.truth(what, report).unwrap_or(*flag);
}
