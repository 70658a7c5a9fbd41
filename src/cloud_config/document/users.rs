//! `users`

use crate::cloud_config::node::{Located, Node};
use crate::cloud_config::report::{Position, Report};

/// An item of `users`. Of a user that exists, only the password and the keys are changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// Its first line.
    pub position: Position,
    /// The login name.
    pub name: Option<Located<String>>,
    /// The password hash.
    pub password: Option<String>,
    /// The SSH keys.
    pub ssh_authorized_keys: Vec<Located<String>>,
    /// The full name.
    pub gecos: Option<String>,
    /// The home directory.
    pub home: Option<Located<String>>,
    /// Whether the home directory is not created.
    pub no_create_home: bool,
    /// The primary group.
    pub primary_group: Option<String>,
    /// Supplementary groups.
    pub groups: Vec<Located<String>>,
    /// Whether no group of the same name is created.
    pub no_user_group: bool,
    /// Whether it is a system account.
    pub system: bool,
    /// Whether it is not added to the lastlog and faillog databases.
    pub no_log_init: bool,
    /// The login shell.
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
        position: node.position.without_column(),
        ..User::default()
    };
    let entries = node.entries(WHAT, report);
    if !node.is_map() {
        return None;
    }
    for entry in entries {
        let what = format!("the {} of a user", entry.name);
        let node = entry.value;
        match entry.name.as_str() {
            "name" => user.name = entry.text(&what, report).or(user.name),
            "passwd" => user.password = node.text(&what, report).or(user.password),
            "gecos" => user.gecos = node.text(&what, report).or(user.gecos),
            "homedir" => user.home = entry.text(&what, report).or(user.home),
            "primary_group" => user.primary_group = node.text(&what, report).or(user.primary_group),
            "shell" => user.shell = node.text(&what, report).or(user.shell),
            "groups" => user.groups.extend(entry.texts(&what, report)),
            "ssh_authorized_keys" => {
                let keys = entry.texts(&what, report);
                user.ssh_authorized_keys.extend(keys);
            }
            "no_create_home" => set_flag(&mut user.no_create_home, node, &what, report),
            "no_user_group" => set_flag(&mut user.no_user_group, node, &what, report),
            "system" => set_flag(&mut user.system, node, &what, report),
            "no_log_init" => set_flag(&mut user.no_log_init, node, &what, report),
            _ => entry.report_unknown(WHAT, KEYS, report),
        }
    }
    Some(user)
}

fn set_flag(flag: &mut bool, node: &Node, what: &str, report: &mut Report) {
    *flag = node.bool(what, report).unwrap_or(*flag);
}
