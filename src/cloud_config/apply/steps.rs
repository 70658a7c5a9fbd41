//! The steps of a plan, one function for each kind.

use std::io;
use std::path::PathBuf;

use super::error::Error;
use super::host::{Host, Mode};
use super::{disk, keys, root};
use crate::cloud_config::check::KeyHolder;
use crate::cloud_config::plan::{Changes, Command, File, Notify, Step};

impl Host<'_> {
    /// Checks that a file can be written, unless it is the same already: then its directory may be read-only.
    ///
    /// # Errors
    ///
    /// [`Error::Path`]: the path cannot be resolved, or a file cannot be written there.
    pub(super) fn check_step(&self, step: &Step) -> Result<(), Error> {
        let (path, is_done) = match step {
            Step::Write(file) => {
                let target = self.target(&file.path)?;
                (&file.path, self.wanted(file).is_current(&target))
            }
            Step::Mask { path, .. } => (path, disk::is_mask(&self.target(path)?)),
            Step::Hostname(_)
            | Step::Run(_)
            | Step::Keys(_)
            | Step::Remove { .. }
            | Step::Unmask { .. } => return Ok(()),
        };
        if is_done {
            return Ok(());
        }
        disk::check_writable(&self.root, path).map_err(|error| Error::Path {
            path: path.clone(),
            error,
        })
    }

    /// Applies one step and records its changes.
    ///
    /// # Errors
    ///
    /// The error of the step that failed.
    pub(super) fn apply_step(&mut self, step: &Step, changes: &mut Changes) -> Result<(), Error> {
        match step {
            Step::Hostname(name) => {
                let is_set = self
                    .text("/etc/hostname")
                    .is_some_and(|text| text.trim() == name);
                match is_set && self.mode == Mode::Host {
                    true => Ok(()),
                    false => self.run(&Command::new(["hostnamectl", "set-hostname", name])),
                }
            }
            Step::Run(command) => self.run(command),
            Step::Keys(holder) => self.add_keys(holder),
            Step::Write(file) => self.write(file, changes),
            Step::Remove { path, notify } => self.remove(path, notify, changes),
            Step::Mask { path, unit } => self.mask(path, unit, changes),
            Step::Unmask { path, unit } => self.unmask(path, unit, changes),
        }
    }

    /// The path below the root, with the symbolic links of its directories resolved.
    fn target(&self, path: &str) -> Result<PathBuf, Error> {
        root::resolve_parent(&self.root, path).map_err(|error| Error::Path {
            path: String::from(path),
            error,
        })
    }

    /// A file as it is to be written. An owner whose name is unknown is not set.
    fn wanted<'f>(&self, file: &'f File) -> disk::Wanted<'f> {
        let owner = file.owner.as_ref();
        disk::Wanted {
            content: &file.content,
            mode: file.mode,
            owner: owner.and_then(|owner| self.accounts().ids(owner)),
        }
    }

    fn write(&mut self, file: &File, changes: &mut Changes) -> Result<(), Error> {
        let wanted = self.wanted(file);
        let target = self.target(&file.path)?;
        if wanted.is_current(&target) {
            return Ok(());
        }
        let length = file.content.len();
        self.announce(&format!(
            "write {} ({length} bytes, {:04o})",
            file.path, file.mode
        ))?;
        if self.mode != Mode::Dry {
            let written = wanted.write(&target).map_err(|error| Error::Write {
                path: file.path.clone(),
                error,
            })?;
            if written.in_place {
                eprintln!(
                    "etcd-cloudinit: {} is a mount point; overwritten in place",
                    file.path
                );
            }
            if let Some(owner) = &file.owner
                && (wanted.owner.is_none() || !written.owned)
            {
                self.report_owner(&file.path, &owner.to_text())?;
            }
        }
        changes.record(&file.notify);
        Ok(())
    }

    fn remove(&mut self, path: &str, notify: &Notify, changes: &mut Changes) -> Result<(), Error> {
        let target = self.target(path)?;
        if !disk::exists(&target) {
            return Ok(());
        }
        self.announce(&format!("remove {path}"))?;
        if self.mode != Mode::Dry {
            disk::remove(&target).map_err(|error| Error::Remove {
                path: String::from(path),
                error,
            })?;
        }
        changes.record(notify);
        Ok(())
    }

    /// Adds the missing keys of a user. If that fails, the run goes on: one user's home directory must not keep
    /// others from logging in.
    fn add_keys(&mut self, holder: &KeyHolder) -> Result<(), Error> {
        match self.write_keys(holder) {
            Ok(true) => Ok(()),
            Ok(false) => self.report_owner(&format!("{}/.ssh", holder.home), &holder.user),
            Err(error) => {
                let user = holder.user.clone();
                let error = Error::Keys { user, error };
                eprintln!("etcd-cloudinit: {error}");
                self.errors.push(error);
                Ok(())
            }
        }
    }

    /// Writes the missing keys of a user. Returns whether the owner could be set.
    fn write_keys(&mut self, holder: &KeyHolder) -> io::Result<bool> {
        let directory = keys::SshDirectory::open(&self.root, &holder.home)?;
        let current = match &directory {
            Some(directory) => directory.read()?,
            None => Vec::new(),
        };
        let Some((content, added)) = keys::add_missing(&current, &holder.keys) else {
            return Ok(true);
        };
        let path = format!("{}/.ssh/authorized_keys", holder.home);
        self.announce(&format!("add {added} keys to {path}"))
            .map_err(io::Error::other)?;
        if self.mode == Mode::Dry {
            return Ok(true);
        }
        let accounts = self.accounts();
        let account = accounts.user(&holder.user);
        let owner = account.map(|account| (Some(account.uid), Some(account.gid)));
        let (directory, directory_owned) = match directory {
            Some(directory) => (directory, true),
            None => keys::SshDirectory::create(&self.root, &holder.home, owner)?,
        };
        let owned = directory.write(&content, owner)?;
        Ok(directory_owned && owned && account.is_some())
    }

    /// Reports an owner that could not be set. Below another root that is a warning, because its accounts may
    /// differ and root privileges may be missing.
    fn report_owner(&self, path: &str, owner: &str) -> Result<(), Error> {
        let error = Error::Owner {
            path: String::from(path),
            owner: String::from(owner),
        };
        match self.mode {
            Mode::Host => Err(error),
            Mode::Root | Mode::Dry => {
                eprintln!("etcd-cloudinit: {error}");
                Ok(())
            }
        }
    }

    fn mask(&mut self, path: &str, unit: &str, changes: &mut Changes) -> Result<(), Error> {
        let target = self.target(path)?;
        if disk::is_mask(&target) {
            return Ok(());
        }
        self.announce(&format!("mask {unit}"))?;
        if self.mode != Mode::Dry {
            disk::mask(&target).map_err(|error| Error::Mask {
                unit: String::from(unit),
                error,
            })?;
        }
        changes.record(&Notify::UnitFile(String::from(unit)));
        Ok(())
    }

    fn unmask(&mut self, path: &str, unit: &str, changes: &mut Changes) -> Result<(), Error> {
        let target = self.target(path)?;
        if !disk::is_mask(&target) && !disk::is_empty(&target) {
            return Ok(());
        }
        self.announce(&format!("unmask {unit}"))?;
        if self.mode != Mode::Dry {
            std::fs::remove_file(&target).map_err(|error| Error::Unmask {
                unit: String::from(unit),
                error,
            })?;
        }
        changes.record(&Notify::UnitFile(String::from(unit)));
        Ok(())
    }
}
