//! The host: signals, the service manager, logging, and exit statuses.
//!
//! - [`exit`]: why a program fails, and its exit status.
//! - [`logging`]: log messages, to stderr or to the journal.
//! - [`signals`]: SIGINT, SIGTERM and SIGHUP.
//! - [`systemd`]: notifications, inherited sockets, and unit files.

pub mod exit;
pub mod logging;
pub mod signals;
pub mod systemd;

pub use exit::Failure;
