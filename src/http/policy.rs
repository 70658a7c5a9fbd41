//! The policy of the connections to a port.

use tokio::sync::watch;

use super::Limits;
use super::cors::Cors;

/// What applies to all requests and connections at a port.
#[derive(Clone)]
pub struct ConnectionPolicy {
    /// Which web pages may send requests.
    pub cors: Cors,
    /// The limits of one client.
    pub limits: Limits,
    /// When it becomes true, or its sender is dropped, watches and idle connections end.
    pub stop: watch::Receiver<bool>,
}
