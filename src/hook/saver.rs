//! Keeping the state file up to date without waiting for the disk.
//!
//! While one write is under way the next one gathers; a change keeps its place in the queue until the write
//! that has it is done. So a process that is killed has forgotten no more than the commands that had a place.

use std::io;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::ledger::Ledger;
use super::state::{self, State, Subject};

/// How long to wait before trying again to write.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The state file, if there is one.
pub(super) struct Saver {
    subject: Subject,
    /// None while it is being written, or if there is none.
    state: Option<State>,
    work: Option<JoinHandle<(State, io::Result<()>)>>,
    /// Lines to be added, and the keys that wait for it.
    lines: String,
    keys: Vec<String>,
    /// The keys that wait for the write under way.
    saving: Vec<String>,
    /// Whether the file must be written anew.
    anew: bool,
}

/// What came of a write.
pub(super) enum Saved {
    /// The changes of these keys are on the disk.
    Keys(Vec<String>),
    /// Nothing is; it will be tried again.
    Failed(io::Error),
}

impl Saver {
    /// Of this state file, or of none.
    pub(super) fn new(subject: Subject, state: Option<State>) -> Self {
        Self {
            subject,
            state,
            work: None,
            lines: String::new(),
            keys: Vec::new(),
            saving: Vec::new(),
            anew: true,
        }
    }

    /// Whether nothing needs to be saved.
    pub(super) fn is_off(&self) -> bool {
        self.state.is_none() && self.work.is_none()
    }

    /// Whether nothing is to be written, or being written.
    pub(super) fn is_idle(&self) -> bool {
        self.is_off() || self.work.is_none() && self.keys.is_empty() && !self.anew
    }

    /// Lines to be added; the change of `key` waits for it.
    pub(super) fn add(&mut self, lines: &str, key: Option<String>) {
        if !self.is_off() {
            self.lines.push_str(lines);
            self.keys.extend(key);
        }
    }

    /// Write the whole file at the next opportunity.
    pub(super) fn write_anew(&mut self) {
        self.anew = true;
    }

    /// Write no more but at the [end](Saver::finish).
    pub(super) fn give_up(&mut self) {
        self.anew = false;
        self.lines.clear();
        self.keys.clear();
    }

    /// Begin to write what there is, unless a write is under way. `ledger` has all that was added.
    pub(super) fn begin(&mut self, ledger: &Ledger) {
        if self.lines.is_empty() && !self.anew {
            return;
        }
        let Some(mut state) = self.state.take() else {
            return;
        };
        let anew = self.anew || state.is_long(ledger);
        let text = if anew {
            state::whole(&self.subject, ledger)
        } else {
            std::mem::take(&mut self.lines)
        };
        self.lines.clear();
        self.anew = false;
        self.saving.append(&mut self.keys);
        self.work = Some(tokio::task::spawn_blocking(move || {
            let outcome = if anew {
                state.replace(&text)
            } else {
                state.add(&text)
            };
            if outcome.is_err() {
                std::thread::sleep(AGAIN_AFTER);
            }
            (state, outcome)
        }));
    }

    /// The end of the write under way; never, if there is none. It can be dropped and asked for again.
    pub(super) async fn saved(&mut self) -> Saved {
        let Some(work) = &mut self.work else {
            return std::future::pending().await;
        };
        let outcome = work.await;
        self.work = None;
        let outcome = match outcome {
            Ok((state, outcome)) => {
                self.state = Some(state);
                outcome
            }
            Err(error) => Err(io::Error::other(error)),
        };
        match outcome {
            Ok(()) => Saved::Keys(std::mem::take(&mut self.saving)),
            Err(error) => {
                self.anew = true;
                Saved::Failed(error)
            }
        }
    }

    /// Write the whole file now. No write may be under way.
    ///
    /// # Errors
    ///
    /// The system's.
    pub(super) fn finish(&mut self, ledger: &Ledger) -> io::Result<()> {
        match &mut self.state {
            Some(state) => state.replace(&state::whole(&self.subject, ledger)),
            None => Ok(()),
        }
    }
}
