//! SIGINT and SIGTERM, and the stages of stopping.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::notify;

/// How long a command may take to end after SIGTERM; then it gets SIGKILL.
pub(super) const KILL_AFTER: Duration = Duration::from_secs(5);

/// How long commands without a timeout may take to end after the first signal.
const GRACE: Duration = Duration::from_secs(30);

/// How far stopping has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// No signal was received.
    Running,
    /// No more commands are started; those that run may finish.
    Stopping,
    /// Commands that run get SIGTERM.
    Terminating,
    /// Commands that run get SIGKILL.
    Killing,
}

/// Listens for signals and keeps the stage.
pub(crate) struct Shutdown {
    grace: watch::Sender<Duration>,
    pub(super) stage: watch::Receiver<Stage>,
}

impl Shutdown {
    /// Listen for SIGINT and SIGTERM from now on. After the first signal no more commands are started; those
    /// that run may finish within the grace period. After it, or at the second signal, they get SIGTERM, and
    /// after [`KILL_AFTER`], or at the third signal, SIGKILL. Must be called in a runtime.
    ///
    /// # Errors
    ///
    /// The system's error if a signal handler cannot be installed.
    pub(crate) fn listen() -> io::Result<Self> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let (grace, grace_of_task) = watch::channel(GRACE);
        let (sender, stage) = watch::channel(Stage::Running);
        tokio::spawn(async move {
            either(&mut interrupt, &mut terminate).await;
            notify::send_stopping();
            sender.send_replace(Stage::Stopping);
            let grace = *grace_of_task.borrow();
            for (limit, next) in [(grace, Stage::Terminating), (KILL_AFTER, Stage::Killing)] {
                // The next stage begins at the next signal or when the time is up.
                let _ = tokio::time::timeout(limit, either(&mut interrupt, &mut terminate)).await;
                sender.send_replace(next);
            }
            // The sender must outlive every receiver of the stage.
            std::future::pending::<()>().await;
        });
        Ok(Self { grace, stage })
    }

    /// Resolves when the first signal is received.
    pub(crate) async fn requested(&self) {
        let mut stage = self.stage.clone();
        let _ = stage.wait_for(|stage| *stage >= Stage::Stopping).await;
    }

    /// Set the grace period to the longest of these timeouts; without any it stays at 30 seconds.
    pub(super) fn set_grace(&self, timeouts: impl Iterator<Item = Duration>) {
        if let Some(longest) = timeouts.max() {
            self.grace.send_replace(longest);
        }
    }
}

async fn either(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
