//! The commands for systemd and its units after all files are written.

use std::collections::BTreeSet;

use super::step::{Command, Notify, Plan, Service};
use crate::cloud_config::check::Verb;

/// The changes made by the steps, and the state of the units.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Units whose files changed.
    pub changed: BTreeSet<String>,
    /// Whether systemd has to reload its unit files.
    pub reload: bool,
    /// Whether systemd-networkd has to be restarted.
    pub network: bool,
    /// Units that are running or starting.
    pub active: BTreeSet<String>,
    /// Units that are enabled.
    pub enabled: BTreeSet<String>,
    /// The verbs and units that earlier runs queued since boot.
    pub queued: BTreeSet<(String, String)>,
}

impl Changes {
    /// Records the change of a file.
    pub fn record(&mut self, notify: &Notify) {
        match notify {
            Notify::Nothing => {}
            Notify::UnitFile(unit) => {
                self.reload = true;
                self.changed.insert(unit.clone());
            }
            Notify::Service(unit) => {
                self.changed.insert(unit.clone());
            }
            Notify::Networkd => {
                self.reload = true;
                self.network = true;
            }
        }
    }
}

/// The commands to run after the steps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remaining {
    /// The commands, in order.
    pub commands: Vec<Command>,
    /// The verbs and units that are queued if all commands succeed, each with the index of its command; `None`
    /// for those queued by an earlier run.
    pub queued: Vec<((String, String), Option<usize>)>,
}

impl Remaining {
    /// The verbs and units that are queued, given the indices of the commands that failed.
    pub fn queued_except(&self, failed: &BTreeSet<usize>) -> BTreeSet<(String, String)> {
        let succeeded = |command: &Option<usize>| command.is_none_or(|one| !failed.contains(&one));
        let queued = self.queued.iter().filter(|(_, command)| succeeded(command));
        queued.map(|(entry, _)| entry.clone()).collect()
    }
}

/// The commands that enable, start, stop and restart units, in order.
///
/// The jobs are not waited for, because this program runs before the units that it starts. A running unit
/// whose files changed is restarted instead of started. A verb that an earlier run queued is not queued again
/// unless files of the unit changed.
pub fn remaining_commands(plan: &Plan, changes: &Changes) -> Remaining {
    let mut commands = Vec::new();
    let mut reload = changes.reload;
    for enable in &plan.enables {
        if changes.enabled.contains(&enable.unit) && !changes.changed.contains(&enable.unit) {
            continue;
        }
        let runtime = enable.runtime.then_some("--runtime");
        let flags = ["systemctl", "enable", "--force", "--no-reload"];
        commands.push(unit_command(flags.into_iter().chain(runtime), &enable.unit));
        reload = true;
    }
    if reload {
        commands.push(Command::new(["systemctl", "daemon-reload"]));
    }
    if changes.network {
        let unit = "systemd-networkd.service";
        commands.push(unit_command(["systemctl", "restart", "--no-block"], unit));
    }
    let mut queued = Vec::new();
    for service in &plan.services {
        let mut index = None;
        if let Some(verb) = choose_verb(service, changes) {
            let words = ["systemctl", verb.systemctl_word(), "--no-block"];
            index = Some(commands.len());
            commands.push(unit_command(words, &service.unit));
        }
        let entry = |verb: Verb| (String::from(verb.word()), service.unit.clone());
        queued.extend(service.verb.map(|verb| (entry(verb), index)));
    }
    Remaining { commands, queued }
}

/// The verb to queue for a unit now.
fn choose_verb(service: &Service, changes: &Changes) -> Option<Verb> {
    let changed = changes.changed.contains(&service.unit);
    let is_active = changes.active.contains(&service.unit);
    match service.verb {
        Some(Verb::Start) if changed && is_active => Some(Verb::Restart),
        Some(verb) => {
            let earlier = (String::from(verb.word()), service.unit.clone());
            (changed || !changes.queued.contains(&earlier)).then_some(verb)
        }
        None => (changed && is_active).then_some(Verb::TryRestart),
    }
}

/// A command on a unit, whose name may begin with `-`, such as that of the root mount.
fn unit_command<'w>(words: impl IntoIterator<Item = &'w str>, unit: &'w str) -> Command {
    let guard = unit.starts_with('-').then_some("--");
    Command::new(words.into_iter().chain(guard).chain([unit]))
}

#[cfg(test)]
mod tests {
    use super::super::step::Enable;
    use super::*;

    fn quoted(plan: &Plan, changes: &Changes) -> Vec<String> {
        let remaining = remaining_commands(plan, changes);
        let commands = remaining.commands.iter();
        commands.map(|command| command.words.join(" ")).collect()
    }

    fn plan() -> Plan {
        let service = |unit: &str, verb| Service {
            unit: String::from(unit),
            verb,
        };
        Plan {
            steps: Vec::new(),
            enables: vec![Enable {
                unit: String::from("a.service"),
                runtime: true,
            }],
            services: vec![
                service("a.service", Some(Verb::Start)),
                service("-.mount", Some(Verb::ReloadOrTryRestart)),
                service("etcd.service", None),
            ],
        }
    }

    fn set(units: &[&str]) -> BTreeSet<String> {
        units.iter().map(|unit| String::from(*unit)).collect()
    }

    #[test]
    fn the_first_run_queues_all_after_one_reload() {
        assert_eq!(
            quoted(&plan(), &Changes::default()),
            [
                "systemctl enable --force --no-reload --runtime a.service",
                "systemctl daemon-reload",
                "systemctl start --no-block a.service",
                "systemctl try-reload-or-restart --no-block -- -.mount",
            ]
        );
    }

    #[test]
    fn the_second_run_queues_nothing() {
        let queued =
            remaining_commands(&plan(), &Changes::default()).queued_except(&BTreeSet::new());
        let changes = Changes {
            queued,
            enabled: set(&["a.service"]),
            active: set(&["a.service", "etcd.service"]),
            ..Changes::default()
        };
        assert_eq!(quoted(&plan(), &changes), [""; 0]);
    }

    #[test]
    fn a_failed_command_is_repeated_by_the_next_run() {
        let (plan, first) = (plan(), remaining_commands(&plan(), &Changes::default()));
        let start = first.commands.iter().position(|command| {
            let word = |word: &str| command.words.iter().any(|one| one == word);
            word("start") && word("a.service")
        });
        let failed = BTreeSet::from([start.expect("it is started")]);
        let changes = Changes {
            queued: first.queued_except(&failed),
            enabled: set(&["a.service"]),
            ..Changes::default()
        };
        assert_eq!(
            quoted(&plan, &changes),
            ["systemctl start --no-block a.service"]
        );
        // The other one stays recorded when this one fails again.
        let second = remaining_commands(&plan, &changes).queued_except(&BTreeSet::from([0]));
        assert_eq!(second, changes.queued);
        assert_eq!(second.len(), 1);
    }

    #[test]
    fn a_running_unit_is_restarted_only_if_it_changed() {
        let queued =
            remaining_commands(&plan(), &Changes::default()).queued_except(&BTreeSet::new());
        let changes = Changes {
            queued,
            reload: true,
            network: true,
            changed: set(&["a.service", "etcd.service"]),
            enabled: set(&["a.service"]),
            active: set(&["a.service", "etcd.service"]),
        };
        assert_eq!(
            quoted(&plan(), &changes),
            [
                "systemctl enable --force --no-reload --runtime a.service",
                "systemctl daemon-reload",
                "systemctl restart --no-block systemd-networkd.service",
                "systemctl restart --no-block a.service",
                "systemctl try-restart --no-block etcd.service",
            ]
        );
    }
}
