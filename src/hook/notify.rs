//! What systemd is told, if it started us and asked for it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use sd_notify::NotifyState;

/// How often the status line may change.
const STATUS_EVERY: Duration = Duration::from_secs(1);

/// The state of all watches of this process.
pub(super) struct Notify {
    /// How many watches have not begun.
    missing: Cell<usize>,
    /// A line for each watch, by its name.
    status: RefCell<BTreeMap<String, String>>,
    changed: Cell<bool>,
}

impl Notify {
    /// Of this many watches.
    pub(super) fn new(watches: usize) -> Self {
        Self {
            missing: Cell::new(watches),
            status: RefCell::new(BTreeMap::new()),
            changed: Cell::new(false),
        }
    }

    /// One of them knows from which change on it runs commands, or never will. From then on it misses none,
    /// whether a member can be reached or not.
    pub(super) fn begun(&self) {
        if let Some(missing) = self.missing.get().checked_sub(1) {
            self.missing.set(missing);
            if missing == 0 {
                tell(&[NotifyState::Ready]);
            }
        }
    }

    /// How far one of them is.
    pub(super) fn status(&self, name: &str, status: String) {
        let mut all = self.status.borrow_mut();
        let before = all.insert(name.to_owned(), status);
        if before.as_ref() != all.get(name) {
            self.changed.set(true);
        }
    }

    /// Pass on what changes, and say that we live as often as systemd wants to hear it. Never ends. It
    /// shares its thread with the watches, so it falls silent when one of them blocks.
    pub(super) async fn tend(&self) {
        if std::env::var_os("NOTIFY_SOCKET").is_none() {
            return std::future::pending().await;
        }
        let limit = sd_notify::watchdog_enabled();
        let every = limit.map_or(STATUS_EVERY, |limit| STATUS_EVERY.min(limit / 2));
        let mut clock = tokio::time::interval(every.max(Duration::from_millis(1)));
        loop {
            clock.tick().await;
            if limit.is_some() {
                tell(&[NotifyState::Watchdog]);
            }
            if self.changed.replace(false) {
                let all = self.status.borrow();
                let lines: Vec<&str> = all.values().map(String::as_str).collect();
                tell(&[NotifyState::Status(&lines.join("; "))]);
            }
        }
    }
}

/// No more events are taken.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(state: &[NotifyState<'_>]) {
    // Without systemd there is nobody to tell, and nothing depends on it.
    let _ = sd_notify::notify(state);
}
