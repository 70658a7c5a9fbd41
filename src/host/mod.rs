//! The host around a program: signals, the service manager, logging and exit statuses.
//!
//! - [`exit`]: why a program ends, and its exit status.
//! - [`logging`]: where log lines go.
//! - [`signals`]: shutdown and reload signals.
//! - [`systemd`]: the service manager's sockets, notifications and environment.

pub mod exit;
pub mod logging;
pub mod signals;
pub mod systemd;

pub use exit::Failure;
