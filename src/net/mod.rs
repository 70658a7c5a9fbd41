//! Connections to other hosts: [`connect`] opens one, TLS included, and [`staggered_race`] tries several
//! hosts at once.

mod connect;
mod race;
mod stream;
pub mod tls;

pub use connect::{ConnectError, ConnectOptions, connect, connect_tcp};
pub use race::staggered_race;
pub use stream::Stream;
