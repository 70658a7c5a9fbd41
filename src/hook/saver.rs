//! Keeping the state file up to date without blocking on the disk.
//!
//! While one write is in progress, lines for the next one are collected. A change stays in the queue until the
//! write that contains it is done, so a killed process has lost at most the changes in the queue.

use std::io;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::ledger::Ledger;
use super::state::{self, State, Subject};

/// The delay before a failed write is retried.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Writes the state file, if there is one.
pub(super) struct Saver {
    subject: Subject,
    /// None during a write, or if there is no state file.
    state: Option<State>,
    work: Option<JoinHandle<(State, io::Result<()>)>>,
    /// Lines to append, and the keys whose changes wait for them.
    lines: String,
    keys: Vec<String>,
    /// The keys whose changes wait for the write in progress.
    saving: Vec<String>,
    /// Whether the whole file must be rewritten.
    rewrite: bool,
}

/// The result of a write.
pub(super) enum Saved {
    /// The changes of these keys are on disk.
    Keys(Vec<String>),
    /// The write failed; it will be retried.
    Failed(io::Error),
}

impl Saver {
    /// For this state file, or for none.
    pub(super) fn new(subject: Subject, state: Option<State>) -> Self {
        Self {
            subject,
            state,
            work: None,
            lines: String::new(),
            keys: Vec::new(),
            saving: Vec::new(),
            rewrite: true,
        }
    }

    /// Whether there is no state file.
    pub(super) fn is_off(&self) -> bool {
        self.state.is_none() && self.work.is_none()
    }

    /// Whether nothing is waiting to be written or being written.
    pub(super) fn is_idle(&self) -> bool {
        self.is_off() || self.work.is_none() && self.keys.is_empty() && !self.rewrite
    }

    /// Append lines; the change of `key` waits for them.
    pub(super) fn add(&mut self, lines: &str, key: Option<String>) {
        if !self.is_off() {
            self.lines.push_str(lines);
            self.keys.extend(key);
        }
    }

    /// Rewrite the whole file with the next write.
    pub(super) fn request_rewrite(&mut self) {
        self.rewrite = true;
    }

    /// Drop what waits; only [`Saver::finish`] writes from now on.
    pub(super) fn cancel(&mut self) {
        self.rewrite = false;
        self.lines.clear();
        self.keys.clear();
    }

    /// Start a write if something waits and no write is in progress. `ledger` includes every line appended.
    pub(super) fn start(&mut self, ledger: &Ledger) {
        if self.lines.is_empty() && !self.rewrite {
            return;
        }
        let Some(mut state) = self.state.take() else {
            return;
        };
        let rewrite = self.rewrite || state.is_long(ledger);
        let text = if rewrite {
            state::format_all(&self.subject, ledger)
        } else {
            std::mem::take(&mut self.lines)
        };
        self.lines.clear();
        self.rewrite = false;
        self.saving.append(&mut self.keys);
        self.work = Some(tokio::task::spawn_blocking(move || {
            let outcome = if rewrite {
                state.replace(&text)
            } else {
                state.append(&text)
            };
            if outcome.is_err() {
                std::thread::sleep(RETRY_AFTER);
            }
            (state, outcome)
        }));
    }

    /// The result of the write in progress; pending for ever if there is none. Cancel safe.
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
                self.rewrite = true;
                Saved::Failed(error)
            }
        }
    }

    /// Rewrite the whole file now. No write may be in progress.
    ///
    /// # Errors
    ///
    /// The system's error if the file cannot be written, synced or renamed.
    pub(super) fn finish(&mut self, ledger: &Ledger) -> io::Result<()> {
        match &mut self.state {
            Some(state) => state.replace(&state::format_all(&self.subject, ledger)),
            None => Ok(()),
        }
    }
}
