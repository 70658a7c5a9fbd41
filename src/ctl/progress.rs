//! A line that tells how far it is, on a terminal only.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// How often it changes at most.
const PERIOD: Duration = Duration::from_millis(200);

/// The line, on stderr.
pub(super) struct Progress {
    shown: bool,
    changed: Option<Instant>,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            shown: std::io::stderr().is_terminal(),
            changed: None,
        }
    }

    /// Show this now.
    pub(super) fn say(&mut self, text: &str) {
        if self.shown {
            self.changed = Some(Instant::now());
            write(&format!("\r{text}\x1b[K"));
        }
    }

    /// Show how far it is, if that was not shown just before.
    pub(super) fn count(&mut self, done: usize, total: usize) {
        if self
            .changed
            .is_none_or(|changed| changed.elapsed() > PERIOD)
        {
            self.say(&format!("{done} of {total}"));
        }
    }

    /// Take the line away.
    pub(super) fn clear(&self) {
        if self.changed.is_some() {
            write("\r\x1b[K");
        }
    }
}

fn write(text: &str) {
    let mut stderr = std::io::stderr();
    // A terminal that went away misses nothing.
    let _ = stderr.write_all(text.as_bytes());
    let _ = stderr.flush();
}
