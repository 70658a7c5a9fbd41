//! What to do on the machine, pure: a checked document in, files and commands out.

mod commands;
mod environment;
mod hooks;

use std::collections::{BTreeMap, BTreeSet};

pub use commands::{After, Happened, after};
pub use environment::merged;

use super::accounts::{Accounts, Owner};
use super::check::{Checked, KeyHolder, Unit, User, Verb};
use super::document::FLANNEL;
use super::quote;
use super::written::RECORD;

/// A program and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The program, and what it is told.
    pub words: Vec<String>,
    /// What it reads, which nobody else shall see; empty for nothing.
    pub input: String,
}

impl Command {
    /// A command that reads nothing.
    pub fn new<W: Into<String>>(words: impl IntoIterator<Item = W>) -> Self {
        Self {
            words: words.into_iter().map(Into::into).collect(),
            input: String::new(),
        }
    }
}

/// A file as it shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Where it goes, absolute.
    pub path: String,
    /// What is in it.
    pub content: Vec<u8>,
    /// Its permissions.
    pub mode: u32,
    /// Who owns it; none for whoever writes it.
    pub owner: Option<Owner>,
    /// Who has to hear of it when it changes.
    pub wakes: Wakes,
}

/// Who has to hear of a changed file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wakes {
    /// Nobody.
    Nobody,
    /// systemd, for this unit.
    Unit(String),
    /// This unit, whose own file it is not.
    Service(String),
    /// systemd's network daemon.
    Network,
}

/// One thing to do before any unit hears of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Give the machine its name, if it has another.
    Hostname(String),
    /// Run a command.
    Run(Command),
    /// Add keys to those a user has.
    Keys(KeyHolder),
    /// Write a file, if it is not like that.
    Write(File),
    /// Take a file away, if it is there.
    Remove {
        /// Where.
        path: String,
        /// Who has to hear of it.
        wakes: Wakes,
    },
    /// Put a link to nothing where a unit's file would be.
    Mask {
        /// Where.
        path: String,
        /// The unit.
        unit: String,
    },
    /// Take such a link, or an empty file, away.
    Unmask {
        /// Where.
        path: String,
        /// The unit.
        unit: String,
    },
}

/// A unit that may have to be started, stopped or restarted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The unit's name.
    pub unit: String,
    /// What the document wants; none to restart it if it runs and its files changed.
    pub verb: Option<Verb>,
}

/// A unit that is started at each boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enable {
    /// The unit's name.
    pub unit: String,
    /// Whether only until the next boot.
    pub runtime: bool,
}

/// All there is to do, in order: the steps, then what [`after`] makes of the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What to do first.
    pub steps: Vec<Step>,
    /// Units to enable.
    pub enables: Vec<Enable>,
    /// Units to queue, in the document's order.
    pub services: Vec<Service>,
}

/// The drop-in that holds a service's variables.
const DROP_IN: &str = "20-cloudinit.conf";

/// Where the drop-in with a service's variables goes.
pub fn variables_path(service: &str) -> String {
    format!("/run/systemd/system/{service}.d/{DROP_IN}")
}

/// The file of host names.
pub const HOSTS: &str = "/etc/hosts";

/// Where the options of flannel go.
pub const FLANNEL_OPTIONS: &str = "/run/flannel/options.env";

/// The service that reads the options of flannel, from a file.
const FLANNELD: &str = "flanneld.service";

/// Make the plan.
pub fn plan(checked: &Checked, accounts: &Accounts) -> Plan {
    let mut plan = Plan::default();
    plan.steps
        .extend(checked.hostname.clone().map(Step::Hostname));
    for user in &checked.users {
        plan.steps
            .extend(user_command(user, accounts).map(Step::Run));
    }
    let keys = checked.key_holders.iter().cloned();
    plan.steps.extend(keys.map(Step::Keys));
    plan.files(checked);
    for unit in &checked.units {
        plan.unit(unit);
    }
    plan.environments(&checked.environments);
    if !checked.flannel.is_empty() {
        plan.heed(FLANNELD);
    }
    if let Some(hooks) = &checked.hooks {
        plan.hooks(hooks);
    }
    plan.write_once();
    plan
}

impl Plan {
    fn write(&mut self, path: String, content: Vec<u8>, wakes: Wakes) {
        self.steps.push(Step::Write(File {
            path,
            content,
            mode: super::check::MODE,
            owner: None,
            wakes,
        }));
    }

