//! Running a command as another user.

use std::ffi::OsString;
use std::fmt;

use nix::errno::Errno;
use nix::unistd::{geteuid, getuid};

/// A user of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    name: String,
    id: u32,
    group: u32,
    home: String,
    shell: String,
    /// Whether it is not the user of this process.
    is_other: bool,
}

/// Why a command cannot run as a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum UserError {
    /// The user database cannot be read.
    Lookup(String, Errno),
    /// No user has this name.
    NotFound(String),
    /// This process may not change its user.
    NotRoot(String),
}

impl fmt::Display for UserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lookup(name, error) => write!(f, "cannot look up user {name:?}: {error}"),
            Self::NotFound(name) => write!(f, "user {name:?} not found"),
            Self::NotRoot(name) => {
                write!(f, "cannot run a command as {name:?}: must be run as root")
            }
        }
    }
}

impl User {
    /// The user of this name.
    ///
    /// # Errors
    ///
    /// [`UserError::Lookup`] if the user database cannot be read; [`UserError::NotFound`] if it has no such
    /// user; [`UserError::NotRoot`] if it is another user and this process is not root's.
    pub(super) fn find(name: &str) -> Result<Self, UserError> {
        let found = nix::unistd::User::from_name(name)
            .map_err(|error| UserError::Lookup(name.to_owned(), error))?
            .ok_or_else(|| UserError::NotFound(name.to_owned()))?;
        let is_other = found.uid != getuid();
        if is_other && !geteuid().is_root() {
            return Err(UserError::NotRoot(name.to_owned()));
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

    /// The command line that runs these words as this user with all its groups: `setpriv` of util-linux,
    /// which replaces itself by the command, so that process group and exit status are the command's.
    pub(super) fn wrap_command(&self, words: &[OsString]) -> Vec<OsString> {
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

    /// The variables that a login sets.
    pub(super) fn environment(&self) -> [(&'static str, &str); 4] {
        [
            ("USER", &self.name),
            ("LOGNAME", &self.name),
            ("HOME", &self.home),
            ("SHELL", &self.shell),
        ]
    }
}
