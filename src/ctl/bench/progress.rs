//! The line that moves while it runs, on a terminal only.

use std::io::{IsTerminal, Write};
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::load::Shared;

/// How often it moves.
pub(super) const PERIOD: Duration = Duration::from_millis(500);

/// The line.
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

    /// How far it is, and how fast it was since the last time.
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

    /// Take the line away.
    pub(super) fn clear(&self) {
        if self.shown {
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
