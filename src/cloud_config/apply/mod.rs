//! Applies a plan to the host: the only code that changes anything.

mod disk;
mod error;
mod host;
mod keys;
mod lock;
mod root;
mod run;
mod steps;
mod systemd;

pub use error::Error;
pub use host::{Host, Mode};
