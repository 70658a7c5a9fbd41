//! The service manager: notifications, inherited sockets, and the unit files of this service. Without a service
//! manager, these functions do nothing.

mod drop_ins;
mod environment;
mod sockets;

use std::time::Duration;

use sd_notify::NotifyState;

pub use drop_ins::check_environment;
pub use sockets::{SocketError, Sockets};

/// Send a notification. A failure is ignored, and not logged either, since log messages are notifications too.
fn notify(states: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(states);
}

/// Report that starting or reloading is complete, with the status for `systemctl status`.
pub fn ready(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(&one_line(status))]);
}

/// Set the status for `systemctl status`.
pub fn status(status: &str) {
    notify(&[NotifyState::Status(&one_line(status))]);
}

/// Extend the start timeout to at least this time from now.
pub fn extend_start(by: Duration) {
    let micros = u32::try_from(by.as_micros()).unwrap_or(u32::MAX);
    notify(&[NotifyState::ExtendTimeoutUsec(micros)]);
}

/// Report that the configuration is being reloaded; [`ready`] completes it.
pub fn reloading() {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        notify(&[NotifyState::Reloading, now]);
    }
}

/// Report that the service is stopping.
pub fn stopping(status: &str) {
    notify(&[
        NotifyState::Stopping,
        NotifyState::Status(&one_line(status)),
    ]);
}

/// Send a watchdog keep-alive; at least one is required in each period of [`watchdog`].
pub fn alive() {
    notify(&[NotifyState::Watchdog]);
}

/// The watchdog period of the service; none without a watchdog.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|period| !period.is_zero())
}

/// A status is one line: a second line would be another notification.
fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}
