//! The progress line during a run, on a terminal only.

use std::io::{IsTerminal, Write};
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::client::Shared;

/// The time between two updates.
pub(super) const PERIOD: Duration = Duration::from_millis(500);

/// The progress line.
pub(super) struct Line {
    shown: bool,
    done: u64,
    at: Duration,
}

impl Line {
    pub(super) fn new() -> Self {
        Self {
            shown: std::io::stderr().is_terminal(),
            done: 0,
            at: Duration::ZERO,
        }
    }

    /// Show the number of requests, and the rate since the last update.
    pub(super) fn show(&mut self, shared: &Shared) {
        if !self.shown {
            return;
        }
        let done = shared.done.load(Ordering::Relaxed);
        let failed = shared.failed.load(Ordering::Relaxed);
        let at = shared.start.elapsed();
        #[expect(clippy::cast_precision_loss, reason = "shown to three digits")]
        let rate = (done - self.done) as f64 / (at - self.at).as_secs_f64().max(1e-9);
        (self.done, self.at) = (done, at);
        write(&format!(
            "\r{:6.1} s  {done:>10} done  {rate:>9.0} /s  {failed} failed\x1b[K",
            at.as_secs_f64()
        ));
    }

    /// Clear the line.
    pub(super) fn clear(&self) {
        if self.shown {
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
