//! Status notifications to systemd, if it started this process with Type=notify.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use sd_notify::NotifyState;

/// The shortest time between two status lines.
const STATUS_EVERY: Duration = Duration::from_secs(1);

/// The state of all watches of this process.
pub(super) struct Notify {
    /// The number of watches that have not started.
    missing: Cell<usize>,
    /// A status line for each watch, by its name.
    status: RefCell<BTreeMap<String, String>>,
    changed: Cell<bool>,
}

impl Notify {
    /// For this number of watches.
    pub(super) fn new(watches: usize) -> Self {
        Self {
            missing: Cell::new(watches),
            status: RefCell::new(BTreeMap::new()),
            changed: Cell::new(false),
        }
    }

    /// One watch has its start index, or has failed. From then on it misses no change, whether a member can
    /// be reached or not. READY=1 is sent with the last one.
    pub(super) fn mark_started(&self) {
        if let Some(missing) = self.missing.get().checked_sub(1) {
            self.missing.set(missing);
            if missing == 0 {
                send(&[NotifyState::Ready]);
            }
        }
    }

    /// Set the status line of one watch.
    pub(super) fn set_status(&self, name: &str, status: String) {
        let mut all = self.status.borrow_mut();
        let before = all.insert(name.to_owned(), status);
        if before.as_ref() != all.get(name) {
            self.changed.set(true);
        }
    }

    /// Send status lines that changed, and the watchdog's keep-alive as often as systemd asks for it. Never
    /// returns. It shares its thread with the watches, so the keep-alive stops if one of them blocks.
    pub(super) async fn maintain(&self) {
        if std::env::var_os("NOTIFY_SOCKET").is_none() {
            return std::future::pending().await;
        }
        let limit = sd_notify::watchdog_enabled();
        let every = limit.map_or(STATUS_EVERY, |limit| STATUS_EVERY.min(limit / 2));
        let mut clock = tokio::time::interval(every.max(Duration::from_millis(1)));
        loop {
            clock.tick().await;
            if limit.is_some() {
                send(&[NotifyState::Watchdog]);
            }
            if self.changed.replace(false) {
                let all = self.status.borrow();
                let lines: Vec<&str> = all.values().map(String::as_str).collect();
                send(&[NotifyState::Status(&lines.join("; "))]);
            }
        }
    }
}

/// Send STOPPING=1: no more events are taken.
pub(super) fn send_stopping() {
    send(&[NotifyState::Stopping]);
}

fn send(state: &[NotifyState<'_>]) {
    // Fails without systemd, and no decision depends on it.
    let _ = sd_notify::notify(state);
}
