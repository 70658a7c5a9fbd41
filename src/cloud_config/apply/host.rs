//! The host that a plan is applied to: its state before, and the order of the work.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::error::Error;
use super::{disk, lock, root, run, systemd};
use crate::cloud_config::accounts::Accounts;
use crate::cloud_config::hook_record::{self, HostHooks};
use crate::cloud_config::merge::HostState;
use crate::cloud_config::paths;
use crate::cloud_config::plan::{Changes, Command, Plan, remaining_commands};

/// What is changed, and what is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The running host is changed.
    Host,
    /// Files below another root are changed; commands are printed.
    Root,
    /// Nothing is changed; files and commands are printed.
    Dry,
}

/// The host, or a directory that is used as its root.
pub struct Host<'o> {
    pub(super) root: PathBuf,
    pub(super) mode: Mode,
    /// Whether the root is that of the running host, whose systemd can be queried.
    is_running: bool,
    out: &'o mut dyn Write,
    /// Errors that do not stop the run.
    pub(super) errors: Vec<Error>,
    /// Held until the host is dropped.
    lock: Option<std::fs::File>,
}

/// Maximum size of a system file that is read, in bytes.
const SYSTEM_FILE_BYTES_MAX: u64 = 16 << 20;

impl<'o> Host<'o> {
    /// A host with `root` as its root directory. Output is printed to `out`.
    pub fn new(root: &Path, dry_run: bool, out: &'o mut dyn Write) -> Self {
        let is_running = root == Path::new("/");
        let mode = match (dry_run, is_running) {
            (true, _) => Mode::Dry,
            (false, true) => Mode::Host,
            (false, false) => Mode::Root,
        };
        Self {
            root: root.to_path_buf(),
            mode,
            is_running,
            out,
            errors: Vec::new(),
            lock: None,
        }
    }

    /// Waits until no other run is in progress, and excludes others until this host is dropped. The state of
    /// the host must be read afterwards. A dry run does not wait.
    ///
    /// # Errors
    ///
    /// [`Error::Lock`]: the lock cannot be created or taken, for example without root privileges.
    pub fn lock(&mut self) -> Result<(), Error> {
        let is_host = match self.mode {
            Mode::Dry => return Ok(()),
            Mode::Host => true,
            Mode::Root => false,
        };
        self.lock = Some(lock::take(&self.root, is_host).map_err(Error::Lock)?);
        Ok(())
    }

    /// The state of the host.
    pub fn state(&self) -> HostState {
        let line = |path: &str| {
            let text = self.text(path)?;
            let line = text.lines().next().unwrap_or_default().trim();
            (!line.is_empty() && line != "uninitialized").then(|| String::from(line))
        };
        let kernel = || match self.is_running {
            true => line("/proc/sys/kernel/hostname"),
            false => None,
        };
        HostState {
            machine_id: line("/etc/machine-id"),
            hostname: line("/etc/hostname").or_else(kernel),
            accounts: self.accounts(),
            hooks: self.hooks(),
        }
    }

    /// The files of hooks, and the record of earlier runs.
    fn hooks(&self) -> HostHooks {
        let record = self.text(paths::HOOK_RECORD).unwrap_or_default();
        // All components but the last are resolved, so any name will do.
        let target = root::resolve_parent(&self.root, &paths::hook("any"));
        let files = target.and_then(|target| disk::read_siblings(&target, paths::HOOK_EXTENSION));
        HostHooks {
            recorded: hook_record::parse(&record),
            // If the directory does not exist or cannot be read, no file is considered unchanged.
            files: files.unwrap_or_default(),
        }
    }

    /// The users and groups of the host.
    pub(super) fn accounts(&self) -> Accounts {
        let text = |path: &str| self.text(path).unwrap_or_default();
        Accounts::parse(
            &text("/etc/passwd"),
            &text("/etc/group"),
            &text("/etc/shadow"),
        )
    }

    /// The text of a file of the host; `None` if it cannot be read.
    pub fn text(&self, path: &str) -> Option<String> {
        // It may be a symbolic link, as /etc/hostname often is.
        let target = root::resolve(&self.root, path).ok()?;
        let text = disk::read(&target, SYSTEM_FILE_BYTES_MAX).ok()?;
        Some(String::from_utf8_lossy(&text).into_owned())
    }

    /// Applies a plan.
    ///
    /// # Errors
    ///
    /// - [`Error::Path`]: a file cannot be written; found before anything is changed.
    /// - [`Error::Incomplete`]: keys of a user, or commands for units, failed; all else was done.
    /// - Any other [`Error`]: a step failed, and the following ones were not carried out.
    pub fn apply(&mut self, plan: &Plan) -> Result<(), Error> {
        for step in &plan.steps {
            self.check_step(step)?;
        }
        let mut changes = Changes::default();
        for step in &plan.steps {
            self.apply_step(step, &mut changes)?;
        }
        self.query_units(plan, &mut changes);
        let remaining = remaining_commands(plan, &changes);
        let mut failed = BTreeSet::new();
        for (index, command) in remaining.commands.iter().enumerate() {
            // A unit that does not exist must not keep others from starting.
            if let Err(error) = self.run(command) {
                self.errors.push(error);
                failed.insert(index);
            }
        }
        if self.mode == Mode::Host {
            systemd::save_queued(&self.root, &remaining.queued_except(&failed))
                .map_err(Error::SaveQueued)?;
        }
        match self.errors.is_empty() {
            true => Ok(()),
            false => Err(Error::Incomplete(std::mem::take(&mut self.errors))),
        }
    }

    /// Queries which units are active, enabled and queued. This is done after the files are written: a unit
    /// that started in the meantime may have read the old ones.
    fn query_units(&self, plan: &Plan, changes: &mut Changes) {
        if !self.is_running {
            return;
        }
        changes.queued = systemd::load_queued(&self.root);
        for service in &plan.services {
            if systemd::is_active(&service.unit) {
                changes.active.insert(service.unit.clone());
            }
        }
        for enable in &plan.enables {
            if systemd::is_enabled(&enable.unit) {
                changes.enabled.insert(enable.unit.clone());
            }
        }
    }

    /// Runs or prints a command.
    ///
    /// # Errors
    ///
    /// - [`Error::Start`], [`Error::Command`]: the command cannot be run, or failed.
    /// - [`Error::Print`]: the output cannot be printed.
    pub(super) fn run(&mut self, command: &Command) -> Result<(), Error> {
        let line = serde_json::Value::from(command.words.clone()).to_string();
        match self.mode {
            Mode::Host => run::run(command),
            Mode::Root => writeln!(self.out, "{line}").map_err(Error::Print),
            Mode::Dry => writeln!(self.out, "run {line}").map_err(Error::Print),
        }
    }

    /// Prints the change that follows, unless files are written below another root.
    ///
    /// # Errors
    ///
    /// [`Error::Print`]: the output cannot be printed.
    pub(super) fn announce(&mut self, change: &str) -> Result<(), Error> {
        match self.mode {
            Mode::Dry => writeln!(self.out, "{change}").map_err(Error::Print),
            Mode::Host => {
                eprintln!("etcd-cloudinit: {change}");
                Ok(())
            }
            Mode::Root => Ok(()),
        }
    }
}
