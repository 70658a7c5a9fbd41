//! The directory of hooks: which there are, and whether they may be trusted.
//!
//! What a hook says is run as root, so whoever can write one is root. The directory and each file must
//! belong to root and be writable by nobody else; a user who is not root may have hooks of its own.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use super::file::{self, FILE_BYTES_MAX, Hook, Problem};

/// How the name of a hook's file ends.
const ENDING: &str = ".yaml";

/// Who may write, other than the owner.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// The hooks in a directory, by name, good ones and bad ones.
pub(super) struct Hooks {
    directory: PathBuf,
    pub(super) names: Vec<String>,
}

impl Hooks {
    /// What is there. Files that do not end in `.yaml`, and hidden ones, are none.
    ///
    /// # Errors
    ///
    /// The directory cannot be read, or cannot be trusted.
    pub(super) fn find(directory: &Path) -> Result<Self, Problem> {
        let problem = |text: String| Problem {
            path: directory.to_owned(),
            line: None,
            text,
        };
        let unreadable = |error: io::Error| problem(format!("it cannot be read: {error}"));
        trust(&std::fs::metadata(directory).map_err(unreadable)?).map_err(problem)?;
        let mut names = Vec::new();
        for entry in std::fs::read_dir(directory).map_err(unreadable)? {
            let name = entry.map_err(unreadable)?.file_name();
            let name = name.to_string_lossy();
            if let Some(name) = name.strip_suffix(ENDING)
                && !name.is_empty()
                && !name.starts_with('.')
            {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(Self {
            directory: directory.to_owned(),
            names,
        })
    }

    /// Read one of them.
    ///
    /// # Errors
    ///
    /// All that is wrong with it.
    pub(super) fn read(&self, name: &str) -> Result<Hook, Vec<Problem>> {
        let path = self.directory.join(format!("{name}{ENDING}"));
        let problem = |(line, text): (Option<usize>, String)| Problem {
            path: path.clone(),
            line,
            text,
        };
        let whole = |text: String| vec![problem((None, text))];
        let text = read(&path).map_err(whole)?;
        file::parse(&text).map_err(|wrong| wrong.into_iter().map(problem).collect())
    }
}

fn read(path: &Path) -> Result<String, String> {
    let unreadable = |error: io::Error| format!("it cannot be read: {error}");
    // A pipe in its place would never be opened.
    let kind = std::fs::metadata(path).map_err(unreadable)?;
    if !kind.is_file() {
        return Err(String::from("it is no file"));
    }
    let file = File::open(path).map_err(unreadable)?;
    trust(&file.metadata().map_err(unreadable)?)?;
    let mut text = String::new();
    let length = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text);
    match length {
        Ok(length) if length as u64 > FILE_BYTES_MAX => {
            Err(String::from("it is longer than 1 MiB"))
        }
        Ok(_) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(String::from("it is no text in UTF-8"))
        }
        Err(error) => Err(unreadable(error)),
    }
}

fn trust(metadata: &Metadata) -> Result<(), String> {
    let (owner, we) = (metadata.uid(), geteuid().as_raw());
    let mode = metadata.mode();
    if owner != 0 && owner != we {
        let whose = if we == 0 { "root" } else { "root or to you" };
        return Err(format!(
            "it must belong to {whose}, and belongs to user {owner}"
        ));
    }
    if mode & WRITABLE_BY_OTHERS != 0 {
        let mode = mode & 0o7777;
        return Err(format!(
            "nobody but its owner may be able to write it, and its mode is {mode:04o}"
        ));
    }
    Ok(())
}
