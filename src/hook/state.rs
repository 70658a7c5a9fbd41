//! The state file: which changes are handled.
//!
//! One JSON object per line. The first line names the subject, the second the index up to which every change
//! is handled and the positions above it, then there is one line per existing key. This part is written to a
//! new file, synced, and renamed over the old one. Each handled change appends a line, synced before the
//! change leaves the queue. An incomplete last line was never synced and is ignored.

use std::ffi::OsString;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ledger::{KeyUpdate, KnownKeys, Ledger};

/// The format and its version, in the first line.
const FORMAT: &str = "etcdctl exec-watch 1";

/// The file is rewritten when it has this many lines more than twice the number of existing keys.
const SPARE_LINES: usize = 1000;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    format: String,
    key: String,
    recursive: bool,
}

/// Any other line.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Line {
    /// Every change up to this index is handled.
    #[serde(skip_serializing_if = "Option::is_none")]
    handled: Option<u64>,
    /// These positions are handled too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    above: Vec<u64>,
    /// A key that exists, last changed at index `at`.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<u64>,
    /// A key that was removed with all keys below it.
    #[serde(skip_serializing_if = "Option::is_none")]
    gone: Option<String>,
}

/// The subject of a watch; the state file of another subject is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) key: String,
    pub(crate) recursive: bool,
}

/// The state file, locked by this process.
pub(super) struct State {
    path: PathBuf,
    /// Locked for as long as this lives.
    _lock: File,
    /// Lines are appended here; none until the file has been rewritten.
    file: Option<File>,
    lines: usize,
}

/// The content of a state file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Loaded {
    /// The file does not exist.
    Missing,
    /// The handled changes.
    Ledger(Ledger),
    /// The file belongs to a watch of another subject.
    OtherSubject(Subject),
}

/// Why a state file cannot be used.
#[derive(Debug)]
pub(crate) enum StateError {
    /// The lock file cannot be opened.
    Lock(PathBuf, io::Error),
    /// Another process has the lock.
    InUse(PathBuf),
    /// The file cannot be read.
    Read(PathBuf, io::Error),
    /// The first line is not that of a state file of this version.
    Format(PathBuf),
    /// A line, from 1, is not valid.
    Damaged(PathBuf, usize, serde_json::Error),
    /// The file belongs to a watch of the first of these subjects, not of the second.
    OtherSubject(PathBuf, Subject, Subject),
    /// The last write, at shutdown, failed.
    Write(io::Error),
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ADVICE: &str = "remove it to start from the current state";
        match self {
            Self::Lock(path, error) => write!(f, "cannot open {}: {error}", path.display()),
            Self::InUse(path) => write!(f, "{} is in use by another process", path.display()),
            Self::Read(path, error) => write!(f, "cannot read {}: {error}", path.display()),
            Self::Format(path) => write!(
                f,
                "{}: not a state file of exec-watch, or of another version; {ADVICE}",
                path.display()
            ),
            Self::Damaged(path, line, error) => write!(
                f,
                "{}: line {line} is damaged ({error}); {ADVICE}",
                path.display()
            ),
            Self::OtherSubject(path, found, wanted) => {
                write!(
                    f,
                    "{} is the state of a watch of {found}, not of {wanted}; remove it, or use another file",
                    path.display()
                )
            }
            Self::Write(error) => write!(f, "cannot save the state: {error}"),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let below = if self.recursive { " (recursive)" } else { "" };
        write!(f, "{}{below}", self.key)
    }
}

