//! The parts of a plan: the steps to carry out, the units to enable and to queue.

use crate::cloud_config::accounts::Owner;
use crate::cloud_config::check::{KeyHolder, MODE, Verb};

/// A program and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The program, followed by its arguments.
    pub words: Vec<String>,
    /// Its standard input, which is never printed.
    pub input: String,
}

impl Command {
    /// A command with empty standard input.
    pub fn new<W: Into<String>>(words: impl IntoIterator<Item = W>) -> Self {
        Self {
            words: words.into_iter().map(Into::into).collect(),
            input: String::new(),
        }
    }
}

/// A file to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its absolute path.
    pub path: String,
    /// Its content.
    pub content: Vec<u8>,
    /// Its permissions.
    pub mode: u32,
    /// Its owner; `None` for the user who runs the program.
    pub owner: Option<Owner>,
    /// The unit or daemon affected by a change.
    pub notify: Notify,
}

/// The unit or daemon affected by a change of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notify {
    /// None.
    Nothing,
    /// The unit that the file configures; systemd has to reload its unit files.
    UnitFile(String),
    /// The unit that reads the file when it starts.
    Service(String),
    /// systemd-networkd; systemd has to reload its unit files.
    Networkd,
}

/// One step, carried out before any command for a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Set the host name unless it is the same.
    Hostname(String),
    /// Run a command.
    Run(Command),
    /// Add SSH keys to those of a user.
    Keys(KeyHolder),
    /// Write a file unless it is the same.
    Write(File),
    /// Remove a file if it exists.
    Remove {
        /// The path.
        path: String,
        /// The unit or daemon affected.
        notify: Notify,
    },
    /// Mask a unit: link its unit file to `/dev/null`.
    Mask {
        /// The path of the unit file.
        path: String,
        /// The unit.
        unit: String,
    },
    /// Unmask a unit: remove its unit file if it is a link to `/dev/null` or empty.
    Unmask {
        /// The path of the unit file.
        path: String,
        /// The unit.
        unit: String,
    },
}

/// A unit to start, stop or restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The name of the unit.
    pub unit: String,
    /// The command in the document; `None` to restart the unit if it is running and its files changed.
    pub verb: Option<Verb>,
}

/// A unit to enable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enable {
    /// The name of the unit.
    pub unit: String,
    /// Whether only until the next boot.
    pub runtime: bool,
}

/// Everything to do, in order: the steps, then the commands that [`super::remaining_commands`] makes of the
/// rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<Step>,
    /// The units to enable.
    pub enables: Vec<Enable>,
    /// The units to start, stop or restart, in the order of the document.
    pub services: Vec<Service>,
}

impl Plan {
    /// Adds a step that writes a file with the default permissions.
    pub(super) fn write(&mut self, path: String, content: Vec<u8>, notify: Notify) {
        self.steps.push(Step::Write(File {
            path,
            content,
            mode: MODE,
            owner: None,
            notify,
        }));
    }

    /// Restarts a unit if it is running and its files changed, unless the document lists the unit.
    pub(super) fn restart_if_changed(&mut self, unit: &str) {
        self.queue_unless_listed(String::from(unit), None);
    }

    /// Queues a command for a unit unless the document lists the unit.
    pub(super) fn queue_unless_listed(&mut self, unit: String, verb: Option<Verb>) {
        if !self.services.iter().any(|one| one.unit == unit) {
            self.services.push(Service { unit, verb });
        }
    }
}
