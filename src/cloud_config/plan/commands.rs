//! What units have to hear, once the files are there.

use std::collections::BTreeSet;

use super::{Command, Plan, Service, Wakes};
use crate::cloud_config::check::Verb;

/// What the steps changed, and how the machine was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Happened {
    /// Units whose files changed.
    pub changed: BTreeSet<String>,
    /// Whether systemd has to read its files again.
    pub reload: bool,
    /// Whether its network daemon has to.
    pub network: bool,
    /// Units that run, or are about to.
    pub active: BTreeSet<String>,
    /// Units that are enabled.
    pub enabled: BTreeSet<String>,
    /// What an earlier run since boot queued: verb and unit.
    pub queued: BTreeSet<(String, String)>,
}

impl Happened {
    /// A file changed, and this is who has to hear of it.
    pub fn told(&mut self, wakes: &Wakes) {
        match wakes {
            Wakes::Nobody => {}
            Wakes::Unit(unit) => {
                self.reload = true;
                self.changed.insert(unit.clone());
            }
            Wakes::Service(unit) => {
                self.changed.insert(unit.clone());
            }
            Wakes::Network => {
                self.reload = true;
                self.network = true;
            }
        }
    }
}

/// What is left to do once the steps are done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct After {
    /// Commands, in order.
    pub commands: Vec<Command>,
    /// What is queued when all of them went well: verbs and units, each with the number of its command; none
    /// for what an earlier run queued.
    pub queued: Vec<((String, String), Option<usize>)>,
}

impl After {
    /// What is queued, but for the commands that failed, by number.
    pub fn queued_but(&self, failed: &BTreeSet<usize>) -> BTreeSet<(String, String)> {
        let well = |command: &Option<usize>| command.is_none_or(|one| !failed.contains(&one));
        let queued = self.queued.iter().filter(|(_, command)| well(command));
        queued.map(|(what, _)| what.clone()).collect()
    }
}

/// The commands that are left, in order, and what of it is queued.
///
/// Nothing is waited for: this runs before the units that it starts. A unit that runs and whose files
/// changed is restarted where it would be started, and what an earlier run queued is not queued again
/// unless something changed.
pub fn after(plan: &Plan, happened: &Happened) -> After {
    let mut commands = Vec::new();
    let mut reload = happened.reload;
    for enable in &plan.enables {
        if happened.enabled.contains(&enable.unit) && !happened.changed.contains(&enable.unit) {
            continue;
        }
        let runtime = enable.runtime.then_some("--runtime");
        let flags = ["systemctl", "enable", "--force", "--no-reload"];
        commands.push(on_unit(flags.into_iter().chain(runtime), &enable.unit));
        reload = true;
    }
    if reload {
        commands.push(Command::new(["systemctl", "daemon-reload"]));
    }
    if happened.network {
        let unit = "systemd-networkd.service";
        commands.push(on_unit(["systemctl", "restart", "--no-block"], unit));
    }
    let mut queued = Vec::new();
    for service in &plan.services {
        let mut number = None;
        if let Some(verb) = verb(service, happened) {
            let words = ["systemctl", verb.of_systemctl(), "--no-block"];
            number = Some(commands.len());
            commands.push(on_unit(words, &service.unit));
        }
        let written = |verb: Verb| (String::from(verb.word()), service.unit.clone());
        queued.extend(service.verb.map(|verb| (written(verb), number)));
    }
    After { commands, queued }
}

/// What to do with a unit now.
fn verb(service: &Service, happened: &Happened) -> Option<Verb> {
    let changed = happened.changed.contains(&service.unit);
    let runs = happened.active.contains(&service.unit);
    match service.verb {
        Some(Verb::Start) if changed && runs => Some(Verb::Restart),
        Some(verb) => {
            let earlier = (String::from(verb.word()), service.unit.clone());
            (changed || !happened.queued.contains(&earlier)).then_some(verb)
        }
        None => (changed && runs).then_some(Verb::TryRestart),
    }
}

/// A unit's name may begin with `-`, as that of the root directory's mount does.
fn on_unit<'w>(words: impl IntoIterator<Item = &'w str>, unit: &'w str) -> Command {
    let guard = unit.starts_with('-').then_some("--");
    Command::new(words.into_iter().chain(guard).chain([unit]))
}

#[cfg(test)]
mod tests {
    use super::super::Enable;
    use super::*;

    fn shown(plan: &Plan, happened: &Happened) -> Vec<String> {
        let after = after(plan, happened);
        let commands = after.commands.iter();
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
    fn the_first_time_all_is_queued_after_one_reload() {
        assert_eq!(
            shown(&plan(), &Happened::default()),
            [
                "systemctl enable --force --no-reload --runtime a.service",
                "systemctl daemon-reload",
                "systemctl start --no-block a.service",
                "systemctl try-reload-or-restart --no-block -- -.mount",
            ]
        );
    }

    #[test]
    fn the_second_time_nothing_is() {
        let queued = after(&plan(), &Happened::default()).queued_but(&BTreeSet::new());
        let happened = Happened {
            queued,
            enabled: set(&["a.service"]),
            active: set(&["a.service", "etcd.service"]),
            ..Happened::default()
        };
        assert_eq!(shown(&plan(), &happened), [""; 0]);
    }

    #[test]
    fn what_could_not_be_queued_is_tried_again() {
        let (plan, first) = (plan(), after(&plan(), &Happened::default()));
        let start = first.commands.iter().position(|command| {
            let word = |word: &str| command.words.iter().any(|one| one == word);
            word("start") && word("a.service")
        });
        let failed = BTreeSet::from([start.expect("it is started")]);
        let happened = Happened {
            queued: first.queued_but(&failed),
            enabled: set(&["a.service"]),
            ..Happened::default()
        };
        assert_eq!(
            shown(&plan, &happened),
            ["systemctl start --no-block a.service"]
        );
        // The other one is still remembered when this one fails again.
        let second = after(&plan, &happened).queued_but(&BTreeSet::from([0]));
        assert_eq!(second, happened.queued);
        assert_eq!(second.len(), 1);
    }

    #[test]
    fn what_runs_is_restarted_only_if_it_changed() {
        let queued = after(&plan(), &Happened::default()).queued_but(&BTreeSet::new());
        let happened = Happened {
            queued,
            reload: true,
            network: true,
            changed: set(&["a.service", "etcd.service"]),
            enabled: set(&["a.service"]),
            active: set(&["a.service", "etcd.service"]),
        };
        assert_eq!(
            shown(&plan(), &happened),
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
