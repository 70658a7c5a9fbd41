//! Signals: SIGINT and SIGTERM to stop, SIGHUP to reload.

use std::future::Future;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// The exit status of a process ended by a signal is this plus the number of the signal, as in a shell.
const EXIT_SIGNALLED: i32 = 128;

/// Listen for SIGINT and SIGTERM. The future returns the name of the first one. A second one ends the process
/// at once, which loses no acknowledged write.
///
/// Must be called in a runtime.
///
/// # Errors
///
/// The signal handler cannot be installed.
pub fn shutdown() -> io::Result<impl Future<Output = &'static str> + Send + 'static> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (first, received) = oneshot::channel();
    tokio::spawn(async move {
        let (name, _) = wait_for_signal(&mut interrupt, &mut terminate).await;
        // Without a receiver the process is already stopping.
        let _ = first.send(name);
        let (name, number) = wait_for_signal(&mut interrupt, &mut terminate).await;
        tracing::warn!(signal = name, "second signal, exiting immediately");
        std::process::exit(EXIT_SIGNALLED + number);
    });
    Ok(async move { received.await.unwrap_or("the end of the runtime") })
}

/// The SIGHUPs since [`hangups`] was called.
pub struct Hangups(Signal);

impl Hangups {
    /// Wait for the next one; false if there will be no more.
    pub async fn next(&mut self) -> bool {
        self.0.recv().await.is_some()
    }
}

/// Listen for SIGHUP, which then no longer ends the process. Must be called in a runtime.
///
/// # Errors
///
/// The signal handler cannot be installed.
pub fn hangups() -> io::Result<Hangups> {
    signal(SignalKind::hangup()).map(Hangups)
}

async fn wait_for_signal(interrupt: &mut Signal, terminate: &mut Signal) -> (&'static str, i32) {
    tokio::select! {
        _ = interrupt.recv() => ("SIGINT", SignalKind::interrupt().as_raw_value()),
        _ = terminate.recv() => ("SIGTERM", SignalKind::terminate().as_raw_value()),
    }
}
