//! What systemd is told, if it started us and asked for it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::Instant;

/// How often the status line may change.
const STATUS_EVERY: Duration = Duration::from_secs(1);

/// The state of all watches of this process.
pub(super) struct Notify {
    /// How many watches are not established yet.
    missing: RefCell<usize>,
    status: RefCell<BTreeMap<String, String>>,
    told_at: RefCell<Option<Instant>>,
}

impl Notify {
    /// Of this many watches.
    pub(super) fn new(watches: usize) -> Self {
        Self {
            missing: RefCell::new(watches),
            status: RefCell::new(BTreeMap::new()),
            told_at: RefCell::new(None),
        }
    }

    /// One of them is established for the first time.
    pub(super) fn established(&self) {
        let mut missing = self.missing.borrow_mut();
        *missing = missing.saturating_sub(1);
        if *missing == 0 {
            tell(&[NotifyState::Ready]);
        }
    }

    /// One of them will not be waited for.
    pub(super) fn status(&self, name: &str, status: String) {
        self.status.borrow_mut().insert(name.to_owned(), status);
        let now = Instant::now();
        let mut told_at = self.told_at.borrow_mut();
        if told_at.is_none_or(|at| now.duration_since(at) >= STATUS_EVERY) {
            *told_at = Some(now);
            let status = self.status.borrow();
            let all: Vec<&str> = status.values().map(String::as_str).collect();
            tell(&[NotifyState::Status(&all.join("; "))]);
        }
    }

    /// No more events are taken.
    pub(super) fn stopping(&self) {
        tell(&[NotifyState::Stopping]);
    }
}

/// Say that we live as often as systemd wants to hear it. Never ends. It shares its thread with the watches,
/// so it falls silent when one of them blocks.
pub(super) async fn watchdog() {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return std::future::pending().await;
    };
    let mut clock = tokio::time::interval(limit / 2);
    loop {
        clock.tick().await;
        tell(&[NotifyState::Watchdog]);
    }
}

fn tell(state: &[NotifyState<'_>]) {
    // Without systemd there is nobody to tell, and nothing depends on it.
    let _ = sd_notify::notify(state);
}