impl State {
    /// Lock a state file and read it if it exists. Nothing is written yet.
    ///
    /// # Errors
    ///
    /// [`StateError::Lock`] if the lock file cannot be opened, [`StateError::InUse`] if another process has
    /// the lock, [`StateError::Read`] if the file cannot be read, [`StateError::Format`] if it is not a state
    /// file, [`StateError::Damaged`] if a complete line is not valid.
    pub(super) fn open(path: &Path, subject: &Subject) -> Result<(Self, Loaded), StateError> {
        let mut lock_path = OsString::from(path);
        lock_path.push(".lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(|error| StateError::Lock(lock_path.into(), error))?;
        if lock.try_lock().is_err() {
            return Err(StateError::InUse(path.to_owned()));
        }
        let loaded = match std::fs::read_to_string(path) {
            Ok(text) => parse(path, &text, subject)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Loaded::Missing,
            Err(error) => return Err(StateError::Read(path.to_owned(), error)),
        };
        let state = Self {
            path: path.to_owned(),
            _lock: lock,
            file: None,
            lines: 0,
        };
        Ok((state, loaded))
    }

    /// Whether the file should be [rewritten](State::replace) rather than appended to.
    pub(super) fn is_long(&self, ledger: &Ledger) -> bool {
        self.file.is_none() || self.lines > SPARE_LINES + 2 * ledger.known().len()
    }

    /// Replace the file. Blocks until the new one is synced.
    ///
    /// # Errors
    ///
    /// The system's error if the new file cannot be written, synced or renamed; the old file is still there.
    pub(super) fn replace(&mut self, text: &str) -> io::Result<()> {
        self.file = None;
        let mut beside = OsString::from(&self.path);
        beside.push(".new");
        let mut file = File::create(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&beside, &self.path)?;
        let directory = match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        File::open(directory)?.sync_all()?;
        self.lines = text.lines().count();
        self.file = Some(file);
        Ok(())
    }

    /// Append lines. Blocks until they are synced.
    ///
    /// # Errors
    ///
    /// The system's error if they cannot be written or synced; the file must then be
    /// [replaced](State::replace), since it may end with an incomplete line.
    pub(super) fn append(&mut self, text: &str) -> io::Result<()> {
        let Some(mut file) = self.file.take() else {
            return Err(io::Error::other("the state file was not written yet"));
        };
        file.write_all(text.as_bytes())?;
        file.sync_data()?;
        self.lines += text.lines().count();
        self.file = Some(file);
        Ok(())
    }
}

/// The whole text of a state file.
pub(super) fn format_all(subject: &Subject, ledger: &Ledger) -> String {
    let mut text = String::new();
    let head = Head {
        format: FORMAT.to_owned(),
        key: subject.key.clone(),
        recursive: subject.recursive,
    };
    push(&mut text, &head);
    let handled = Line {
        handled: Some(ledger.handled()),
        above: ledger.above().collect(),
        ..Line::default()
    };
    push(&mut text, &handled);
    for (key, index) in ledger.known() {
        let line = Line {
            key: Some(key.clone()),
            at: Some(*index),
            ..Line::default()
        };
        push(&mut text, &line);
    }
    text
}

/// The line for a handled change, which `ledger` already includes.
pub(super) fn format_change(position: u64, update: &KeyUpdate, ledger: &Ledger) -> String {
    let (key, at, gone) = match update {
        KeyUpdate::Set(key, index) => (Some(key.clone()), Some(*index), None),
        KeyUpdate::Removed(key) => (None, None, Some(key.clone())),
    };
    let handled = ledger.handled();
    let mut text = String::new();
    let line = Line {
        handled: Some(handled),
        above: ledger.above().filter(|above| *above == position).collect(),
        key,
        at,
        gone,
    };
    push(&mut text, &line);
    text
}

/// The line for the index up to which every change is handled.
pub(super) fn format_handled(ledger: &Ledger) -> String {
    let mut text = String::new();
    let line = Line {
        handled: Some(ledger.handled()),
        ..Line::default()
    };
    push(&mut text, &line);
    text
}

fn push(text: &mut String, line: &impl Serialize) {
    // Strings and numbers always have a JSON form.
    if let Ok(line) = serde_json::to_string(line) {
        text.push_str(&line);
        text.push('\n');
    }
}

fn parse(path: &Path, text: &str, subject: &Subject) -> Result<Loaded, StateError> {
    let complete = text.rfind('\n').map_or("", |end| &text[..end]);
    let mut lines = complete.lines().enumerate();
    let head: Head = lines
        .next()
        .and_then(|(_, line)| serde_json::from_str(line).ok())
        .filter(|head: &Head| head.format == FORMAT)
        .ok_or_else(|| StateError::Format(path.to_owned()))?;
    let found = Subject {
        key: head.key,
        recursive: head.recursive,
    };
    if found != *subject {
        return Ok(Loaded::OtherSubject(found));
    }
    let (mut handled, mut above) = (0, Vec::new());
    let mut ledger = Ledger::new(0, [], KnownKeys::new());
    for (index, line) in lines {
        let line: Line = serde_json::from_str(line)
            .map_err(|error| StateError::Damaged(path.to_owned(), index + 1, error))?;
        handled = line.handled.unwrap_or(handled);
        above.extend(line.above);
        if let (Some(key), Some(at)) = (line.key, line.at) {
            ledger.apply(&KeyUpdate::Set(key, at));
        }
        if let Some(key) = line.gone {
            ledger.apply(&KeyUpdate::Removed(key));
        }
    }
    let known = ledger.known().clone();
    Ok(Loaded::Ledger(Ledger::new(handled, above, known)))
}
