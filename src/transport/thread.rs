//! The thread of the peer port and of the connections to peers.

use std::io;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// A thread with a separate single-threaded runtime for the peer port and the connections to peers.
/// Heartbeats do not wait for clients, and each wakes only this thread instead of a thread pool, which
/// matters for an idle cluster. Blocking work goes to `spawn_blocking`.
///
/// Dropping it ends the thread and its tasks.
pub struct PeerThread {
    runtime: Handle,
    /// Dropped with this.
    _running: oneshot::Sender<()>,
}

impl PeerThread {
    /// Start the thread.
    ///
    /// # Errors
    ///
    /// The operating system refused to start a thread, or to open a file descriptor for its events.
    pub fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (running, ended) = oneshot::channel::<()>();
        thread::Builder::new()
            .name("peers".to_owned())
            .spawn(move || {
                // Nothing is sent; dropping the sender ends it.
                let _ = runtime.block_on(ended);
                runtime.shutdown_background();
            })?;
        Ok(Self {
            runtime: handle,
            _running: running,
        })
    }

    /// The runtime on which the transport spawns its tasks and opens its sockets.
    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }
}
