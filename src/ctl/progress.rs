//! A progress line, on a terminal only.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// The shortest time between two updates.
const PERIOD: Duration = Duration::from_millis(200);

/// The line, on stderr.
pub(super) struct Progress {
    is_terminal: bool,
    changed: Option<Instant>,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            is_terminal: std::io::stderr().is_terminal(),
            changed: None,
        }
    }

    /// Show this text now.
    pub(super) fn show(&mut self, text: &str) {
        if self.is_terminal {
            self.changed = Some(Instant::now());
            write(&format!("\r{text}\x1b[K"));
        }
    }

    /// Show how many are done, unless the line was just updated.
    pub(super) fn count(&mut self, done: usize, total: usize) {
        if self
            .changed
            .is_none_or(|changed| changed.elapsed() > PERIOD)
        {
            self.show(&format!("{done} of {total}"));
        }
    }

    /// Clear the line.
    pub(super) fn clear(&self) {
        if self.changed.is_some() {
            write("\r\x1b[K");
        }
    }
}

fn write(text: &str) {
    let mut stderr = std::io::stderr();
    // Fails only if the terminal is closed.
    let _ = stderr.write_all(text.as_bytes());
    let _ = stderr.flush();
}