    /// Of several that write a path only the last one does: otherwise each run would change the file and
    /// change it back. The record of hooks is written twice on purpose.
    fn write_once(&mut self) {
        let mut later: BTreeSet<String> = BTreeSet::new();
        let mut kept = Vec::new();
        for step in std::mem::take(&mut self.steps).into_iter().rev() {
            match &step {
                Step::Write(file) => {
                    if file.path != RECORD && !later.insert(file.path.clone()) {
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
        self.steps = kept;
    }

    fn files(&mut self, checked: &Checked) {
        if let Some(name) = &checked.hosts {
            let content = format!("127.0.0.1 {name}\n");
            self.write(String::from(HOSTS), content.into_bytes(), Wakes::Nobody);
        }
        for file in &checked.files {
            self.steps.push(Step::Write(File {
                path: file.path.clone(),
                content: file.content.clone(),
                mode: file.mode,
                owner: file.owner.clone(),
                wakes: wakes(&file.path),
            }));
        }
        if !checked.flannel.is_empty() {
            let values = &checked.flannel;
            let lines: Vec<String> = FLANNEL
                .iter()
                .filter_map(|(_, name)| Some(quote::file_line(name, values.get(*name)?)))
                .collect();
            let path = String::from(FLANNEL_OPTIONS);
            let wakes = Wakes::Service(String::from(FLANNELD));
            self.write(path, lines.join("\n").into_bytes(), wakes);
        }
    }

    fn unit(&mut self, unit: &Unit) {
        let name = &unit.name;
        let network = unit.is_network();
        let wakes = match network {
            true => Wakes::Network,
            false => Wakes::Unit(name.clone()),
        };
        let path = unit.path();
        match &unit.content {
            Some(content) => self.write(path.clone(), content.clone().into_bytes(), wakes.clone()),
            None if unit.runtime && !unit.mask => self.steps.push(Step::Unmask {
                path: path.clone(),
                unit: name.clone(),
            }),
            None => {}
        }
        for drop_in in &unit.drop_ins {
            let path = unit.drop_in_path(&drop_in.name);
            self.write(path, drop_in.content.clone().into_bytes(), wakes.clone());
        }
        if unit.mask {
            let unit = name.clone();
            self.steps.push(Step::Mask { path, unit });
        }
        if network {
            return;
        }
        if unit.enable {
            self.enables.push(Enable {
                unit: name.clone(),
                runtime: unit.runtime,
            });
        }
        let service = Service {
            unit: name.clone(),
            verb: unit.verb,
        };
        if !self.services.contains(&service) {
            self.services.push(service);
        }
    }

    fn environments(&mut self, environments: &BTreeMap<&'static str, BTreeMap<String, String>>) {
        for (service, values) in environments {
            let mut text = String::from("[Service]\n");
            for (name, value) in values {
                text.push_str(&quote::environment_line(name, value));
                text.push('\n');
            }
            let path = variables_path(service);
            let unit = String::from(*service);
            self.write(path, text.into_bytes(), Wakes::Unit(unit.clone()));
            self.heed(service);
        }
    }

    /// A service whose environment changes is restarted if it runs, whether the document names it or not.
    fn heed(&mut self, unit: &str) {
        self.unless_named(String::from(unit), None);
    }

    fn unless_named(&mut self, unit: String, verb: Option<Verb>) {
        if !self.services.iter().any(|one| one.unit == unit) {
            self.services.push(Service { unit, verb });
        }
    }
}

/// A file that a document writes to where systemd has its own is a unit's, too.
fn wakes(path: &str) -> Wakes {
    for folder in ["/etc/systemd/system/", "/run/systemd/system/"] {
        let Some(below) = path.strip_prefix(folder) else {
            continue;
        };
        let first = below.split('/').next().unwrap_or_default();
        return Wakes::Unit(String::from(first.strip_suffix(".d").unwrap_or(first)));
    }
    match path.starts_with("/etc/systemd/network/") || path.starts_with("/run/systemd/network/") {
        true => Wakes::Network,
        false => Wakes::Nobody,
    }
}

fn user_command(user: &User, accounts: &Accounts) -> Option<Command> {
    let password = user
        .password
        .as_ref()
        .filter(|password| !password.is_empty());
    if user.exists {
        let hash = password.filter(|hash| !accounts.has_password(&user.name, hash))?;
        let mut command = Command::new(["chpasswd", "-e"]);
        command.input = format!("{}:{hash}", user.name);
        return Some(command);
    }
    let details = &user.details;
    let mut command = Command::new(["useradd", "--password"]);
    let words = &mut command.words;
    words.push(password.map_or_else(|| String::from("*"), String::clone));
    let comment = details.gecos.as_ref().filter(|gecos| !gecos.is_empty());
    option(
        words,
        "--comment",
        comment.map(|gecos| quote::go_quoted(gecos)),
    );
    option(
        words,
        "--home-dir",
        details.home.as_ref().map(|home| home.value.clone()),
    );
    let home = if details.no_create_home {
        "--no-create-home"
    } else {
        "--create-home"
    };
    words.push(String::from(home));
    option(words, "--gid", details.primary_group.clone());
    let groups: Vec<&str> = details
        .groups
        .iter()
        .map(|group| group.value.as_str())
        .collect();
    option(words, "--groups", Some(groups.join(",")));
    for (flag, set) in [
        ("--no-user-group", details.no_user_group),
        ("--system", details.system),
        ("--no-log-init", details.no_log_init),
    ] {
        words.extend(set.then(|| String::from(flag)));
    }
    option(words, "--shell", details.shell.clone());
    words.push(user.name.clone());
    Some(command)
}

/// An option with its value, if there is one.
fn option(words: &mut Vec<String>, flag: &str, value: Option<String>) {
    if let Some(value) = value.filter(|value| !value.is_empty()) {
        words.extend([String::from(flag), value]);
    }
}
