//! Connections to other hosts: TLS, and asking several addresses at once.

mod connect;
mod race;
pub mod tls;

pub use connect::connect;
pub use race::staggered_race;
