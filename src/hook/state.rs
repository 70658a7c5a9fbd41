//! The file that remembers what was handled.
//!
//! One JSON object a line. The first says what is watched, the second up to where all is handled and what is
//! above, then one for each key that is there. This much is written anew beside the file, synced, and put in
//! its place. After it each change that was handled adds a line, synced before its place in the queue is
//! free. A last line that is not whole was never finished, and is dropped.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ledger::{Effect, Known, Ledger};

/// What the first line calls the file, with the version of its format.
const FORMAT: &str = "etcdctl exec-watch 1";

/// The file is written anew when it has this many lines more than twice the keys that are there.
const LINES_MORE: usize = 1000;

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
    /// All up to here is handled.
    #[serde(skip_serializing_if = "Option::is_none")]
    handled: Option<u64>,
    /// These are handled too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    above: Vec<u64>,
    /// A key that is there since `at`.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<u64>,
    /// A key that is gone with all below it.
    #[serde(skip_serializing_if = "Option::is_none")]
    gone: Option<String>,
}

/// What is watched; a file of another watch is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) key: String,
    pub(crate) recursive: bool,
}

/// The file, held by this process alone.
pub(super) struct State {
    path: PathBuf,
    /// Locked for as long as this lives.
    _lock: File,
    /// Where lines are added; none until the file has been written anew.
    file: Option<File>,
    lines: usize,
}

/// What was in a state file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// There is no such file.
    Nothing,
    /// What was handled.
    Ledger(Ledger),
    /// The state of a watch of something else; a sentence.
    OfAnother(String),
}

impl State {
    /// Open a state file and read it if there is one. Nothing is written yet.
    ///
    /// # Errors
    ///
    /// A sentence: it cannot be read, another process has it, or it is damaged.
    pub(super) fn open(path: &Path, subject: &Subject) -> Result<(Self, Found), String> {
        let shown = path.display();
        let mut lock_path = OsString::from(path);
        lock_path.push(".lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(|error| format!("cannot open {}: {error}", lock_path.display()))?;
        if lock.try_lock().is_err() {
            return Err(format!("{shown} is in use by another process"));
        }
        let found = match std::fs::read_to_string(path) {
            Ok(text) => parse(&text, subject).map_err(|why| format!("{shown}: {why}"))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Found::Nothing,
            Err(error) => return Err(format!("cannot read {shown}: {error}")),
        };
        let found = match found {
            Found::OfAnother(text) => Found::OfAnother(format!("{shown} {text}")),
            Found::Nothing | Found::Ledger(_) => found,
        };
        let state = Self {
            path: path.to_owned(),
            _lock: lock,
            file: None,
            lines: 0,
        };
        Ok((state, found))
    }

    /// Whether the file should be [written anew](State::replace) rather than added to.
    pub(super) fn is_long(&self, ledger: &Ledger) -> bool {
        self.file.is_none() || self.lines > LINES_MORE + 2 * ledger.known().len()
    }

    /// Put a new file in the place of the old one. It blocks until the disk has it.
    ///
    /// # Errors
    ///
    /// The system's; the old file is still there.
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

    /// Add lines. It blocks until the disk has them.
    ///
    /// # Errors
    ///
    /// The system's; the file must then be [replaced](State::replace), as it may end in half a line.
    pub(super) fn add(&mut self, text: &str) -> io::Result<()> {
        let Some(mut file) = self.file.take() else {
            return Err(io::Error::other("the file was not written yet"));
        };
        file.write_all(text.as_bytes())?;
        file.sync_data()?;
        self.lines += text.lines().count();
        self.file = Some(file);
        Ok(())
    }
}

/// The whole text of a file.
pub(super) fn whole(subject: &Subject, ledger: &Ledger) -> String {
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

/// The line for a change that was handled, which `ledger` knows already.
pub(super) fn line(position: u64, effect: &Effect, ledger: &Ledger) -> String {
    let (key, at, gone) = match effect {
        Effect::Set(key, index) => (Some(key.clone()), Some(*index), None),
        Effect::Gone(key) => (None, None, Some(key.clone())),
    };
    let handled = ledger.handled();
    let mut text = String::new();
    let line = Line {
        handled: Some(handled),
        above: ledger.above().filter(|place| *place == position).collect(),
        key,
        at,
        gone,
    };
    push(&mut text, &line);
    text
}

/// The line for how far all is handled.
pub(super) fn position(ledger: &Ledger) -> String {
    let mut text = String::new();
    let line = Line {
        handled: Some(ledger.handled()),
        ..Line::default()
    };
    push(&mut text, &line);
    text
}

fn push(text: &mut String, line: &impl Serialize) {
    // Texts and numbers in a struct always make JSON.
    if let Ok(line) = serde_json::to_string(line) {
        text.push_str(&line);
        text.push('\n');
    }
}

fn parse(text: &str, subject: &Subject) -> Result<Found, String> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let mut lines = whole.lines().enumerate();
    let advice = "remove it to begin with what is there now";
    let head: Head = lines
        .next()
        .and_then(|(_, line)| serde_json::from_str(line).ok())
        .filter(|head: &Head| head.format == FORMAT)
        .ok_or_else(|| {
            format!("this is no state of exec-watch, or of another version; {advice}")
        })?;
    if head.key != subject.key || head.recursive != subject.recursive {
        let recursive = |recursive| if recursive { " and all below it" } else { "" };
        return Ok(Found::OfAnother(format!(
            "is the state of a watch of {}{}, not of {}{}",
            head.key,
            recursive(head.recursive),
            subject.key,
            recursive(subject.recursive),
        )));
    }
    let (mut handled, mut above) = (0, Vec::new());
    let mut ledger = Ledger::new(0, [], Known::new());
    for (place, line) in lines {
        let line: Line = serde_json::from_str(line)
            .map_err(|error| format!("line {} is damaged ({error}); {advice}", place + 1))?;
        handled = line.handled.unwrap_or(handled);
        above.extend(line.above);
        if let (Some(key), Some(at)) = (line.key, line.at) {
            ledger.apply(&Effect::Set(key, at));
        }
        if let Some(key) = line.gone {
            ledger.apply(&Effect::Gone(key));
        }
    }
    let known = ledger.known().clone();
    Ok(Found::Ledger(Ledger::new(handled, above, known)))
}
