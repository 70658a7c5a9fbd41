//! The directory of hooks: which files it has, and whether they are safe to run.
//!
//! A hook may run commands as root, so write access to a hook is root access. The directory and each file
//! must belong to root and be writable by no other user; a user other than root may have hooks too.

use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use super::file::{self, FILE_BYTES_MAX, Hook, Problem};

/// The extension of a hook's file.
const EXTENSION: &str = ".yaml";

/// The write permissions of others than the owner.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// The hooks in a directory, valid and invalid ones.
pub(crate) struct HookDirectory {
    path: PathBuf,
    names: Vec<String>,
}

/// Why a hook or the directory cannot be used. Displayed as one line per problem: path, line, problem.
#[derive(Debug)]
pub(crate) struct HookError {
    path: PathBuf,
    cause: Cause,
}

/// What is wrong at the path.
#[derive(Debug)]
enum Cause {
    Unreadable(io::Error),
    NotRegular,
    TooLong,
    NotUtf8,
    /// It belongs to this user.
    Owner(u32),
    /// It has this mode.
    Mode(u32),
    Content(Vec<Problem>),
}

impl fmt::Display for HookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        let Cause::Content(problems) = &self.cause else {
            return write!(f, "{path}: error: {}", self.cause);
        };
        for (index, problem) in problems.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            let line = problem.line.map(|line| format!("{line}:"));
            let line = line.unwrap_or_default();
            write!(f, "{newline}{path}:{line} error: {problem}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "cannot read it: {error}"),
            Self::NotRegular => write!(f, "not a regular file"),
            Self::TooLong => write!(f, "longer than 1 MiB"),
            Self::NotUtf8 => write!(f, "not UTF-8 text"),
            Self::Owner(owner) => {
                let is_root = geteuid().is_root();
                let allowed = if is_root { "root" } else { "root or you" };
                write!(f, "owned by user {owner} (must be owned by {allowed})")
            }
            Self::Mode(mode) => write!(
                f,
                "writable by other users, mode {mode:04o} (must be writable by its owner only)"
            ),
            Self::Content(_) => Ok(()),
        }
    }
}

impl HookDirectory {
    /// Read the names of the hooks. Files without the extension `.yaml` and hidden files are ignored.
    ///
    /// # Errors
    ///
    /// The directory cannot be read, belongs to a user other than root and the caller, or is writable by
    /// other users.
    pub(crate) fn open(path: &Path) -> Result<Self, HookError> {
        let names = read_names(path).map_err(|cause| HookError {
            path: path.to_owned(),
            cause,
        })?;
        let path = path.to_owned();
        Ok(Self { path, names })
    }

    /// The names of all hooks, sorted.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// Read and check one hook.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is not a regular file, is longer than 1 MiB, is not UTF-8, belongs to a user
    /// other than root and the caller, is writable by other users, or has content with [`Problem`]s.
    pub(crate) fn read(&self, name: &str) -> Result<Hook, HookError> {
        let path = self.path.join(format!("{name}{EXTENSION}"));
        let hook = read_text(&path).and_then(|text| file::parse(&text).map_err(Cause::Content));
        hook.map_err(|cause| HookError { path, cause })
    }
}

fn read_names(path: &Path) -> Result<Vec<String>, Cause> {
    check_owner_and_mode(&std::fs::metadata(path).map_err(Cause::Unreadable)?)?;
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path).map_err(Cause::Unreadable)? {
        let name = entry.map_err(Cause::Unreadable)?.file_name();
        let name = name.to_string_lossy();
        if let Some(name) = name.strip_suffix(EXTENSION)
            && !name.is_empty()
            && !name.starts_with('.')
        {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn read_text(path: &Path) -> Result<String, Cause> {
    // Opening a named pipe would block.
    let kind = std::fs::metadata(path).map_err(Cause::Unreadable)?;
    if !kind.is_file() {
        return Err(Cause::NotRegular);
    }
    let file = File::open(path).map_err(Cause::Unreadable)?;
    check_owner_and_mode(&file.metadata().map_err(Cause::Unreadable)?)?;
    let mut text = String::new();
    match file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text) {
        Ok(length) if length as u64 > FILE_BYTES_MAX => Err(Cause::TooLong),
        Ok(_) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(Cause::NotUtf8),
        Err(error) => Err(Cause::Unreadable(error)),
    }
}

fn check_owner_and_mode(metadata: &Metadata) -> Result<(), Cause> {
    let owner = metadata.uid();
    let mode = metadata.mode();
    if owner != 0 && owner != geteuid().as_raw() {
        return Err(Cause::Owner(owner));
    }
    if mode & WRITABLE_BY_OTHERS != 0 {
        return Err(Cause::Mode(mode & 0o7777));
    }
    Ok(())
}
