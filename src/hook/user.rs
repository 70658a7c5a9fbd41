//! Running as somebody else.

use std::ffi::OsString;

use nix::unistd::{geteuid, getuid};

/// A user of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    name: String,
    id: u32,
    group: u32,
    home: String,
    shell: String,
    /// Whether we are somebody else.
    is_other: bool,
}

impl User {
    /// The user of this name.
    ///
    /// # Errors
    ///
    /// A sentence: there is none, or we may not become it.
    pub(super) fn find(name: &str) -> Result<Self, String> {
        let found = nix::unistd::User::from_name(name)
            .map_err(|error| format!("user {name:?} cannot be looked up: {error}"))?
            .ok_or_else(|| format!("there is no user {name:?}"))?;
        let is_other = found.uid != getuid();
        if is_other && !geteuid().is_root() {
            return Err(format!("only root can run a command as {name:?}"));
        }
        Ok(Self {
            name: found.name,
            id: found.uid.as_raw(),
            group: found.gid.as_raw(),
            home: found.dir.to_string_lossy().into_owned(),
            shell: found.shell.to_string_lossy().into_owned(),
            is_other,
        })
    }

    /// The words that run these words as this user, with all of its groups: `setpriv` of util-linux, which
    /// replaces itself by the command, so that its group and its end are the command's.
    pub(super) fn become_and(&self, words: &[OsString]) -> Vec<OsString> {
        if !self.is_other {
            return words.to_vec();
        }
        let (id, group) = (self.id.to_string(), self.group.to_string());
        let first = [
            "setpriv",
            "--reuid",
            &id,
            "--regid",
            &group,
            "--init-groups",
            "--",
        ];
        let first = first.into_iter().map(OsString::from);
        first.chain(words.iter().cloned()).collect()
    }

    /// What a login would set.
    pub(super) fn environment(&self) -> [(&'static str, &str); 4] {
        [
            ("USER", &self.name),
            ("LOGNAME", &self.name),
            ("HOME", &self.home),
            ("SHELL", &self.shell),
        ]
    }
}
