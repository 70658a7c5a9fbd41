//! The one thread on which a member talks to its peers.

use std::io;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// A thread with a runtime of its own for everything that happens at the peer port and on connections to
/// peers. Heartbeats then do not wait behind clients, and each wakes this thread and no pool: an idle
/// cluster does little else. What blocks there goes to `spawn_blocking`, as anywhere.
///
/// Dropping it ends the thread and what still runs on it.
pub struct PeerThread {
    runtime: Handle,
    /// Dropped with this.
    _running: oneshot::Sender<()>,
}

impl PeerThread {
    /// Start it.
    ///
    /// # Errors
    ///
    /// The system's: no thread, or no descriptors for its events.
    pub fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (running, ended) = oneshot::channel::<()>();
        thread::Builder::new()
            .name("peers".to_owned())
            .spawn(move || {
                // It ends by being dropped: nothing is ever sent.
                let _ = runtime.block_on(ended);
                runtime.shutdown_background();
            })?;
        Ok(Self {
            runtime: handle,
            _running: running,
        })
    }

    /// Where tasks of the transport are spawned, and sockets of the peer port are opened.
    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }
}
