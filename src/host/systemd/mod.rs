//! The service manager: what it is told, the sockets it hands over, and what it has on disk about this
//! service. Without one, all of this does nothing.

mod drop_ins;
mod environment;
mod sockets;

use std::time::Duration;

use sd_notify::NotifyState;

pub use drop_ins::environment_is_current;
pub use sockets::Sockets;

/// Tell it something. One that is not there, or does not listen, misses nothing we need; and there is no
/// line about it, since lines come through here, too.
fn tell(states: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(states);
}

/// What it does is done: it serves. With a line for `systemctl status`.
pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(&one_line(status))]);
}

/// A line for `systemctl status`.
pub fn status(status: &str) {
    tell(&[NotifyState::Status(&one_line(status))]);
}

/// A start takes longer: at least this much from now.
pub fn extend_start(by: Duration) {
    let micros = u32::try_from(by.as_micros()).unwrap_or(u32::MAX);
    tell(&[NotifyState::ExtendTimeoutUsec(micros)]);
}

/// Options are being read again; [`ready`] says that it is done.
pub fn reloading() {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        tell(&[NotifyState::Reloading, now]);
    }
}

/// It stops.
pub fn stopping(status: &str) {
    tell(&[
        NotifyState::Stopping,
        NotifyState::Status(&one_line(status)),
    ]);
}

/// It is alive, which is to be said more often than every [`watchdog`].
pub fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// How long it may be silent before it is taken for dead; none for as long as it likes.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|period| !period.is_zero())
}

/// Whether there is someone who listens.
pub fn is_there() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

/// A status has one line; another one would be another message.
fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}
